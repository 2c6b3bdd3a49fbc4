"""How V2 responses are sent: Atom documents with OData's headers, and refusals in the form that OData clients read."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.protocol.v2.atom import XML_TYPE, write_error
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.errors import warning_header
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.keys import BASES, NOTE

ODATA: Final = {"DataServiceVersion": "2.0;"}
"""NuGet 2.8 supports up to 2.0 and crashes on 3.0."""

_BASE = "/api/v2"
_READING = ("GET", "HEAD", "POST")
# Below the same base, but not OData: their clients read only the status line.
_OF_PUBLISHING = (Resource.PUBLISH, Resource.SYMBOLS)


async def odata(
    request: web.Request,
    body: bytes,
    provenance: Provenance,
    resource: Resource,
    content_type: str,
    *,
    holds_links: bool = True,
    warnings: tuple[str, ...] = (),
) -> web.StreamResponse:
    """A V2 document, with validators, compressed on request, and hot as long as its sources are fresh."""
    extra = {**ODATA, **warning_header(warnings)}
    return await document(request, body, provenance, resource, content_type, holds_links=holds_links, extra=extra)


def refusal_in_xml(request: web.Request, reason: str) -> tuple[bytes, Mapping[str, str]] | None:
    """Body and headers for a refused request of the V2 feed, whatever refused it. None: it is not one."""
    path = request.raw_path.partition("?")[0].removeprefix(request.app[BASES].path_prefix)
    is_below = path == _BASE or path.startswith(f"{_BASE}/")
    if not is_below or request.method not in _READING or request[NOTE].resource in _OF_PUBLISHING:
        return None
    return write_error(reason), {"Content-Type": XML_TYPE, **ODATA}
