"""Make the metadata of one version small enough for our documents.

Anybody can publish a version whose description is longer than all others together. Metadata that is too large is
rendered in a plain form: the fields that clients know, without JSON-LD identifiers, with shortened texts. What clients
act on (dependencies, vulnerabilities, deprecation, listing) is in it completely, or the version does not fit: half a
list of dependencies would look like a complete one, and the wrong packages would be installed. The writers of documents
decide what happens to a version that does not fit.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from nugetproxy.protocol.bounds import LARGEST_VERSION, LONGEST_TEXT, shortened

LONGEST_VERSION: Final = 255
"""Maximum characters of a version in documents; each of its links repeats it. nuget.org accepts 64."""

MOST_ROWS: Final = 16_384
"""Maximum number of dependencies, dependency groups and vulnerabilities rendered per version. More could not fit."""

ACTED_ON: Final = ("dependencyGroups", "vulnerabilities", "deprecation")
"""What clients act on: rendered completely or not at all."""

# Maximum objects and arrays in one version. The real packages with the most dependencies have some 1,500.
_MOST_NODES: Final = 4_096
# A size in bytes below which there can be neither too many parts nor too many links: nearly all versions need no closer
# look.
_SURELY_SMALL: Final = 8 * 1024
# Every identifier and link becomes one of ours, which has about this length.
_LINK_LENGTH: Final = 100
_LINK_FIELDS: Final = (b'"@id":', b'"registration":')
# What our links add to the plain form: it has eight of them, and a host name has at most 253 characters.
_RESERVED_FOR_LINKS: Final = 32 * 1024

_IDENTIFYING: Final = (
    *("@id", "@type", "packageContent", "id", "version", "listed", "published", "totalDownloads", "verified"),
    *("catalog:commitId", "catalog:commitTimeStamp", "created", "lastEdited", "isPrerelease", "verbatimVersion"),
    *("packageHash", "packageHashAlgorithm", "packageSize"),
)
_LONGEST_IDENTIFYING: Final = 2_048
_MOST_TYPES: Final = 64
_COMMIT: Final = ("commitId", "commitTimeStamp")
# An index or a page without its items is a kilobyte, most of it JSON-LD context.
_LONGEST_HEAD: Final = 16 * 1024
# In order of their use to clients: the last are the first to be left out.
_DESCRIBING: Final = (
    *("packageTypes", "requireLicenseAcceptance", "licenseExpression", "licenseUrl", "iconUrl", "projectUrl"),
    *("readmeUrl", "minClientVersion", "language", "title", "authors", "owners", "tags", "summary", "description"),
    *("copyright", "releaseNotes", "iconFile", "licenseFile", "readmeFile"),
)
# A truncated link would lead somewhere else.
_NEVER_SHORTENED: Final = frozenset(
    ("licenseUrl", "iconUrl", "projectUrl", "readmeUrl", "iconFile", "licenseFile", "readmeFile")
)


class Fitted(NamedTuple):
    """A leaf that may be rendered, and its approximate size in bytes.

    If `fits` is false, data that clients act on is too large, and `raw` does not contain it.
    """

    raw: dict[str, Any]
    size: int
    fits: bool


def fitted_leaf(raw: dict[str, Any]) -> Fitted:
    """A leaf (with its `catalogEntry`) unchanged, or in the plain form if it is too large."""
    size = rendered_size(raw)
    if size <= LARGEST_VERSION:
        return Fitted(raw, size, fits=True)
    plain = plain_leaf(raw)
    return unfit_leaf(raw) if plain is None else Fitted(plain, rendered_size(plain), fits=True)


def unfit_leaf(raw: dict[str, Any]) -> Fitted:
    """The leaf of a version that does not fit."""
    described = _leaf(raw, described_entry(raw["catalogEntry"]))
    return Fitted(described, rendered_size(described), fits=False)


def plain_leaf(raw: dict[str, Any]) -> dict[str, Any] | None:
    """The plain form of a leaf: at most LARGEST_VERSION bytes with our links. None if it does not fit."""
    entry = plain_entry(raw["catalogEntry"])
    return None if entry is None else _leaf(raw, entry)


def fitted_head(raw: dict[str, Any]) -> dict[str, Any]:
    """The fields of an index or page itself; if they are too long, only those that we know."""
    return raw if len(orjson.dumps(raw)) <= _LONGEST_HEAD else _short(raw, ("@id", "@type", *_COMMIT, "lower", "upper"))


def plain_entry(entry: Mapping[str, Any], longest: int = LONGEST_TEXT) -> dict[str, Any] | None:
    """As `plain_leaf`, for a catalogEntry, a catalog leaf without its files, or a search hit without its versions.

    `longest` is in characters, for each text.
    """
    acted_on = _acted_on(entry)
    return None if acted_on is None else _with_description(entry, {**_short(entry, _IDENTIFYING), **acted_on}, longest)


def described_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The plain form without the fields that clients act on; it always fits."""
    return _with_description(entry, _short(entry, _IDENTIFYING)) or {}


def _with_description(
    entry: Mapping[str, Any], plain: dict[str, Any], longest: int = LONGEST_TEXT
) -> dict[str, Any] | None:
    """`plain` with as much of the description as fits; None if `plain` itself does not fit."""
    left = LARGEST_VERSION - _RESERVED_FOR_LINKS - len(orjson.dumps(plain))
    if left < 0:
        return None
    for name in _DESCRIBING:
        value = _shortened(name, entry.get(name), longest)
        length = len(name) + len(orjson.dumps(value)) + len('"":,')
        if value is not None and length <= left:
            plain[name] = value
            left -= length
    return plain


def rendered_size(value: object) -> int:
    """The approximate size of a value with our links, in bytes; above LARGEST_VERSION if it has too many parts."""
    written = orjson.dumps(value)
    if len(written) <= _SURELY_SMALL:
        return 2 * len(written)
    if written.count(b"{") + written.count(b"[") > _MOST_NODES:
        return max(len(written), LARGEST_VERSION + 1)
    return len(written) + _LINK_LENGTH * sum(map(written.count, _LINK_FIELDS))


def _leaf(raw: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    return {"@type": "Package", **_short(raw, ("@id", *_COMMIT, "packageContent")), "catalogEntry": entry}


def _short(holder: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of the named fields that hold a number, a boolean or a short text."""
    return {
        name: value
        for name in names
        if isinstance(value := holder.get(name), bool | int | float)
        or (isinstance(value, str) and len(value) <= _LONGEST_IDENTIFYING)
    }


# --- what clients act on: complete, or None ---------------------------------------------------------------------------


def _acted_on(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    groups, vulnerabilities = _list(entry.get("dependencyGroups")), _list(entry.get("vulnerabilities"))
    if len(groups) + len(vulnerabilities) > MOST_ROWS:
        return None
    groups, vulnerabilities = _objects(groups), _objects(vulnerabilities)
    if len(groups) + sum(len(_list(group.get("dependencies"))) for group in groups) > MOST_ROWS:
        return None
    found: dict[str, Any] = {}
    if groups:
        found["dependencyGroups"] = [_plain_group(group) for group in groups]
    if vulnerabilities:
        found["vulnerabilities"] = [_chosen(each, ("advisoryUrl", "severity")) for each in vulnerabilities]
    if isinstance(deprecation := entry.get("deprecation"), dict):
        found["deprecation"] = _plain_deprecation(deprecation)
    return found


def _plain_group(group: dict[str, Any]) -> dict[str, Any]:
    plain = _chosen(group, ("targetFramework",))
    if dependencies := _objects(_list(group.get("dependencies"))):
        plain["dependencies"] = [_chosen(each, ("id", "range")) for each in dependencies]
    return plain


def _plain_deprecation(deprecation: dict[str, Any]) -> dict[str, Any]:
    reasons = [reason for reason in _list(deprecation.get("reasons")) if isinstance(reason, str)]
    plain: dict[str, Any] = {"reasons": reasons}
    if isinstance(message := deprecation.get("message"), str):
        plain["message"] = shortened(message)
    if isinstance(alternate := deprecation.get("alternatePackage"), dict):
        plain["alternatePackage"] = _chosen(alternate, ("id", "range"))
    return plain


def _chosen(holder: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name in names if isinstance(value := holder.get(name), str | int)}


def _objects(values: list[Any]) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


# --- descriptive fields: as much as fits ------------------------------------------------------------------------------


def _shortened(name: str, value: object, longest: int) -> object:
    """None for a field that is left out."""
    match value:
        case bool():
            return value
        case str():
            return shortened(value, longest) if len(value) <= longest or name not in _NEVER_SHORTENED else None
        case list() if name == "packageTypes":
            return [_short(kind, ("name", "version")) for kind in _objects(value[:_MOST_TYPES])]
        case list():
            return _first_texts(value, longest)
    return None


def _first_texts(values: list[Any], longest: int) -> list[str]:
    """Complete texts, as many as together stay within the length of one."""
    texts: list[str] = []
    left = longest
    for value in values:
        left -= len(value) + 1 if isinstance(value, str) else 1
        if left < 0:
            break
        if isinstance(value, str):
            texts.append(value)
    return texts
