"""A rendered page as a response: what every page is given, and how it is sent.

A page that is the same for every anonymous reader is offered to the hot table like other documents. Requests with
cookies never reach that table (`web/lane/request_head.py`), so what it holds is never shown to somebody signed in.
"""

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from nugetproxy.errors import InvalidRequest
from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import origin
from nugetproxy.web.requests.keys import BASES, NOTE, SERVICES
from nugetproxy.web.requests.reading import sees_something
from nugetproxy.web.ui.addresses import Addresses
from nugetproxy.web.ui.headers import PAGE_CACHE, PAGE_HEADERS
from nugetproxy.web.ui.rendering import render

HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Site:
    """What the layout shows on every page.

    `viewer` is the name of the account that is signed in, empty for nobody. `may_search`: this reader would get an
    answer and not a request for credentials.
    """

    name: str
    to: Addresses
    viewer: str
    may_search: bool
    is_hosting: bool
    has_metrics: bool


def site(request: web.Request) -> Site:
    services = request.app[SERVICES]
    return Site(
        name=services.name.partition("/")[0],
        to=addresses(request),
        viewer=request[NOTE].actor,
        may_search=sees_something(request),
        is_hosting=services.hosting is not None,
        has_metrics=services.config.metrics.enabled,
    )


def addresses(request: web.Request) -> Addresses:
    """Also for a request whose Host is refused: its error page has links, too."""
    try:
        base = origin(request).base
    except InvalidRequest:
        return Addresses(request.app[BASES].path_prefix)
    _, _, path = base.partition("://")[2].partition("/")
    return Addresses(f"/{path}" if path else "")


async def page(
    request: web.Request, template: str, provenance: Provenance = OWN, *, is_hot: bool = True, **values: Any
) -> web.StreamResponse:
    """The page with status 200, or the 304 that the request's conditions call for.

    `provenance` is that of what the page shows. `is_hot`: other anonymous readers may get the same bytes for as long as
    that is fresh.
    """
    body = render(template, {"site": site(request), "query": "", **values})
    is_public = is_hot and not request[NOTE].actor and "Cookie" not in request.headers
    return await document(
        request, body, provenance, Resource.PAGE, HTML, extra=PAGE_HEADERS, cache=PAGE_CACHE, may_be_hot=is_public
    )
