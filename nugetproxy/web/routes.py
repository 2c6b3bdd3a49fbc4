"""The URL table: every route on one line. The shapes are those of `protocol/links.py`.

What is answered to GET is answered to HEAD. Segments are named here and judged where they are parsed.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from nugetproxy.protocol.v3.registration import Hive
from nugetproxy.web import operations
from nugetproxy.web.keys import NOTE, Resource
from nugetproxy.web.v2.routes import V2_ROUTES
from nugetproxy.web.v3.flat_container import package_content, versions
from nugetproxy.web.v3.registration import catalog_entry, registration_document, registration_page
from nugetproxy.web.v3.search import autocomplete, search
from nugetproxy.web.v3.service_index import service_index
from nugetproxy.web.v3.signatures import certificate, repository_signatures
from nugetproxy.web.v3.vulnerabilities import vulnerabilities

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """`resource` is what a failure before the handler knows better is counted as."""

    path: str
    handler: Handler
    resource: Resource


_HIVE = "{hive:" + "|".join(sorted(Hive, key=len, reverse=True)) + "}"

ROUTES = (
    Route("/v3/index.json", service_index, Resource.SERVICE_INDEX),
    Route("/v3/flatcontainer/{id}/{file}", versions, Resource.VERSIONS),
    Route("/v3/flatcontainer/{id}/{version}/{file}", package_content, Resource.NUPKG),
    Route(f"/v3/{_HIVE}/{{id}}/{{file}}", registration_document, Resource.REGISTRATION_INDEX),
    Route(f"/v3/{_HIVE}/{{id}}/page/{{lower}}/{{upper}}", registration_page, Resource.REGISTRATION_PAGE),
    Route("/v3/catalog/{id}/{file}", catalog_entry, Resource.CATALOG_ENTRY),
    Route("/v3/query", search, Resource.SEARCH),
    Route("/v3/query/", search, Resource.SEARCH),  # Paket appends a slash to every address
    Route("/v3/autocomplete", autocomplete, Resource.AUTOCOMPLETE),
    Route("/v3/autocomplete/", autocomplete, Resource.AUTOCOMPLETE),
    Route("/v3/vulnerabilities/{file}", vulnerabilities, Resource.VULNERABILITIES),
    Route("/v3/repository-signatures/certificates/{file}", certificate, Resource.CERTIFICATE),
    Route("/v3/repository-signatures/{version}/{file}", repository_signatures, Resource.SIGNATURES),
    *(Route(*row) for row in V2_ROUTES),
    Route("/health/live", operations.live, Resource.HEALTH),
    Route("/health/ready", operations.ready, Resource.HEALTH),
    Route("/metrics", operations.metrics, Resource.METRICS),
    Route("/", operations.home, Resource.HOME),
)


def add_routes(application: web.Application, prefix: str = "") -> None:
    """Add every route, and again under `prefix` ("/nuget"): some front servers take it off and some leave it."""
    for start in dict.fromkeys(("", prefix)):
        for route in ROUTES:
            application.router.add_get(start + route.path, _counted(route), allow_head=True)


def _counted(route: Route) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        request[NOTE].resource = route.resource
        return await route.handler(request)

    return handler
