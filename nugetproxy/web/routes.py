"""The URL table: every route on one line. The shapes are those of `protocol/links.py`.

GET routes also answer HEAD. Path segments are named here and validated where they are parsed.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from nugetproxy.protocol.v3.registration import Hive
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.pages import operations
from nugetproxy.web.requests.keys import NOTE, TAKES_BODY
from nugetproxy.web.requests.reading import admit, recognise
from nugetproxy.web.requests.uploads import on_expect
from nugetproxy.web.ui.home import home
from nugetproxy.web.ui.routes import UI_ACTIONS, UI_ROUTES
from nugetproxy.web.v2.batch import batch
from nugetproxy.web.v2.routes import V2_BATCH, V2_ROUTES
from nugetproxy.web.v3 import publish
from nugetproxy.web.v3.catalog import catalog_document, catalog_leaf
from nugetproxy.web.v3.explain import explain
from nugetproxy.web.v3.flat_container import package_content, versions
from nugetproxy.web.v3.registration import catalog_entry, registration_document, registration_page
from nugetproxy.web.v3.search import autocomplete, search
from nugetproxy.web.v3.service_index import service_index
from nugetproxy.web.v3.signatures import certificate, repository_signatures
from nugetproxy.web.v3.symbols import SYMBOL_ACTIONS, SYMBOL_ROUTES
from nugetproxy.web.v3.token_exchange import exchange_token
from nugetproxy.web.v3.vulnerabilities import vulnerabilities

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """`resource` is the label for a failure that happens before the handler sets a more precise one."""

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
    Route("/v3/catalog0/{file}", catalog_document, Resource.CATALOG),
    Route("/v3/catalog0/data/{stamp}/{file}", catalog_leaf, Resource.CATALOG),
    Route("/v3/explain/{id}", explain, Resource.EXPLAIN),
    Route("/v3/explain/{id}/{version}", explain, Resource.EXPLAIN),
    Route("/api/v2/verifykey/{id}", publish.verify_key, Resource.PUBLISH),
    Route("/api/v2/verifykey/{id}/{version}", publish.verify_key, Resource.PUBLISH),
    *(Route(*row) for row in SYMBOL_ROUTES),
    *(Route(*row) for row in V2_ROUTES),
    Route("/health/live", operations.live, Resource.HEALTH),
    Route("/health/ready", operations.ready, Resource.HEALTH),
    Route("/metrics", operations.metrics, Resource.METRICS),
    Route("/", home, Resource.HOME),
    *(Route(*row) for row in UI_ROUTES),
)


class Action(NamedTuple):
    """A request that changes something. Its handler reads the body, and checks permissions itself."""

    method: str
    path: str
    handler: Handler
    resource: Resource = Resource.PUBLISH


# The order matters: a literal segment wins over an id (nuget-protocol: route table).
ACTIONS = (
    *(Action("PUT", path, publish.push) for path in ("/api/v2/package", "/api/v2/package/", "/api/v2", "/api/v2/")),
    *(Action("POST", path, publish.push) for path in ("/api/v2/package", "/api/v2/package/")),
    Action("POST", "/api/v2/package/create-verification-key/{id}", publish.create_verification_key),
    Action("POST", "/api/v2/package/create-verification-key/{id}/{version}", publish.create_verification_key),
    Action("POST", "/api/v2/token", exchange_token),
    Action("PUT", "/api/v2/package/{id}/deprecations", publish.deprecate),
    Action("POST", "/api/v2/package/{id}/{version}", publish.relist),
    Action("DELETE", "/api/v2/package/{id}/{version}", publish.delete),
    Action("DELETE", "/api/v2/{id}/{version}", publish.delete),
    *(Action(*row) for row in SYMBOL_ACTIONS),
    *(Action(*row) for row in UI_ACTIONS),
)

# Routes that read hosted packages whatever the address names; and routes that need no credentials, or only a key.
_OF_HOSTED = (Resource.CATALOG,)
_OPEN = (Resource.HEALTH, Resource.METRICS, Resource.HOME, Resource.ASSET, Resource.PUBLISH)
_OF_PAGES = frozenset([*(path for path, *_ in UI_ROUTES), *(path for _, path, *_ in UI_ACTIONS)])
_OF_V2 = (Resource.V2_FEED, Resource.V2_COMPLETION)


def add_routes(application: web.Application, prefix: str = "", *, pages: bool = True) -> None:
    """Add every route, and again under `prefix` ("/nuget"): some reverse proxies strip it and some do not.

    `pages`: also those of the pages for browsers.
    """
    for start in dict.fromkeys(("", prefix)):
        for route in ROUTES:
            if not pages and route.path in _OF_PAGES:
                continue
            application.router.add_get(start + route.path, _reading(route), allow_head=True)
            if route.resource is Resource.V2_FEED:
                # As at nuget.org: OData calls functions by POST too, and their parameters stay in the query.
                application.router.add_post(start + route.path, _reading(route))
        batched = _reading(Route(V2_BATCH, batch, Resource.V2_FEED))
        setattr(batched, TAKES_BODY, True)
        application.router.add_post(start + V2_BATCH, batched)
        for action in ACTIONS:
            if not pages and action.path in _OF_PAGES:
                continue
            application.router.add_route(action.method, start + action.path, _acting(action), expect_handler=on_expect)


def _reading(route: Route) -> Handler:
    # A V2 client names ids inside its filters, and sends credentials only after a challenge: so it is challenged first.
    is_hosted = route.resource in _OF_HOSTED or route.resource in _OF_V2

    async def handler(request: web.Request) -> web.StreamResponse:
        request[NOTE].resource = route.resource
        if route.resource in (Resource.HOME, Resource.ACCOUNT):
            await recognise(request)
        elif route.resource not in _OPEN:
            await admit(request, is_hosted=is_hosted)
        return await route.handler(request)

    return handler


def _acting(action: Action) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        request[NOTE].resource = action.resource
        return await action.handler(request)

    setattr(handler, TAKES_BODY, True)
    return handler
