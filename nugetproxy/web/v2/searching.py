"""Rows of V2 collections that are found by searching: Search, and Packages without an id.

The feed's search names ids and their versions, a page at a time; registrations contain the rest and are fetched only
for the entries of one page. Rule 1: a page before the end is never short, clients take it for the last one. Rule 2: no
request reads more than a bounded number of hits and registrations, however large the catalogue.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nugetproxy.errors import NugetproxyError
from nugetproxy.executors.slices import in_slices
from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import Answer, Feed
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.nuget.identity import PackageId, lower_invariant
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v2.evaluation import filtered, ordered
from nugetproxy.protocol.v2.feed_query import FeedQuery
from nugetproxy.protocol.v2.hints import Hints
from nugetproxy.protocol.v2.properties import KNOWN_TO_SEARCH
from nugetproxy.protocol.v2.rows import Row, rows_of_hit, rows_of_leaves
from nugetproxy.protocol.v3.search import SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.search_query import DEEPEST_SKIP
from nugetproxy.web.v2.gathering import AT_ONCE, HIGHEST, Gathered, paged

MOST_HITS: Final = 1_000
"""Ids to which a filter and an order are applied; the upstream returns no more in one response."""

MOST_ROWS: Final = 300_000
"""Versions to which a filter is applied; beyond that, each id shows its newest. A thousand popular ids have 100,000."""

MOST_LOADED: Final = 200
"""Ids whose registrations are read for one filter or order that a search cannot decide."""

DETAIL_SECONDS: Final = 8.0
"""After that an entry shows only what the search returned: a slow registration must not delay a whole page."""

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
    """Listed versions found by `term`, or else by the words of the filter. With neither, everything is searched.

    `with_details` False skips the registrations, for requests that only count.
    """
    # As at nuget.org, each of the two flags decides about prereleases, whatever the parameter says.
    looks_at_prerelease = hints.mentions_absolute_latest or (with_prerelease and not hints.needs_latest)
    drops_prerelease = not (with_prerelease or hints.needs_absolute_latest)
    asked = SearchQuery(term, prerelease=looks_at_prerelease, semver_level2=query.level2)
    words = [term] if term.strip() or hints.words is None else sorted(hints.words)
    # Hits and entries then correspond one to one, and the search's own paging can be used. Old clients may be unable to
    # read the version of a hit, which only happens with prereleases.
    is_one_to_one = hints.is_one_flag and len(words) == 1 and (query.level2 or not looks_at_prerelease)
    if is_one_to_one and not query.orders:
        hits = await _page_of_hits(feed, replace(asked, text=words[0]), query)
    else:
        hits = await _hits(feed, asked, words)
        if is_one_to_one and hits.total > MOST_HITS:
            # Too many to sort: the pages follow the search's order, and each is sorted by itself.
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

    A page that is shorter than requested is the last one, whatever the total says: hidden hits beyond those already
    read are included in it. Pages that are too deep are empty.
    """
    end = query.skip + len(hits.found)
    is_last = len(hits.found) < query.page_length or end >= hits.total or end > DEEPEST_SKIP
    return None if is_last or not hits.found else end


def _rows(hits: Sequence[SearchHit], links: Links, query: FeedQuery) -> list[Row]:
    named = sum(len(versions) for hit in hits if isinstance(versions := hit.raw.get("versions"), list))
    newest = MOST_ROWS // len(hits) if named > MOST_ROWS else MOST_ROWS
    return [row for hit in hits for row in rows_of_hit(hit, links, level2=query.level2)[-newest:]]


def _is_known(query: FeedQuery) -> bool:
    return all(each.name in KNOWN_TO_SEARCH for order in query.orders for each in order.properties)


# --- hits -------------------------------------------------------------------------------------------------------------


async def _page_of_hits(feed: Feed, asked: SearchQuery, query: FeedQuery) -> _Hits:
    if query.skip > DEEPEST_SKIP:
        # Nothing is shown this deep, but the total is that of the first page.
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


@dataclass(frozen=True, slots=True)
class _Details:
    """The replacement for each row of one id; None for a row that is left out."""

    instead: Mapping[Row, Row | None]
    provenance: Provenance


async def _detailed(
    feed: Feed,
    links: Links,
    query: FeedQuery,
    hints: Hints,
    rows: Sequence[Row],
    hits: Mapping[str, SearchHit],
    so_far: _Hits,
) -> tuple[list[Row], _Hits]:
    """The rows with the data of registrations; rows whose registration is not available stay as they are."""
    by_id: dict[str, list[Row]] = {}
    for row in rows:
        by_id.setdefault(lower_invariant(row.package_id), []).append(row)

    async def details_of(key: str) -> _Details:
        # Only the parts of a registration that are shown are kept: a hundred of them are hundreds of megabytes.
        lowest = min(by_id[key], key=lambda row: row.version)
        answer = await feed.registration_between(PackageId.parse(lowest.package_id), lowest.version, HIGHEST)
        leaves = answer.value.loaded_leaves
        found = await in_slices(rows_of_leaves(leaves, links, level2=query.level2, hit=hits.get(key)))
        # A search does not know dependencies: a version with too many would look like one without.
        unfit = {leaf.version for leaf in leaves if not leaf.fits}
        instead = _instead(by_id[key], found, hints)
        return _Details({row: None if row.version in unfit else instead[row] for row in by_id[key]}, answer.provenance)

    details = await _as_many_as_in_time(by_id, details_of)
    provenance = so_far.provenance
    instead: dict[Row, Row | None] = {}
    for each in details:
        instead.update(each.instead)
        provenance = provenance.joined(each.provenance)
    if len(details) < len(by_id):
        provenance = replace(provenance, fresh_for=0.0)  # the next request may see more
    chosen = (instead.get(row, row) for row in rows)
    return [row for row in chosen if row is not None], replace(so_far, provenance=provenance)


def _instead(rows: Sequence[Row], detailed: Sequence[Row], hints: Hints) -> dict[Row, Row]:
    """A search may lag behind: where the latest version is wanted, the registration decides which one it is."""
    if hints.is_one_flag:
        flag = "is_latest" if hints.needs_latest else "is_absolute_latest"
        latest = next((each for each in detailed if getattr(each, flag)), None)
        if latest is not None:
            return dict.fromkeys(rows, latest)
    by_version = {each.version: each for each in detailed}
    return {row: by_version.get(row.version, row) for row in rows}


async def _as_many_as_in_time(
    keys: Iterable[str], details_of: Callable[[str], Awaitable[_Details]]
) -> Sequence[_Details]:
    """The details that are available within DETAIL_SECONDS, in the order of the keys."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def asked(key: str) -> _Details:
        async with turns:
            return await details_of(key)

    tasks = [asyncio.create_task(asked(key)) for key in keys]
    if not tasks:
        return ()
    try:
        await asyncio.wait(tasks, timeout=DETAIL_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    found = []
    for task in tasks:
        if task.cancelled():
            continue
        error = task.exception()
        if error is None:
            found.append(task.result())
        elif not isinstance(error, NugetproxyError):
            raise error
    return found
