"""GET /v3/index.json"""

from aiohttp import web

from nugetproxy.httpcache.outcome import OWN
from nugetproxy.protocol.v3.service_index import write_service_index
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, links, origin
from nugetproxy.web.requests.keys import SERVICES


async def service_index(request: web.Request) -> web.StreamResponse:
    offered = await feed(request).offered()
    # Over plain http a RepositorySignatures entry breaks every restore (repository-signatures-resource).
    with_signatures = offered.repository_signatures and origin(request).scheme == "https"
    body = write_service_index(
        links(request),
        vulnerabilities=offered.vulnerabilities,
        repository_signatures=with_signatures,
        hosting=request.app[SERVICES].hosting is not None,
    )
    return await document(request, body, OWN, Resource.SERVICE_INDEX)
