"""Refusals as pages, for people who follow a link in a browser. NuGet clients and scripts get JSON, as ever.

The status, the reason and the headers are those of any refusal (`web/http/errors.py`); only the body differs.
"""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from nugetproxy.web.http.errors import Refusal
from nugetproxy.web.http.media_types import preference
from nugetproxy.web.requests.keys import SERVICES
from nugetproxy.web.ui.headers import PAGE_HEADERS
from nugetproxy.web.ui.pages import HTML, site
from nugetproxy.web.ui.rendering import render

_OTHERS: Final = ("text/plain", "application/json", "application/xml", "application/atom+xml")

_TITLES: Final = {
    400: "This request cannot be understood",
    401: "Sign in to see this",
    403: "This is not allowed",
    404: "Not found",
    405: "This is not how it works",
    409: "This conflicts with what is there",
    413: "This is too large",
    429: "Too many attempts",
    502: "The upstream sent something unusable",
    503: "Not available at the moment",
    504: "The upstream did not answer in time",
}
_HINTS: Final = {
    401: "Reading here needs a user name and a password.",
    403: "Another account may be allowed to; an administrator of this server can tell.",
    404: "Check the address, or search for the package.",
    429: "Wait a moment, then try again.",
    502: "Try again in a few minutes. If it stays like this, tell an administrator of this server.",
    503: "Try again in a few seconds.",
    504: "Try again in a few seconds.",
}


def prefers_page(request: web.Request) -> bool:
    """Whether the client shows HTML to a person: it prefers that to what programs read, and is no NuGet client."""
    if not request.app[SERVICES].config.web_ui.enabled or "nuget" in request.headers.get("User-Agent", "").lower():
        return False
    accept = request.headers.get("Accept", "")
    return preference(accept, "text/html") > preference(accept, *_OTHERS)


def refusal_page(request: web.Request, refusal: Refusal, request_id: str) -> tuple[bytes, Mapping[str, str]] | None:
    """Body and headers for a refused request; None if the client does not show pages."""
    if not prefers_page(request):
        return None
    values = {
        "site": site(request),
        "query": "",
        "title": _TITLES.get(refusal.status, "Something went wrong"),
        "sentence": refusal.reason,
        "hint": _HINTS.get(refusal.status, "If it stays like this, tell an administrator of this server."),
        "status": refusal.status,
        "path": request.path_qs,
        "request_id": request_id,
    }
    return render("refusal.html", values), {"Content-Type": HTML, "Cache-Control": "no-store", **PAGE_HEADERS}
