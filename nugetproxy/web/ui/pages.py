"""A rendered page as a response: what every page is given, and how it is sent.

A page that is the same for every anonymous reader is offered to the hot table like other documents. Requests with
cookies never reach that table (`web/lane/request_head.py`), so what it holds is never shown to somebody signed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from nugetproxy.errors import InvalidRequest
from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.browser import VIEWER, Viewer, is_secure
from nugetproxy.web.requests.incoming import origin
from nugetproxy.web.requests.keys import BASES, NOTE, SERVICES
from nugetproxy.web.requests.reading import sees_something
from nugetproxy.web.ui.addresses import Addresses
from nugetproxy.web.ui.headers import PAGE_CACHE, PAGE_HEADERS, TRANSPORT_HEADERS
from nugetproxy.web.ui.rendering import render

HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Site:
    """What the layout shows on every page.

    `viewer` is the name of who reads, empty for nobody; `session` is theirs if they signed in here. `may_sign_in`:
    there are accounts. `may_search`: this reader would get an answer and not a request for credentials.
    """

    name: str
    to: Addresses
    viewer: str
    session: Viewer | None
    may_sign_in: bool
    may_search: bool
    is_hosting: bool
    has_metrics: bool


def site(request: web.Request) -> Site:
    services = request.app[SERVICES]
    return Site(
        name=services.name.partition("/")[0],
        to=addresses(request),
        viewer=request[NOTE].actor,
        session=request.get(VIEWER),
        may_sign_in=services.accounts is not None,
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
        request, body, provenance, Resource.PAGE, HTML, extra=page_headers(request), cache=PAGE_CACHE,
        may_be_hot=is_public,
    )  # fmt: skip


def page_headers(request: web.Request) -> Mapping[str, str]:
    """The security headers; over https also that browsers use nothing else for this host from now on."""
    return {**PAGE_HEADERS, **TRANSPORT_HEADERS} if is_secure(request) else PAGE_HEADERS
