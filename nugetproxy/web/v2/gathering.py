"""Rows of V2 collections whose ids are known: FindPackagesById, GetUpdates, and filters that name ids.

An id that the feed does not have adds nothing; if the feed cannot know at the moment, the whole request fails, because
the response would look complete otherwise. Results of a search are in `searching.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nugetproxy.errors import (
    AllWithheld,
    DocumentTooLarge,
    InvalidPackageId,
    InvalidRequest,
    InvalidVersion,
    InvalidVersionRange,
    PackageNotFound,
    VersionNotFound,
)
from nugetproxy.executors.slices import in_slices
from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import Feed
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import ANY_VERSION, VersionRange
from nugetproxy.protocol.bounds import LARGEST_VERSION
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v2.evaluation import filtered, ordered
from nugetproxy.protocol.v2.feed_query import FeedQuery
from nugetproxy.protocol.v2.rows import Row, rows_of_leaves
from nugetproxy.protocol.v3.registration import Leaf

HIGHEST: Final = NuGetVersion(2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1)
"""No version is above it."""

UNKNOWN: Final = (PackageNotFound, VersionNotFound)
"""How a feed reports that an id has no versions: it never had any, or all of them were deleted."""

AT_ONCE: Final = 8
"""Registrations that one request may ask the feed for at the same time."""

MOST_UPDATES: Final = 1_000
"""Ids in one GetUpdates: about what fits into the longest request line. Each needs a registration."""

LARGEST_GATHERED: Final = 100_000_000
"""Bytes of rendered versions of several ids that one request may hold. In memory they are five times as large."""

MOST_ON_LOOP: Final = 200
"""Rows that are filtered and sorted on the event loop, at up to 40 microseconds each; more go to a thread."""

_NOTHING = Provenance(Outcome.ABSENT)


@dataclass(frozen=True, slots=True)
class Gathered:
    """One page of rows, how many there are before paging, and where the next page starts (None: there is none).
    `warnings` are sentences for the client's user.

    If the rows were counted by an upstream the total may be too large, so it cannot identify the last page.
    """

    rows: Sequence[Row]
    total: int
    provenance: Provenance
    following: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one id, and what its user should know about it."""

    rows: Sequence[Row]
    provenance: Provenance
    warnings: tuple[str, ...] = ()


class _Total:
    """How much is held in memory for one request. A single id may exceed the limit."""

    def __init__(self) -> None:
        self._ids = 0
        self._size = 0

    def add(self, leaves: Iterable[Leaf]) -> None:
        """Raises InvalidRequest when it is too much."""
        self._ids += 1
        self._size += sum(leaf.size for leaf in leaves)
        if self._ids > 1 and self._size > LARGEST_GATHERED:
            raise InvalidRequest("these packages have too many versions for one query; ask for fewer of them at a time")


@dataclass(frozen=True, slots=True)
class _Update:
    """One line of a GetUpdates: the installed version, and the allowed ones."""

    package_id: PackageId
    installed: NuGetVersion
    allowed: VersionRange

    def fits(self, row: Row) -> bool:
        return row.listed and row.version > self.installed and self.allowed.satisfies(row.version)


async def rows_by_id(
    feed: Feed, links: Links, query: FeedQuery, ids: Iterable[str], *, listed_only: bool = False
) -> Gathered:
    """All versions of the ids, in the order of ids and versions unless the query says otherwise."""
    wanted = sorted(filter(None, map(_find_id, ids)), key=lambda package_id: package_id.lower)
    total = _Total()

    async def rows_of(package_id: PackageId) -> _Rows:
        answer = await feed.complete_registration(package_id)
        leaves = answer.value.loaded_leaves
        total.add(leaves)
        if leaves and not any(leaf.fits for leaf in leaves):
            what = f"the metadata of each version of {answer.value.package_id}"
            raise DocumentTooLarge(what, LARGEST_VERSION)  # an empty feed would mean that there is no such package
        found = await in_slices(rows_of_leaves(leaves, links, level2=query.level2))
        return _Rows([row for row in found if row.listed or not listed_only], answer.provenance, answer.warnings)

    return await _united(await _for_each(wanted, rows_of), query)


async def rows_of_updates(feed: Feed, links: Links, query: FeedQuery) -> Gathered:
    """Versions newer than the installed ones: the highest of each id, or all. Lists of unequal length give no rows.

    Frameworks are ignored: which ones a package supports is unknown until it is opened.

    Raises:
        InvalidRequest: more ids than one request may contain.
    """
    updates = _updates(query)
    with_prerelease, with_all = query.flag("includePrerelease"), query.flag("includeAllVersions")
    by_id: dict[PackageId, list[_Update]] = {}
    for update in updates:
        by_id.setdefault(update.package_id, []).append(update)
    total = _Total()

    async def newer(package_id: PackageId) -> _Rows:
        # Only the wanted rows are kept: a thousand registrations are gigabytes.
        lowest = min(update.installed for update in by_id[package_id])
        answer = await feed.registration_between(package_id, lowest, HIGHEST)
        found = await in_slices(rows_of_leaves(answer.value.loaded_leaves, links, level2=query.level2))
        visible = [row for row in found if with_prerelease or not row.version.is_prerelease]
        chosen: dict[NuGetVersion, Row] = {}
        for update in by_id[package_id]:
            fitting = [row for row in visible if update.fits(row)]
            chosen.update((row.version, row) for row in (fitting if with_all else fitting[-1:]))
        if with_all:
            total.add(leaf for leaf in answer.value.loaded_leaves if leaf.version in chosen)
        return _Rows(list(chosen.values()), answer.provenance, answer.warnings)

    return await _united(await _for_each(list(by_id), newer), query)


async def _united(answers: Sequence[_Rows], query: FeedQuery) -> Gathered:
    found = await paged([row for answer in answers for row in answer.rows], query, _joined(answers))
    warnings = tuple(warning for answer in answers for warning in answer.warnings)
    return replace(found, warnings=warnings) if warnings else found


async def paged(rows: Sequence[Row], query: FeedQuery, provenance: Provenance) -> Gathered:
    """The rows that pass the query's filter, in its order, cut to its page."""
    if len(rows) <= MOST_ON_LOOP:
        return _paged(rows, query, provenance)
    return await RENDERING.run(_paged, rows, query, provenance)


def _paged(rows: Sequence[Row], query: FeedQuery, provenance: Provenance) -> Gathered:
    passed = ordered(filtered(rows, query.filter), query.orders)
    end = query.skip + query.page_length
    following = end if query.page_length and end < len(passed) else None
    return Gathered(passed[query.skip : end], len(passed), provenance, following)


def _joined(answers: Sequence[_Rows]) -> Provenance:
    """The provenance of a result that combines several answers."""
    if not answers:
        return _NOTHING
    provenance = answers[0].provenance
    for answer in answers[1:]:
        provenance = provenance.joined(answer.provenance)
    return provenance


async def _for_each(ids: Sequence[PackageId], rows_of: Callable[[PackageId], Awaitable[_Rows]]) -> list[_Rows]:
    """The rows in the order of the ids, a few requested at a time; unknown ids are left out."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def asked(package_id: PackageId) -> _Rows | None:
        async with turns:
            try:
                return await rows_of(package_id)
            except AllWithheld as withheld:
                return _Rows((), _NOTHING, (withheld.warning,))
            except UNKNOWN:
                return None

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asked(package_id)) for package_id in ids]
    except ExceptionGroup as failures:  # the first is enough; the others were cancelled
        raise failures.exceptions[0] from None
    return [rows for task in tasks if (rows := task.result()) is not None]


def _updates(query: FeedQuery) -> list[_Update]:
    ids, versions = query.texts("packageIds"), query.texts("versions")
    constraints = query.texts("versionConstraints") or [""] * len(ids)
    if len(ids) > MOST_UPDATES:  # an empty feed would be taken for "everything is up to date"
        raise InvalidRequest(f"updates can be requested for at most {MOST_UPDATES} packages at a time")
    if not len(ids) == len(versions) == len(constraints):
        return []
    updates = []
    for text, version, constraint in zip(ids, versions, constraints, strict=True):
        package_id = _find_id(text)
        if package_id is None:
            continue
        try:
            updates.append(_Update(package_id, NuGetVersion.parse(version), _range(constraint)))
        except InvalidVersion:
            continue
    return updates


def _range(text: str) -> VersionRange:
    try:
        return VersionRange.parse(text)
    except InvalidVersionRange:
        return ANY_VERSION


def _find_id(text: str) -> PackageId | None:
    try:
        return PackageId.parse(text.strip())
    except InvalidPackageId:
        return None
