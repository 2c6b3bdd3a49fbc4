"""The search and autocomplete resources: reading responses, and building them from kept packages.

`search_writer.py` writes them, `search_query.py` reads requests. What matches is decided by the upstream, or by
`search_terms.py` for packages that we keep ourselves. Source: docs/api/search-query-service-resource.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from nugetproxy.errors import InvalidPackageId, InvalidVersion, UnreadableDocument
from nugetproxy.nuget.identity import PackageId, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.bounds import LARGEST_VERSION, LONGEST_TEXT
from nugetproxy.protocol.documents import read_object
from nugetproxy.protocol.v3.manifest_leaf import DEFAULT_PACKAGE_TYPE
from nugetproxy.protocol.v3.readable import PACKAGE
from nugetproxy.protocol.v3.registration_values import Leaf
from nugetproxy.protocol.v3.search_query import CompletionQuery, SearchQuery
from nugetproxy.protocol.v3.search_terms import matches
from nugetproxy.protocol.v3.version_fitting import LONGEST_VERSION, plain_entry, rendered_size

__all__ = [
    "CompletionPage",
    "CompletionQuery",
    "SearchHit",
    "SearchPage",
    "SearchQuery",
    "hit_from_leaves",
    "lower_version_of",
    "read_completion",
    "read_search",
    "visible_leaves",
]


# Clients read the total as a 32-bit number.
_MOST_COUNTED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One package. `raw` is the object of `data[]`, shared and never changed."""

    id: str
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """`total` counts all hits; `hits` are those on this page."""

    total: int
    hits: tuple[SearchHit, ...]


@dataclass(frozen=True, slots=True)
class CompletionPage:
    """Ids or versions. `total` is None if the upstream did not state it."""

    total: int | None
    values: tuple[str, ...]


def read_search(body: bytes) -> SearchPage:
    """Hits without a readable id or version are left out: clients throw on them. So are hits that do not fit.

    Raises:
        UnreadableDocument: not a response of a search service.
    """
    document = read_object(body, "search response")
    rows = document.get("data")
    if not isinstance(rows, list):
        raise UnreadableDocument("search response", "data is not an array")
    hits = tuple(hit for row in rows if (hit := _read_hit(row)) is not None)
    total = _total(document)
    return SearchPage(len(hits) if total is None else total, hits)


def read_completion(body: bytes, *, of_versions: bool) -> CompletionPage:
    """Ids or versions, whichever was requested; invalid ones are left out.

    Raises:
        UnreadableDocument: not a response of an autocomplete service.
    """
    document = read_object(body, "autocomplete response")
    values = document.get("data")
    if not isinstance(values, list):
        raise UnreadableDocument("autocomplete response", "data is not an array")
    return CompletionPage(_total(document), tuple(value for value in values if _is_completion(value, of_versions)))


def hit_from_leaves(leaves: Sequence[Leaf], query: SearchQuery) -> SearchHit | None:
    """The hit for one id's leaves, in any order; None if nothing is visible or the latest version does not match.

    Downloads and owners are unknown here: the first is 0, the second left out. Leaves of an upstream do not have
    package types either; filter those by type before calling this.
    """
    visible = visible_leaves(leaves, query)
    if not visible or not matches(query.text, visible[-1]):
        return None
    latest = visible[-1]
    types = _package_types(latest, query)
    if query.package_type is not None and lower_invariant(query.package_type) not in map(lower_invariant, types):
        return None
    hit = _hit_of(latest, visible, types)
    if query.semver_level2:
        hit |= {name: _plain(latest.entry[name]) for name in ("deprecation", "vulnerabilities") if name in latest.entry}
    return SearchHit(latest.package_id, hit)


def visible_leaves(leaves: Iterable[Leaf], query: SearchQuery | CompletionQuery) -> list[Leaf]:
    """The leaves that the query makes visible, ascending by version."""
    return sorted(
        (
            leaf
            for leaf in leaves
            if leaf.listed
            and (query.prerelease or not leaf.version.is_prerelease)
            and (query.semver_level2 or not leaf.is_semver2)
        ),
        key=lambda leaf: leaf.version,
    )


# --- reading ----------------------------------------------------------------------------------------------------------


def _read_hit(row: object) -> SearchHit | None:
    if not isinstance(row, dict) or not isinstance(package_id := PACKAGE.repair(row).get("id"), str):
        return None
    try:
        PackageId.parse(package_id)
    except InvalidPackageId:
        return None
    if lower_version_of(row) is None:
        return None
    if rendered_size({**row, "versions": None}) > LARGEST_VERSION:
        row = plain_hit(row)
    return SearchHit(package_id, row) if row is not None else None


def plain_hit(raw: dict[str, Any], longest: int = LONGEST_TEXT) -> dict[str, Any] | None:
    """A hit in the plain form of `version_fitting`, with its versions; None if it does not fit.

    `longest` is in characters, for each text. Dependencies are left out: no client looks for them in a search.
    """
    plain = plain_entry({**raw, "dependencyGroups": None}, longest)
    return None if plain is None else {**plain, "versions": raw.get("versions")}


def lower_version_of(row: object) -> str | None:
    """The version of a hit, or of a row of its `versions`, as in URLs; None if no client could read it."""
    text = row.get("version") if isinstance(row, dict) else None
    try:
        return NuGetVersion.parse(text).lower if _may_be_shown(text) else None
    except InvalidVersion:
        return None


def _is_completion(value: object, of_versions: bool) -> TypeGuard[str]:
    if not _may_be_shown(value):
        return False
    try:
        (NuGetVersion if of_versions else PackageId).parse(value)
    except (InvalidVersion, InvalidPackageId):
        return False
    return True


def _may_be_shown(value: object) -> TypeGuard[str]:
    """Whether it is short enough for an id or a version."""
    return isinstance(value, str) and len(value) <= LONGEST_VERSION


def _total(document: dict[str, Any]) -> int | None:
    total = document.get("totalHits")
    if isinstance(total, bool) or not isinstance(total, int) or total < 0:
        return None
    return min(total, _MOST_COUNTED)


# --- from kept packages -----------------------------------------------------------------------------------------------

_COPIED = ("description", "summary", "iconUrl", "licenseUrl", "projectUrl")


def _hit_of(latest: Leaf, visible: Sequence[Leaf], types: Sequence[str]) -> dict[str, Any]:
    entry = latest.entry
    raw: dict[str, Any] = {"@type": "Package", "id": latest.package_id, "version": latest.version.full}
    raw |= {name: value for name in _COPIED if isinstance(value := entry.get(name), str)}
    return {
        **raw,
        "title": entry.get("title") or latest.package_id,
        "tags": [tag for tag in _texts(entry.get("tags"), " ") if tag],
        "authors": _texts(entry.get("authors"), ","),
        "totalDownloads": 0,
        "verified": False,
        "packageTypes": [{"name": name} for name in types],
        "versions": [{"version": leaf.version.full, "downloads": 0} for leaf in visible],
        "vulnerabilities": [],
    }


def _plain(value: Any) -> Any:
    """A registration's value in the form of a search hit: without JSON-LD identifiers."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if name not in ("@id", "@type")}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _package_types(leaf: Leaf, query: SearchQuery) -> list[str]:
    """An upstream's registration has no types: then the caller is trusted to have selected leaves by type."""
    declared = leaf.entry.get("packageTypes")
    names = [
        kind["name"]
        for kind in (declared if isinstance(declared, list) else [])
        if isinstance(kind, dict) and isinstance(kind.get("name"), str)
    ]
    return names or [query.package_type or DEFAULT_PACKAGE_TYPE]


def _texts(value: object, separator: str) -> list[str]:
    """From a list of texts, or from one text with separators."""
    parts = value.split(separator) if isinstance(value, str) else value if isinstance(value, list) else []
    return [part.strip() for part in parts if isinstance(part, str)]
