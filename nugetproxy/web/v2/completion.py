"""GET package-ids and package-versions: what Visual Studio completes with the Tab key on a V2 source.

They are the one corner of V2 that speaks JSON.
"""

import orjson
from aiohttp import web

from nugetproxy.errors import PackageNotFound
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.protocol.v2.feed_query import FeedQuery
from nugetproxy.protocol.v3.search import CompletionQuery
from nugetproxy.web.incoming import feed
from nugetproxy.web.keys import Resource
from nugetproxy.web.responses import document

_MOST_IDS = 30


async def package_ids(request: web.Request) -> web.StreamResponse:
    """At most 30 ids that begin with `partialId`, the most popular ones when it is empty."""
    query = FeedQuery.from_pairs(request.query.items())
    asked = CompletionQuery(
        text=query.text("partialId"),
        take=_MOST_IDS,
        prerelease=query.flag("includePrerelease"),
        semver_level2=query.level2,
    )
    return await _send(request, asked)


async def package_versions(request: web.Request) -> web.StreamResponse:
    """All versions of an id; none when nobody knows it."""
    query = FeedQuery.from_pairs(request.query.items())
    asked = CompletionQuery(
        package_id=request.match_info["id"],
        prerelease=query.flag("includePrerelease"),
        semver_level2=query.level2,
    )
    return await _send(request, asked)


async def _send(request: web.Request, asked: CompletionQuery) -> web.StreamResponse:
    values: tuple[str, ...] = ()
    provenance = Provenance(Outcome.ABSENT)
    if not asked.asks_nothing:
        try:
            answer = await feed(request).complete(asked)
            values, provenance = answer.value.values, answer.provenance
        except PackageNotFound:
            pass
    limit = None if asked.asks_versions else _MOST_IDS
    body = orjson.dumps(values[:limit])
    return await document(request, body, provenance, Resource.V2_COMPLETION, holds_links=False)
