"""Rows of V2 collections that are found by searching: Search, and Packages without an id.

The feed's search names ids and their versions, a page at a time; registrations tell the rest and are fetched for the
entries of one page only. Rule 1: a page before the end is never short, clients take it for the last one. Rule 2: no
request reads more than a bounded number of hits and registrations, however large the catalogue.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nugetproxy.errors import NugetproxyError
from nugetproxy.executors.slices import in_slices
from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import Answer, Feed
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.nuget.identity import PackageId, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v2.evaluation import filtered, ordered
from nugetproxy.protocol.v2.feed_query import FeedQuery
from nugetproxy.protocol.v2.hints import Hints
from nugetproxy.protocol.v2.properties import KNOWN_TO_SEARCH
from nugetproxy.protocol.v2.rows import Row, rows_of_hit, rows_of_leaves
from nugetproxy.protocol.v3.registration import Registration
from nugetproxy.protocol.v3.search import SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.search_query import DEEPEST_SKIP
from nugetproxy.web.v2.gathering import AT_ONCE, HIGHEST, Gathered, paged

MOST_HITS: Final = 1_000
"""Ids among which a filter is tried and an order is kept; the upstream gives no more in one answer."""

MOST_LOADED: Final = 200
"""Ids whose registrations are read for one filter or order that a search cannot decide."""

DETAIL_SECONDS: Final = 8.0
"""After that an entry shows what the search told of it: a slow registration must not hold a whole page up."""

_FIRST_LOOK: Final = 100


@dataclass(frozen=True, slots=True)
class _Hits:
    found: Sequence[SearchHit]
    total: int
    provenance: Provenance


async def rows_by_search(
    feed: Feed,
    links: Links,
    query: FeedQuery,
    hints: Hints,
    *,
    term: str,
    with_prerelease: bool,
    with_details: bool = True,
) -> Gathered:
    """Listed versions of what `term`, or else the words of the filter, find. Without either everything is searched.

    `with_details` False spares the registrations for whoever only counts.
    """
    # As at nuget.org each of the two flags decides about prereleases, whatever the parameter says.
    looks_at_prerelease = hints.mentions_absolute_latest or (with_prerelease and not hints.needs_latest)
    drops_prerelease = not (with_prerelease or hints.needs_absolute_latest)
    asked = SearchQuery(term, prerelease=looks_at_prerelease, semver_level2=query.level2)
    words = [term] if term.strip() or hints.words is None else sorted(hints.words)
    # Then hits and entries are one to one, and the search's own paging is ours. Old clients may be unable to read the
    # version of a hit, which only happens to prereleases.
    is_one_to_one = hints.is_one_flag and len(words) == 1 and (query.level2 or not looks_at_prerelease)
    if is_one_to_one and not query.orders:
        hits = await _page_of_hits(feed, replace(asked, text=words[0]), query)
    else:
        hits = await _hits(feed, asked, words)
        if is_one_to_one and hits.total > MOST_HITS:
            # Too many to sort: the search's order holds, and each page is sorted in itself.
            hits = await _page_of_hits(feed, replace(asked, text=words[0]), query)
        else:
            is_one_to_one = False
    by_id = {lower_invariant(hit.id): hit for hit in hits.found}
    # A hit of a mature package names a hundred versions, and there may be a thousand hits: not on the event loop.
    rows = await RENDERING.run(_rows, hits.found, links, query)
    if drops_prerelease:
        rows = [row for row in rows if not row.version.is_prerelease]
    if is_one_to_one:
        rows = ordered(filtered(rows, query.filter), query.orders)
        gathered = Gathered(rows, hits.total, hits.provenance, _following(query, hits))
    else:
        if hints.needs_registrations or not _is_known(query):
            first = dict(list(by_id.items())[:MOST_LOADED])
            rows = [row for row in rows if lower_invariant(row.package_id) in first]
            rows, hits = await _detailed(feed, links, query, Hints(), rows, first, hits)
        gathered = await paged(rows, query, hits.provenance)
    if not with_details:
        return gathered
    detailed, hits = await _detailed(feed, links, query, hints, gathered.rows, by_id, hits)
    return replace(gathered, rows=detailed, provenance=hits.provenance)


def _following(query: FeedQuery, hits: _Hits) -> int | None:
    """Where the page after a page of hits starts.

    A page that is shorter than asked for is the last one, whatever the total says: hits that are hidden are counted in
    it as far as nobody looked at them. Pages that are too deep are empty.
    """
    end = query.skip + len(hits.found)
    is_last = len(hits.found) < query.page_length or end >= hits.total or end > DEEPEST_SKIP
    return None if is_last or not hits.found else end


def _rows(hits: Iterable[SearchHit], links: Links, query: FeedQuery) -> list[Row]:
    return [row for hit in hits for row in rows_of_hit(hit, links, level2=query.level2)]


def _is_known(query: FeedQuery) -> bool:
    return all(each.name in KNOWN_TO_SEARCH for order in query.orders for each in order.properties)


# --- hits -------------------------------------------------------------------------------------------------------------


async def _page_of_hits(feed: Feed, asked: SearchQuery, query: FeedQuery) -> _Hits:
    if query.skip > DEEPEST_SKIP:
        # Nothing is shown so deep, and yet there is as much as on the first page.
        first = await _searched(feed, replace(asked, take=query.page_length))
        return _Hits((), first.value.total, first.provenance)
    answer = await _searched(feed, replace(asked, skip=query.skip, take=query.page_length))
    return _Hits(answer.value.hits[: query.page_length], answer.value.total, answer.provenance)


async def _hits(feed: Feed, asked: SearchQuery, words: Iterable[str]) -> _Hits:
    """The first hits of all words together, each id once."""
    found: dict[str, SearchHit] = {}
    total, provenance = 0, None
    for word in words:
        first = await _searched(feed, replace(asked, text=word, skip=0, take=_FIRST_LOOK))
        answers = [first]
        if first.value.total > _FIRST_LOOK:
            rest = replace(asked, text=word, skip=_FIRST_LOOK, take=MOST_HITS - _FIRST_LOOK)
            answers.append(await _searched(feed, rest))
        for answer in answers:
            provenance = answer.provenance if provenance is None else provenance.joined(answer.provenance)
            for hit in answer.value.hits:
                found.setdefault(lower_invariant(hit.id), hit)
        total += first.value.total
    assert provenance is not None  # there is always a word, if only an empty one
    return _Hits(tuple(found.values())[:MOST_HITS], total, provenance)


async def _searched(feed: Feed, asked: SearchQuery) -> Answer[SearchPage]:
    if asked.asks_nothing:
        return Answer(SearchPage(0, ()))
    return await feed.search(asked)


# --- details ----------------------------------------------------------------------------------------------------------


async def _detailed(
    feed: Feed,
    links: Links,
    query: FeedQuery,
    hints: Hints,
    rows: Sequence[Row],
    hits: Mapping[str, SearchHit],
    so_far: _Hits,
) -> tuple[list[Row], _Hits]:
    """The rows as registrations tell them; those that cannot be had stay as they are."""
    lowest: dict[str, Row] = {}
    for row in rows:
        key = lower_invariant(row.package_id)
        if key not in lowest or row.version < lowest[key].version:
            lowest[key] = row
    answers = await _registrations(feed, list(lowest.items()))
    provenance = so_far.provenance
    detailed: dict[str, list[Row]] = {}
    unfit: set[tuple[str, NuGetVersion]] = set()
    for key, answer in answers.items():
        unfit.update((key, leaf.version) for leaf in answer.value.loaded_leaves if not leaf.fits)
        leaves = answer.value.loaded_leaves
        detailed[key] = await in_slices(rows_of_leaves(leaves, links, level2=query.level2, hit=hits.get(key)))
        provenance = provenance.joined(answer.provenance)
    if len(answers) < len(lowest):
        provenance = replace(provenance, fresh_for=0.0)  # the next asker may see more
    # A search knows nothing of dependencies: a version with too many would look like one without.
    keyed = [(lower_invariant(row.package_id), row) for row in rows]
    chosen = [_chosen(row, detailed.get(key, ()), hints) for key, row in keyed if (key, row.version) not in unfit]
    return chosen, replace(so_far, provenance=provenance)


def _chosen(row: Row, detailed: Sequence[Row], hints: Hints) -> Row:
    """A search may lag behind: where the latest version is wanted, the registration says which one that is."""
    if hints.is_one_flag:
        flag = "is_latest" if hints.needs_latest else "is_absolute_latest"
        latest = next((each for each in detailed if getattr(each, flag)), None)
        if latest is not None:
            return latest
    return next((each for each in detailed if each.version == row.version), row)


async def _registrations(feed: Feed, lowest: Sequence[tuple[str, Row]]) -> dict[str, Answer[Registration]]:
    """The registrations from those versions upwards, as many as can be had in time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def asked(row: Row) -> Answer[Registration]:
        async with turns:
            return await feed.registration_between(PackageId.parse(row.package_id), row.version, HIGHEST)

    tasks = {key: asyncio.create_task(asked(row)) for key, row in lowest}
    if not tasks:
        return {}
    try:
        await asyncio.wait(tasks.values(), timeout=DETAIL_SECONDS)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    answers = {}
    for key, task in tasks.items():
        if task.cancelled():
            continue
        error = task.exception()
        if error is None:
            answers[key] = task.result()
        elif not isinstance(error, NugetproxyError):
            raise error
    return answers
