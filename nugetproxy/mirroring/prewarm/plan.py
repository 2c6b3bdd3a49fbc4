"""What to fetch: every package that the sources want, who wants each, and what cannot be satisfied.

Fetches nothing but what the resolver asks for.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nugetproxy.mirroring.prewarm.lookup import FeedLookup
from nugetproxy.nuget.closure.model import Closure, Missing, Problem, Project, Reference, Target
from nugetproxy.nuget.closure.walk import resolve
from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.projects.sources import Request, Sources, Unsure
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange

NEWEST: Final = Framework(".NETCoreApp", (10, 0, 0, 0))
"""The framework for which single packages are resolved if no other is given."""

By = tuple[str, ...]
"""Who wants a package, from a file to the package that depends on it."""


@dataclass(slots=True)
class Wish:
    """One wanted package. `hashes` are the content hashes that lock files state for it (base64 SHA-512)."""

    identity: PackageIdentity
    by: dict[By, None] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Extras:
    """What to fetch besides the closure, each with its dependencies.

    `latest_patch`: the newest patch of every package. `newest`: this many of the newest stable versions of packages
    that a source names itself. `all_versions`: every version of the ids that match these globs.
    """

    latest_patch: bool = False
    newest: int = 0
    all_versions: tuple[str, ...] = ()
    frameworks: tuple[Framework, ...] = ()
    runtimes: tuple[str, ...] = ()


@dataclass(slots=True)
class Plan:
    """`wishes` by identity, in the order of discovery. `problems` say why a restore fails although all packages exist,
    each with its project."""

    wishes: dict[PackageIdentity, Wish] = field(default_factory=dict)
    missing: dict[Missing, None] = field(default_factory=dict)
    problems: dict[tuple[str, Problem], None] = field(default_factory=dict)
    unsure: tuple[Unsure, ...] = ()
    frameworks: dict[Framework, None] = field(default_factory=dict)

    def want(self, identity: PackageIdentity, by: By, content_hash: str | None = None) -> None:
        wish = self.wishes.setdefault(identity, Wish(identity))
        wish.by[by] = None
        if content_hash is not None:
            wish.hashes.add(content_hash)


def exactly(sources: Sources) -> Plan:
    """The packages that need no resolving: of lock files and exact lines of lists, and the packs that projects with a
    lock file download."""
    plan = Plan(unsure=sources.unsure)
    for each in sources.exact:
        plan.want(each.identity, (each.by,), each.content_hash)
    for path in sources.locked:
        for target in sources.projects[path].targets if path in sources.projects else ():
            for identity in target.downloads:
                plan.want(identity, (path,))
    return plan


async def planned(sources: Sources, lookup: FeedLookup, extras: Extras = Extras()) -> Plan:
    """Everything: what the sources name, its dependencies, and the extras."""
    plan = exactly(sources)
    _add(plan, await resolve(sources.projects, sources.roots, lookup))
    await _add_requests(plan, sources.requests, lookup, extras)
    await _add_extras(plan, lookup, extras)
    return plan


async def _add_requests(plan: Plan, requests: Sequence[Request], lookup: FeedLookup, extras: Extras) -> None:
    """Lines of lists: each is resolved on its own, so that all of their versions are available."""
    wanted: list[tuple[str, PackageId, VersionRange]] = []
    await asyncio.gather(*(lookup.listed_versions(each.id) for each in requests if each.range is None))
    for request in requests:
        chosen = request.range
        if chosen is None:
            newest = _newest(await lookup.listed_versions(request.id))
            if newest is None:
                plan.missing[Missing(request.id, "newest", (request.by,), "it does not exist")] = None
                continue
            chosen = _only(newest)
        wanted.append((request.by, request.id, chosen))
    await _resolve_single(plan, wanted, lookup, extras.frameworks or (NEWEST,), extras.runtimes)


async def _add_extras(plan: Plan, lookup: FeedLookup, extras: Extras) -> None:
    frameworks = extras.frameworks or tuple(plan.frameworks) or (NEWEST,)
    found: dict[PackageIdentity, str] = {}
    ids = dict.fromkeys(identity.id for identity in plan.wishes)
    if extras.latest_patch or extras.newest:
        await asyncio.gather(*map(lookup.listed_versions, ids))  # each is asked once; below it is known
    if extras.latest_patch:
        for identity in plan.wishes:
            patches = [each for each in await lookup.listed_versions(identity.id) if _is_patch(each, identity.version)]
            if patches:
                found.setdefault(PackageIdentity(identity.id, max(patches)), f"newest patch of {identity}")
    if extras.newest:
        for package_id in {wish.identity.id for wish in plan.wishes.values() if any(len(by) == 1 for by in wish.by)}:
            stable = [each for each in await lookup.listed_versions(package_id) if not each.is_prerelease]
            for version in sorted(stable)[-extras.newest :]:
                found.setdefault(PackageIdentity(package_id, version), f"--newest {extras.newest}")
    named = [PackageId.parse(glob) for glob in extras.all_versions if "*" not in glob]
    matching = [each for each in ids if any_glob_matches(extras.all_versions, each.lower)]
    await asyncio.gather(*map(lookup.versions, [*matching, *named]))
    for package_id in dict.fromkeys([*matching, *named]):
        versions = await lookup.versions(package_id)
        if not versions:
            plan.missing[Missing(package_id, "all", ("--all-versions",), "it does not exist")] = None
        for version in versions:
            found.setdefault(PackageIdentity(package_id, version), f"--all-versions {package_id.text}")
    new = {identity: why for identity, why in found.items() if identity not in plan.wishes}
    single = [(why, identity.id, _only(identity.version)) for identity, why in new.items()]
    await _resolve_single(plan, single, lookup, frameworks, extras.runtimes)
    for identity, why in new.items():
        plan.want(identity, (why,))  # also if it has nothing for these frameworks


async def _resolve_single(
    plan: Plan,
    wanted: Iterable[tuple[str, PackageId, VersionRange]],
    lookup: FeedLookup,
    frameworks: Sequence[Framework],
    runtimes: tuple[str, ...],
) -> None:
    """Resolve packages as if each were the only reference of a project of its own, named by who wants it."""
    projects: dict[str, Project] = {}
    names: dict[str, str] = {}
    for by, package_id, wanted_range in wanted:
        targets = tuple(
            Target(framework, (Reference(package_id, wanted_range),), runtimes=runtimes) for framework in frameworks
        )
        path = f"{len(projects)} {by}"
        projects[path], names[path] = Project(path, targets), by
    if projects:
        _add(plan, await resolve(projects, tuple(projects), lookup), names)


def _add(plan: Plan, closures: Iterable[Closure], names: Mapping[str, str] | None = None) -> None:
    names = names or {}
    for closure in closures:
        if not names:
            plan.frameworks.setdefault(closure.framework)
        target = closure.framework.short + (f", {closure.runtime}" if closure.runtime else "")
        name = names.get(closure.project) or f"{closure.project} ({target})"
        for selected in closure.packages:
            plan.want(selected.identity, (name, *selected.by[1:]))
        plan.problems.update(dict.fromkeys((name, each) for each in closure.problems))
        for missing in closure.missing:
            told = Missing(missing.id, missing.range, (name, *missing.by[1:]), missing.why, missing.nearest)
            plan.missing[told] = None


def _newest(versions: Sequence[NuGetVersion]) -> NuGetVersion | None:
    """The newest stable version; the newest of all if none is stable."""
    return max([each for each in versions if not each.is_prerelease] or versions, default=None)


def _is_patch(version: NuGetVersion, of: NuGetVersion) -> bool:
    same = (version.major, version.minor) == (of.major, of.minor)
    return same and not version.is_prerelease and version > of


def _only(version: NuGetVersion) -> VersionRange:
    return VersionRange(version, True, version, True)
