"""GET search and autocomplete. Malformed parameters are not errors: each falls back to its default."""

from aiohttp import web

from nugetproxy.executors.slices import in_slices
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from nugetproxy.protocol.v3.search_writer import write_completion, write_search
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, links


async def search(request: web.Request) -> web.StreamResponse:
    query = SearchQuery.from_params(request.query)
    answer = await feed(request).search(query)
    body = await in_slices(write_search(answer.value, query, links(request)))
    return await document(request, body, answer.provenance, Resource.SEARCH)


async def autocomplete(request: web.Request) -> web.StreamResponse:
    query = CompletionQuery.from_params(request.query)
    answer = await feed(request).complete(query)
    body = write_completion(answer.value, query, links(request))
    return await document(request, body, answer.provenance, Resource.AUTOCOMPLETE)
