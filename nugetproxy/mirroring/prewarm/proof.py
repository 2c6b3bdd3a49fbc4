"""A proof: whether what sources want can be restored from a feed, such as that of an offline server.

It asks the feed for everything that a restore reads and looks at every package file, so what is complete here restores.
Which feed that is, and how gaps are shown, belongs to the command.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from nugetproxy.errors import DocumentNotFound, InvalidPackage, NugetproxyError, PackageNotFound
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.feeds.base import Feed, LocalFile
from nugetproxy.mirroring.prewarm.files import PackageFiles
from nugetproxy.mirroring.prewarm.lookup import FeedLookup
from nugetproxy.mirroring.prewarm.plan import By, Extras, Plan, Wish, planned
from nugetproxy.mirroring.prewarm.run import content_hash_of, other_content
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.projects.sources import Sources, Unsure

_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Gap:
    """Why a restore would fail. `by` are the paths of those who want it.

    `wanted` is a line for a list that names the missing package, empty if nothing is missing; `lower_id` is its id.
    """

    what: str
    why: str
    by: tuple[By, ...]
    wanted: str = ""
    lower_id: str = ""


@dataclass(slots=True)
class Proof:
    """`checked` packages are there and right, `bytes` in total. `remarks` do not make a restore fail."""

    checked: int = 0
    bytes: int = 0
    gaps: list[Gap] = field(default_factory=list)
    unsure: tuple[Unsure, ...] = ()
    remarks: list[str] = field(default_factory=list)
    names: dict[str, bool] = field(default_factory=dict)
    """Who wants something (a lock file; a project with its framework): whether it has everything."""

    @property
    def is_complete(self) -> bool:
        return not self.gaps


async def prove(
    feed: Feed, files: PackageFiles, lookup: FeedLookup, sources: Sources, extras: Extras, *, locked: bool
) -> Proof:
    """Resolve what the sources want over `feed`, and check that it is there. `locked`: compare content hashes too."""
    plan = await planned(sources, lookup, extras)
    proof = Proof(unsure=plan.unsure)
    _add_unresolved(proof, plan, lookup)
    places = asyncio.Semaphore(_AT_ONCE)

    async def check(wish: Wish) -> None:
        async with places:
            file, faults = await _looked_at(wish, files, lookup, locked=locked)
        proof.gaps += [
            Gap(str(wish.identity), why, tuple(wish.by), str(wish.identity), wish.identity.lower_id) for why in faults
        ]
        if file is not None and not faults:
            proof.checked += 1
            proof.bytes += file.size

    async with asyncio.TaskGroup() as group:
        for wish in plan.wishes.values():
            group.create_task(check(wish))
    await _add_remarks(proof, feed)
    _add_names(proof, plan)
    proof.gaps.sort(key=lambda gap: gap.what.lower())
    return proof


async def _looked_at(
    wish: Wish, files: PackageFiles, lookup: FeedLookup, *, locked: bool
) -> tuple[LocalFile | None, list[str]]:
    """The file of a package, and sentences about what is wrong with it."""
    identity = wish.identity
    try:
        file = await files.file(identity)
    except NugetproxyError as error:
        return None, [str(error)]
    if file is None:
        return None, ["it was received but could not be stored"]
    if identity.version not in await lookup.versions(identity.id):
        return file, ["its file is there, but the list of versions does not name it"]
    fault = await UPKEEP.run(_fault_in, file, identity)
    if fault:
        return file, [fault]
    if not locked or not wish.hashes:
        return file, []
    actual = await UPKEEP.run(content_hash_of, file)
    return file, [other_content(stated, actual) for stated in sorted(wish.hashes - {actual})]


def _fault_in(file: LocalFile, identity: PackageIdentity) -> str:
    try:
        if (actual := file.path.stat().st_size) != file.size:
            return f"its file has {actual} bytes instead of {file.size}"
        with file.path.open("rb") as opened:
            found = Nupkg(opened).identity
    except OSError as error:
        return f"its file cannot be read: {error.strerror}"
    except InvalidPackage as error:
        return f"its file is damaged: {error}"
    return "" if found == identity else f"its file is that of {found}"


def _add_unresolved(proof: Proof, plan: Plan, lookup: FeedLookup) -> None:
    for missing in plan.missing:
        failure = lookup.failures.get(missing.id.lower)
        nearest = f"; the nearest is {missing.nearest}" if missing.nearest is not None else ""
        why = str(failure) if failure is not None else missing.why + nearest
        wanted = f"{missing.id.text} {missing.range}" if missing.range not in ("newest", "all") else missing.id.text
        proof.gaps.append(
            Gap(f"{missing.id.text} {missing.range}".strip(), why, (missing.by,), wanted, missing.id.lower)
        )
    told = {missing.id.lower for missing in plan.missing}
    for lower_id, failure in lookup.failures.items():
        if lower_id not in told:
            by = _wanting(plan, PackageId.parse(lower_id))
            proof.gaps.append(Gap(f"dependencies of {lower_id}", str(failure), by))
    for name, problem in plan.problems:
        proof.gaps.append(Gap(f"{name}: {problem.code}".removesuffix(": "), problem.text, ((name,),)))


def _wanting(plan: Plan, package_id: PackageId) -> tuple[By, ...]:
    return tuple(by for wish in plan.wishes.values() if wish.identity.id == package_id for by in wish.by)


async def _add_remarks(proof: Proof, feed: Feed) -> None:
    """Documents without which restore works, but tells less."""
    asks = {
        "vulnerability data is kept: NuGetAudit reports nothing": feed.vulnerabilities,
        "repository signatures are kept: clients that require signed packages cannot verify them": feed.signatures,
    }
    for what, ask in asks.items():
        try:
            await ask()
        except (DocumentNotFound, PackageNotFound):
            proof.remarks.append(f"no {what}")


def _add_names(proof: Proof, plan: Plan) -> None:
    names = [by[0] for wish in plan.wishes.values() for by in wish.by]
    incomplete = {by[0] for gap in proof.gaps for by in gap.by}
    proof.names = {name: name not in incomplete for name in dict.fromkeys([*names, *incomplete])}
