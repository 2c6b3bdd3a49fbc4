"""GET package-ids and package-versions: what Visual Studio completes with the Tab key on a V2 source.

These are the only V2 resources that return JSON.
"""

from typing import Final

from aiohttp import web

from nugetproxy.errors import InvalidPackageId
from nugetproxy.executors.slices import in_slices
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.documents import write
from nugetproxy.protocol.v2.feed_query import FeedQuery
from nugetproxy.protocol.v2.rows import rows_of_leaves
from nugetproxy.protocol.v3.search import CompletionQuery
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, links, package_id
from nugetproxy.web.v2.gathering import UNKNOWN

MOST_IDS: Final = 30
"""Ids in one response, as at nuget.org."""

LOOKED_AT: Final = 200
"""Ids that are searched for those with a given beginning: an autocomplete matches any word of an id."""

_NOBODYS: Final = Provenance(Outcome.ABSENT)


async def package_ids(request: web.Request) -> web.StreamResponse:
    """At most 30 ids that begin with `partialId`, the most popular ones when it is empty."""
    query = FeedQuery.from_pairs(request.query.items())
    beginning = query.text("partialId")
    asked = CompletionQuery(
        text=beginning,
        take=LOOKED_AT if beginning else MOST_IDS,
        prerelease=query.flag("includePrerelease"),
        semver_level2=query.level2,
    )
    answer = await feed(request).complete(asked)
    lower = lower_invariant(beginning)
    ids = [each for each in answer.value.values if lower_invariant(each).startswith(lower)]
    return await _send(request, ids[:MOST_IDS], answer.provenance)


async def package_versions(request: web.Request) -> web.StreamResponse:
    """The listed versions of an id, ascending; empty for an unknown id.

    They are read from its registration: when the upstream's autocomplete is unavailable, the answer would come from
    what is hosted or cached, and an empty list would be taken for "does not exist".
    """
    query = FeedQuery.from_pairs(request.query.items())
    try:
        answer = await feed(request).complete_registration(package_id(request))
    except (InvalidPackageId, *UNKNOWN):
        return await _send(request, [], _NOBODYS)
    with_prerelease = query.flag("includePrerelease")
    rows = await in_slices(rows_of_leaves(answer.value.loaded_leaves, links(request), level2=query.level2))
    versions = [row.version.full for row in rows if row.listed and (with_prerelease or not row.version.is_prerelease)]
    return await _send(request, versions, answer.provenance)


async def _send(request: web.Request, values: list[str], provenance: Provenance) -> web.StreamResponse:
    return await document(request, write(values), provenance, Resource.V2_COMPLETION, holds_links=False)
