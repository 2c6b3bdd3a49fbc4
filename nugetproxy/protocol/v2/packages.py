"""Packages built from V3 documents: registration leaves, catalog pages and search hits.

The V2 feed contains nothing else, so V2 and V3 agree. Untrusted texts that do not parse count as absent.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from nugetproxy.errors import InvalidPackageId, InvalidVersion
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.package import Package
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.bounds import shortened
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.dependency_groups import read_dependency_groups
from nugetproxy.protocol.v3.registration_values import Hive, Leaf
from nugetproxy.protocol.v3.rewriting import Rewriter
from nugetproxy.protocol.v3.search import SearchHit
from nugetproxy.protocol.v3.version_fitting import LONGEST_VERSION

_URLS = ("iconUrl", "licenseUrl", "projectUrl")
_LINKS = ("icon_url", "license_url", "project_url")
_TEXTS = ("title", "summary", "description", "authors", "copyright", "language", "release_notes", "min_client_version")
_LONGEST_HASH = 128


class Downloads:
    """Download counts, which only search hits have.

    Parsed once for all versions of a hit: there can be thousands, and each is looked up among all.
    """

    def __init__(self, hit: SearchHit) -> None:
        self._hit = hit

    @property
    def total(self) -> int:
        return _count(self._hit.raw.get("totalDownloads"))

    def of(self, version: NuGetVersion) -> int:
        return self._by_version.get(version, 0)

    @cached_property
    def _by_version(self) -> dict[NuGetVersion, int]:
        rows = self._hit.raw.get("versions")
        by_version: dict[NuGetVersion, int] = {}
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and (version := _version(row.get("version"))) is not None:
                by_version.setdefault(version, _count(row.get("downloads")))
        return by_version


def package_of_leaf(
    leaf: Leaf, links: Links, *, document: Mapping[str, object] | None = None, downloads: Downloads | None = None
) -> Package:
    """The package of a leaf. `document` is its catalog page, the only source of hash, size and what the author wrote
    as the version; `downloads` come from the search hit it was found by. The leaf takes precedence: it is newer."""
    stated: dict[str, Any] = {**(document or {}), **{k: v for k, v in leaf.entry.items() if v not in (None, "")}}
    committed = _moment(leaf.raw.get("commitTimeStamp"))
    published = _moment(stated.get("published")) if leaf.listed else None
    return Package(
        id=_id(leaf.package_id),
        version=leaf.version,
        verbatim_version=_verbatim(stated.get("verbatimVersion"), leaf.version),
        listed=leaf.listed,
        release_notes=text_of(stated.get("releaseNotes")),
        copyright=text_of(stated.get("copyright")),
        language=text_of(stated.get("language")),
        min_client_version=text_of(stated.get("minClientVersion")),
        require_license_acceptance=stated.get("requireLicenseAcceptance") is True,
        dependency_groups=read_dependency_groups(stated.get("dependencyGroups")),
        published=published or (committed if leaf.listed else None),
        created=_moment(stated.get("created")) or published or committed,
        last_edited=_moment(stated.get("lastEdited")) or committed,
        size=_count(stated.get("packageSize")),
        sha512=_sha512(stated),
        downloads=downloads.total if downloads else 0,
        version_downloads=downloads.of(leaf.version) if downloads else 0,
        **_texts(leaf.package_id, leaf.version, stated, links),
    )


def package_of_hit(hit: SearchHit, version: NuGetVersion, links: Links, downloads: Downloads) -> Package:
    """A version's package from a search hit alone; `downloads` are those of the hit. Dates and dependencies are then
    unknown."""
    return Package(
        id=_id(hit.id),
        version=version,
        verbatim_version=version.full,
        downloads=downloads.total,
        version_downloads=downloads.of(version),
        **_texts(hit.id, version, hit.raw, links),
    )


def shortened_package(package: Package, longest: int) -> Package:
    """A copy with texts of at most `longest` characters; tags and links are complete or absent."""
    smaller: dict[str, Any] = {name: shortened(getattr(package, name), longest) for name in _TEXTS}
    smaller |= {name: "" for name in _LINKS if len(getattr(package, name)) > longest}
    if sum(len(tag) + 1 for tag in package.tags) > longest:
        smaller["tags"] = ()
    return replace(package, **smaller)


def versions_of_hit(hit: SearchHit) -> tuple[NuGetVersion, ...]:
    """The versions that a hit lists, ascending: at least its own."""
    rows = hit.raw.get("versions")
    found = {_version(row.get("version")) for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
    found.add(_version(hit.raw.get("version")))
    return tuple(sorted(version for version in found if version is not None))


def _texts(package_id: str, version: NuGetVersion, stated: Mapping[str, Any], links: Links) -> dict[str, Any]:
    """Fields with the same names in leaves and hits, as arguments of Package."""
    urls = _our_urls(package_id, version, stated, links)
    return {
        "title": text_of(stated.get("title")),
        "summary": text_of(stated.get("summary")),
        "description": text_of(stated.get("description")),
        "authors": ", ".join(_listed(stated.get("authors"), ",")),
        "tags": _listed(stated.get("tags"), " "),
        "icon_url": urls.get("iconUrl", ""),
        "license_url": urls.get("licenseUrl", ""),
        "project_url": urls.get("projectUrl", ""),
    }


def _our_urls(package_id: str, version: NuGetVersion, stated: Mapping[str, Any], links: Links) -> dict[str, str]:
    """URLs of parts of packages become ours; links for people stay."""
    given = {name: url for name in _URLS if isinstance(url := stated.get(name), str) and url}
    if not given:
        return {}
    rewriter = Rewriter(links, Hive.GZ_SEMVER2, _id(package_id).lower)
    return rewriter.rewritten(given, "", version.lower)


def _sha512(stated: Mapping[str, Any]) -> str:
    algorithm = text_of(stated.get("packageHashAlgorithm")) or "SHA512"
    text = text_of(stated.get("packageHash"))
    return text if algorithm.upper() == "SHA512" and len(text) <= _LONGEST_HASH else ""


def _verbatim(value: object, version: NuGetVersion) -> str:
    is_usable = isinstance(value, str) and len(value) <= LONGEST_VERSION and _version(value) == version
    return str(value) if is_usable else version.full


def _version(value: object) -> NuGetVersion | None:
    try:
        return NuGetVersion.parse(value) if isinstance(value, str) else None
    except InvalidVersion:
        return None


def _id(text: str) -> PackageId:
    try:
        return PackageId.parse(text)
    except InvalidPackageId:  # display only; nothing is looked up by it
        return PackageId(text)


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _listed(value: object, separator: str) -> tuple[str, ...]:
    """From a list of texts, or from one text with separators."""
    parts = value.split(separator) if isinstance(value, str) else value if isinstance(value, list) else ()
    return tuple(text for part in parts if isinstance(part, str) and (text := part.strip()))
