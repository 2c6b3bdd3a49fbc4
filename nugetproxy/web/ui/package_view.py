"""What the page of a package shows, as plain values for its template. Pure.

Everything from a package or an upstream may have any type or content: each value is checked here before it is shown,
and links are kept only if they are web addresses.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nugetproxy.errors import InvalidPackageId
from nugetproxy.feeds.policy.sentences import refusal
from nugetproxy.nuget.framework import short_framework_name
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.times import TICKS_PER_SECOND, ticks_of_text
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.protocol.web_addresses import web_address
from nugetproxy.web.ui.package_facts import Here, PackageFacts, Versions

_NUGET_BEGAN: Final = 1_285_891_200
"""October 2010, in unix seconds: earlier dates are placeholders."""
_SEVERITIES: Final = ("low", "moderate", "high", "critical")
_MOST_GROUPS: Final = 20
_MOST_ADVISORIES: Final = 20
_LONGEST_NAME: Final = 100
_MOST_DEPENDENCIES: Final = 60
_LONGEST: Final = 4_000
"""Characters of a description or of release notes that are shown."""
_REASONS: Final = {"Legacy": "it is legacy", "CriticalBugs": "it has critical bugs", "Other": "other reasons"}


@dataclass(frozen=True, slots=True)
class Advisory:
    severity: str
    url: str


@dataclass(frozen=True, slots=True)
class DeprecationView:
    reasons: str
    message: str
    alternative: str
    alternative_range: str


@dataclass(frozen=True, slots=True)
class DependencyView:
    """`id` is empty if it is not a package id: then `text` is shown without a link."""

    text: str
    id: str
    range: str


@dataclass(frozen=True, slots=True)
class GroupView:
    framework: str
    dependencies: tuple[DependencyView, ...]
    more: int


@dataclass(frozen=True, slots=True)
class VersionView:
    """One row of a list of versions. `published` in unix seconds; None and 0 are unknown."""

    version: str
    full: str
    published: float | None
    listed: bool
    is_prerelease: bool
    is_deprecated: bool
    severity: str
    withheld: str
    downloads: int | None
    size: int
    is_kept: bool
    is_pinned: bool


def published_of(leaf: Leaf | None) -> float | None:
    """In unix seconds; None if unknown, as for most unlisted versions of nuget.org."""
    ticks = ticks_of_text(text_of(leaf.entry.get("published"))) if leaf is not None else None
    seconds = None if ticks is None else ticks / TICKS_PER_SECOND
    return seconds if seconds is not None and seconds >= _NUGET_BEGAN else None


def advisories_of(leaf: Leaf) -> tuple[Advisory, ...]:
    """The worst first."""
    rows = leaf.entry.get("vulnerabilities")
    found = []
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            severity = str(row.get("severity"))
            number = int(severity) if severity in ("0", "1", "2", "3") else -1
            found.append(
                (
                    number,
                    Advisory(
                        _SEVERITIES[number] if number >= 0 else "unknown", web_address(text_of(row.get("advisoryUrl")))
                    ),
                )
            )
    return tuple(advisory for _, advisory in sorted(found, key=lambda each: -each[0])[:_MOST_ADVISORIES])


def deprecation_of(leaf: Leaf) -> DeprecationView | None:
    raw = leaf.entry.get("deprecation")
    if not isinstance(raw, dict):
        return None
    stated = raw.get("reasons")
    reasons = (
        [_REASONS[each] for each in stated if isinstance(each, str) and each in _REASONS]
        if isinstance(stated, list)
        else []
    )
    alternate = raw.get("alternatePackage")
    alternate = alternate if isinstance(alternate, dict) else {}
    return DeprecationView(
        ", ".join(reasons),
        text_of(raw.get("message"))[:_LONGEST],
        id_or_nothing(text_of(alternate.get("id"))),
        range_text(text_of(alternate.get("range"))),
    )


def groups_of(leaf: Leaf, most: int = _MOST_DEPENDENCIES) -> tuple[GroupView, ...]:
    """The dependencies by framework, as the registration states them; at most `most` of each."""
    groups = leaf.entry.get("dependencyGroups")
    found = []
    for group in groups[:_MOST_GROUPS] if isinstance(groups, list) else ():
        if not isinstance(group, dict):
            continue
        stated = group.get("dependencies")
        rows = [row for row in stated if isinstance(row, dict)] if isinstance(stated, list) else []
        shown = tuple(
            DependencyView(
                text_of(row.get("id"))[:_LONGEST_NAME],
                id_or_nothing(text_of(row.get("id"))),
                range_text(text_of(row.get("range"))),
            )
            for row in rows[:most]
        )
        framework = text_of(group.get("targetFramework"))
        found.append(
            GroupView(short_framework_name(framework) if framework else "any framework", shown, len(rows) - len(shown))
        )
    return tuple(found)


def range_text(text: str) -> str:
    """A range as people read it: "≥ 1.2" for "[1.2, )", as NuGet's own pages write it."""
    inner = text.strip()
    if inner in ("", "(, )", "(,)", "*"):
        return ""
    if inner[0] not in "[(" or inner[-1] not in ")]":
        return f"≥ {inner}" if inner[:1].isdigit() else inner
    lower, comma, upper = (part.strip() for part in inner[1:-1].partition(","))
    if not comma:
        return f"= {lower}"
    bounds = []
    if lower:
        bounds.append(f"{'≥' if inner[0] == '[' else '>'} {lower}")
    if upper:
        bounds.append(f"{'≤' if inner[-1] == ']' else '<'} {upper}")
    return " and ".join(bounds)


def id_or_nothing(text: str) -> str:
    """`text` if it is a package id."""
    try:
        return PackageId.parse(text).text
    except InvalidPackageId:
        return ""


def version_views(
    versions: Versions,
    shown: Iterable[NuGetVersion],
    leaves: Mapping[NuGetVersion, Leaf],
    here: Here,
    *,
    is_hosted: bool,
) -> tuple[VersionView, ...]:
    """Rows for these versions, in their order."""
    return tuple(_version_view(versions, version, leaves.get(version), here, is_hosted=is_hosted) for version in shown)


def _version_view(
    versions: Versions, version: NuGetVersion, leaf: Leaf | None, here: Here, *, is_hosted: bool
) -> VersionView:
    verdict = versions.verdict(version)
    kept = here.kept.get(version.lower)
    advisories = advisories_of(leaf) if leaf is not None else ()
    return VersionView(
        version=version.normalized,
        full=version.full,
        published=published_of(leaf),
        listed=leaf is None or leaf.listed,
        is_prerelease=version.is_prerelease,
        is_deprecated=leaf is not None and isinstance(leaf.entry.get("deprecation"), dict),
        severity=advisories[0].severity if advisories else "",
        withheld=refusal(PackageIdentity(versions.package_id, version), verdict) if verdict.is_withheld else "",
        downloads=here.downloads.get(version.lower, 0) if is_hosted else None,
        size=kept.size if kept is not None else 0,
        is_kept=kept is not None,
        is_pinned=version.lower in here.pinned,
    )


@dataclass(frozen=True, slots=True)
class FactsView:
    """The texts and links of one version. Sizes in bytes; 0, None and empty texts are unknown."""

    title: str
    summary: str
    description: str
    authors: str
    owners: tuple[str, ...]
    tags: tuple[str, ...]
    types: tuple[str, ...]
    project_url: str
    repository_url: str
    repository_commit: str
    licence: str
    licence_url: str
    has_licence_file: bool
    release_notes: str
    copyright: str
    has_icon: bool
    is_verified: bool
    total_downloads: int | None
    size: int
    sha512: str
    minimum_client: str
    frameworks: tuple[str, ...]


def facts_view(facts: PackageFacts) -> FactsView:
    entry, manifest, catalog = facts.leaf.entry, facts.manifest, facts.catalog or {}
    hit = facts.hit.raw if facts.hit is not None else {}
    kept = facts.here.kept.get(facts.identity.lower_version)

    def text(name: str, of_manifest: str = "") -> str:
        return (of_manifest or text_of(entry.get(name)))[:_LONGEST].strip()

    stated = hit.get("owners")
    owners = facts.here.owners or tuple(
        each
        for each in ([stated] if isinstance(stated, str) else stated if isinstance(stated, list) else [])
        if isinstance(each, str)
    )
    downloads = hit.get("totalDownloads")
    size, sha512 = catalog.get("packageSize"), text_of(catalog.get("packageHash"))
    tags = entry.get("tags")
    tags = tags.split() if isinstance(tags, str) else tags if isinstance(tags, list) else []
    return FactsView(
        title=text("title", manifest.title if manifest else ""),
        summary=text("summary"),
        description=text("description", manifest.description if manifest else ""),
        authors=text("authors", manifest.authors if manifest else "") or ", ".join(_texts(entry.get("authors"))),
        owners=tuple(owner[:_LONGEST_NAME] for owner in owners[:50]),
        tags=tuple(dict.fromkeys(tag[:_LONGEST_NAME] for tag in tags if isinstance(tag, str) and tag))[:50],
        types=tuple(kind.name[:_LONGEST_NAME] for kind in manifest.package_types)[:10] if manifest else (),
        project_url=web_address(text("projectUrl", manifest.project_url if manifest else "")),
        repository_url=web_address(manifest.repository_url) if manifest else "",
        repository_commit=manifest.repository_commit[:64] if manifest else "",
        licence=text("licenseExpression", manifest.license_expression if manifest else ""),
        licence_url=web_address(text("licenseUrl", manifest.license_url if manifest else "")),
        has_licence_file=bool(manifest and manifest.license_file),
        release_notes=manifest.release_notes[:_LONGEST] if manifest else "",
        copyright=manifest.copyright[:500] if manifest else "",
        has_icon=bool(text("iconUrl") or (manifest and (manifest.icon or manifest.icon_url))),
        is_verified=hit.get("verified") is True,
        total_downloads=downloads
        if isinstance(downloads, int) and not isinstance(downloads, bool) and downloads >= 0
        else None,
        size=(kept.size if kept else 0) or (size if isinstance(size, int) and size > 0 else 0),
        sha512=(kept.sha512 if kept else "") or sha512[:100],
        minimum_client=text("minClientVersion", manifest.min_client_version if manifest else "")[:50],
        frameworks=_frameworks(facts, catalog),
    )


def _frameworks(facts: PackageFacts, catalog: Mapping[str, Any]) -> tuple[str, ...]:
    """From the folders of its files, where these are known, otherwise from its dependencies."""
    entries = catalog.get("packageEntries")
    folders = set()
    for row in entries[:20_000] if isinstance(entries, list) else ():
        name = text_of(row.get("fullName")) if isinstance(row, dict) else ""
        top, _, rest = name.partition("/")
        if top in ("lib", "ref") and "/" in rest:
            folders.add(short_framework_name(rest.partition("/")[0]))
    if not folders:
        folders = {group.framework for group in groups_of(facts.leaf)} - {"any framework"}
    return tuple(sorted(folders))[:40]


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
