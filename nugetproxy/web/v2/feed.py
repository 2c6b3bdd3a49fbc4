"""GET the collections of the V2 feed: Packages, FindPackagesById, Search, GetUpdates, and their counts.

`gathering.py` and `searching.py` ask the feed which package versions they contain.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web

from nugetproxy.errors import DocumentNotFound, InvalidRequest
from nugetproxy.executors.slices import in_slices
from nugetproxy.feeds.base import Answer
from nugetproxy.protocol.v2.atom import COUNT_TYPE, FEED_TYPE, write_feed
from nugetproxy.protocol.v2.feed_query import FeedQuery
from nugetproxy.protocol.v2.hints import hints_of
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, links, unknown_document
from nugetproxy.web.v2.answers import odata
from nugetproxy.web.v2.entries import send_entry, send_property
from nugetproxy.web.v2.gathering import Gathered, rows_by_id, rows_of_updates
from nugetproxy.web.v2.searching import rows_by_search

_SEGMENT = re.compile(r"([A-Za-z]+)(\(.*\))?", re.DOTALL)


async def collection(request: web.Request) -> web.StreamResponse:
    """A page of a collection, or the entry that a key in brackets names."""
    segment = request.match_info["collection"]
    _, key = _read_segment(segment)
    if key:
        return await send_entry(request, key)
    found = await feed_document(request, segment, FeedQuery.from_pairs(request.query.items()))
    return await odata(request, found.value, found.provenance, Resource.V2_FEED, FEED_TYPE, warnings=found.warnings)


async def feed_document(request: web.Request, segment: str, query: FeedQuery) -> Answer[bytes]:
    """A page of the collection that the decoded path segment names, for the client of this request.

    Raises:
        DocumentNotFound: the segment does not name a collection.
    """
    name, key = _read_segment(segment)
    if key:
        raise DocumentNotFound(f"{name} with a key is not a collection")
    found = await _COLLECTIONS[name](request, query, True)
    ours = links(request)
    body = await in_slices(
        write_feed(
            name,
            found.rows,
            ours,
            count=found.total if query.with_count else None,
            next_page=query.next_page(ours.v2_collection(f"{name}()"), found.following),
        )
    )
    return Answer(body, found.provenance, found.warnings)


async def count_or_property(request: web.Request) -> web.StreamResponse:
    """`Search()/$count`: the bare number after filters and before paging. `Packages(...)/Id`: one property."""
    name, key = _read_segment(request.match_info["collection"])
    below = request.match_info["below"]
    if key:
        return await send_property(request, key, below)
    if below.lower() != "$count":
        raise unknown_document(request)
    query = replace(FeedQuery.from_pairs(request.query.items()), skip=0, top=None)
    found = await _COLLECTIONS[name](request, query, False)
    return await odata(request, str(found.total).encode(), found.provenance, Resource.V2_FEED, COUNT_TYPE)


def _read_segment(segment: str) -> tuple[str, str]:
    """The collection's name as we write it, and the key in its brackets, if any."""
    match = _SEGMENT.fullmatch(segment)
    name = _NAMES.get(match[1].lower()) if match else None
    if match is None or name is None:
        raise DocumentNotFound(f"there is no collection {segment[:100]} here")
    key = match[2] or ""
    if not key.strip("() "):
        return name, ""
    if name != "Packages":
        raise InvalidRequest(f"{name} takes its parameters from the query")
    return name, key


async def _packages(request: web.Request, query: FeedQuery, with_details: bool) -> Gathered:
    hints = hints_of(query.filter)
    if hints.ids is not None:
        return await rows_by_id(feed(request), links(request), query, hints.ids)
    return await rows_by_search(
        feed(request), links(request), query, hints, term="", with_prerelease=True, with_details=with_details
    )


async def _find_packages_by_id(request: web.Request, query: FeedQuery, _: bool) -> Gathered:
    return await rows_by_id(feed(request), links(request), query, [query.text("id")])


async def _search(request: web.Request, query: FeedQuery, with_details: bool) -> Gathered:
    hints, term = hints_of(query.filter), query.text("searchTerm")
    if hints.ids is not None and not term.strip():
        return await rows_by_id(feed(request), links(request), query, hints.ids, listed_only=True)
    return await rows_by_search(
        feed(request),
        links(request),
        query,
        hints,
        term=term,
        with_prerelease=query.flag("includePrerelease"),
        with_details=with_details,
    )


async def _get_updates(request: web.Request, query: FeedQuery, _: bool) -> Gathered:
    return await rows_of_updates(feed(request), links(request), query)


_COLLECTIONS: dict[str, Callable[[web.Request, FeedQuery, bool], Awaitable[Gathered]]] = {
    "Packages": _packages,
    "FindPackagesById": _find_packages_by_id,
    "Search": _search,
    "GetUpdates": _get_updates,
}
_NAMES = {name.lower(): name for name in _COLLECTIONS}
