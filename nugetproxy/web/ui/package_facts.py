"""Everything that the page of a package shows, gathered from the same services as the API.

What cannot be learned now is left out and named: a page about a package is worth showing without its downloads. Only
the registration is needed. What a feed may show to this reader is decided by that feed.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web

from nugetproxy.errors import InvalidPackage, NugetproxyError, PartNotFound, VersionNotFound, Withheld
from nugetproxy.feeds.base import HOSTED, Answer, Feed, Part, SmallContent
from nugetproxy.feeds.explanation import explained_versions
from nugetproxy.feeds.policy.verdicts import VISIBLE, Verdict
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.mirroring.kept.files import KeptFile
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import SearchHit, SearchQuery
from nugetproxy.web.requests.incoming import feed
from nugetproxy.web.requests.keys import SERVICES
from nugetproxy.web.requests.reading import sees_hosted

if TYPE_CHECKING:
    from nugetproxy.feeds.screening import Screen

T = TypeVar("T")

SHOWN_VERSIONS: Final = 10
"""Versions on the page of a package; all are on pages of their own."""

# Newer versions that are looked through for one that is listed.
_LOOKED_THROUGH: Final = 8
_PATIENCE: Final = 2.0
"""Seconds that the page waits for what it can do without."""


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions of an id, ascending, and what the policy says about them."""

    package_id: PackageId
    all: tuple[NuGetVersion, ...]
    screen: "Screen | None"

    def verdict(self, version: NuGetVersion) -> Verdict:
        return VISIBLE if self.screen is None else self.screen.verdict(version)

    @property
    def visible(self) -> tuple[NuGetVersion, ...]:
        """Those that no rule withholds."""
        if self.screen is None:
            return self.all
        return tuple(version for version in self.all if not self.verdict(version).is_withheld)


@dataclass(frozen=True, slots=True)
class Here:
    """What this server has of an id: `downloads` by lower version (hosted), `kept` by lower version (mirrored)."""

    downloads: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, KeptFile] = field(default_factory=dict)
    pinned: frozenset[str] = frozenset()
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """One version of an id. `missing` names what could not be learned now."""

    identity: PackageIdentity
    leaf: Leaf
    leaves: Mapping[NuGetVersion, Leaf]
    versions: Versions
    provenance: Provenance
    is_hosted: bool
    here: Here
    manifest: PackageManifest | None
    readme: bytes | None
    hit: SearchHit | None
    catalog: Mapping[str, Any] | None
    missing: tuple[str, ...]


async def versions_of(request: web.Request, package_id: PackageId) -> Versions:
    """Raises as `Feed.versions`."""
    found, screen = await explained_versions(feed(request), request.app[SERVICES].screening, package_id)
    return Versions(package_id, found, screen)


async def leaves_of(
    asked: Feed, package_id: PackageId, versions: tuple[NuGetVersion, ...]
) -> tuple[Answer[Registration], dict[NuGetVersion, Leaf]]:
    """The leaves of these versions: at least one, ascending. Only pages of the registration with them are loaded."""
    answer = await asked.registration_between(package_id, versions[0], versions[-1])
    wanted = set(versions)
    return answer, {leaf.version: leaf for leaf in answer.value.loaded_leaves if leaf.version in wanted}


async def gathered(request: web.Request, versions: Versions, version: NuGetVersion | None) -> PackageFacts:
    """The facts about a version; about the newest listed one without `version`, stable if there is one.

    Raises as `Feed.leaf`, Withheld for a version that a rule withholds.
    """
    asked = feed(request)
    visible = versions.visible
    if not visible:
        raise VersionNotFound(versions.package_id.text)
    answer, leaves = await leaves_of(asked, versions.package_id, visible[-SHOWN_VERSIONS:])
    chosen = version if version is not None else await newest_of(asked, versions.package_id, visible, leaves)
    named = PackageId.parse(answer.value.package_id)
    identity = PackageIdentity(named, chosen)
    leaf = leaves.get(chosen) or (await asked.leaf(identity)).value
    identity = PackageIdentity(PackageId.parse(leaf.package_id), leaf.version)
    is_hosted = answer.provenance.detail == HOSTED
    missing: list[str] = []

    async def optional(what: str, question: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await question
        except (PartNotFound, Withheld):
            return None
        except (NugetproxyError, TimeoutError):
            missing.append(what)
            return None

    here, (manifest, readme), hit, catalog = await asyncio.gather(
        here_of(request, identity.lower_id, is_hosted=is_hosted),
        _texts(asked, identity, leaf, optional),
        optional("the search", _hit(_asked_about(request, is_hosted=is_hosted), identity.id)),
        optional("the catalog", _catalog(asked, identity)),
    )
    return PackageFacts(
        identity,
        leaf,
        leaves,
        replace(versions, package_id=identity.id),
        answer.provenance,
        is_hosted,
        here,
        manifest,
        readme,
        hit,
        catalog,
        tuple(sorted(set(missing))),
    )


async def newest_of(
    asked: Feed,
    package_id: PackageId,
    visible: tuple[NuGetVersion, ...],
    leaves: Mapping[NuGetVersion, Leaf],
    *,
    stable: bool = True,
) -> NuGetVersion:
    """The newest listed version: with `stable`, a stable one if there is one. If many are unlisted, the newest."""
    finished = [version for version in visible if not version.is_prerelease]
    for candidates in (finished if stable else (), visible):
        for version in candidates[: -_LOOKED_THROUGH - 1 : -1]:
            leaf = leaves.get(version)
            if leaf is None:
                leaf = (await asked.leaf(PackageIdentity(package_id, version))).value
            if leaf.listed:
                return version
    return ((stable and finished) or visible)[-1]


async def here_of(request: web.Request, lower_id: str, *, is_hosted: bool) -> Here:
    """What is known here of an id, as far as this reader may know it."""
    services = request.app[SERVICES]
    hosting, accounts, care = services.hosting, services.accounts, services.care
    if is_hosted:
        if hosting is None or accounts is None or not sees_hosted(request):
            return Here()
        downloads = await hosting.statistics.downloads_of(lower_id)
        owners = tuple(account.name for account in await accounts.ownership.owners(lower_id))
        return Here(downloads=downloads, owners=owners)
    if care is None:
        return Here()
    kept = {each.lower_version: each for each in await care.files.all(lower_id)}
    is_pinned = await care.pins.held()
    return Here(kept=kept, pinned=frozenset(version for version in kept if is_pinned(lower_id, version)))


async def _texts(
    asked: Feed, identity: PackageIdentity, leaf: Leaf, optional: Any
) -> tuple[PackageManifest | None, bytes | None]:
    """The manifest and the readme."""
    nuspec = await optional("the nuspec", _part(asked, identity, Part.NUSPEC))
    manifest = None
    if nuspec is not None:
        try:
            manifest = read_nuspec(nuspec)
        except InvalidPackage:
            manifest = None
    if not (leaf.entry.get("readmeUrl") or (manifest is not None and manifest.readme)):
        return manifest, None
    return manifest, await optional("the readme", _part(asked, identity, Part.README))


async def _part(asked: Feed, identity: PackageIdentity, part: Part) -> bytes | None:
    found = (await asked.content(identity, part)).value
    return found.body if isinstance(found, SmallContent) else None


def _asked_about(request: web.Request, *, is_hosted: bool) -> Feed:
    """The feed whose search knows a package. A search for a hosted id must not reach an upstream."""
    hosted = request.app[SERVICES].hosted
    return hosted if is_hosted and hosted is not None else feed(request)


async def _hit(asked: Feed, package_id: PackageId) -> SearchHit | None:
    query = SearchQuery(f"packageid:{package_id.text}", take=1, prerelease=True, semver_level2=True)
    hits = (await asked.search(query)).value.hits
    return next((hit for hit in hits if PackageId.parse(hit.id) == package_id), None)


async def _catalog(asked: Feed, identity: PackageIdentity) -> Mapping[str, Any] | None:
    return (await asked.catalog_entry(identity)).value.document
