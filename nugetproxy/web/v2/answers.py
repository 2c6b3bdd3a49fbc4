"""How V2 answers leave: Atom documents with OData's headers, and refusals as OData's clients read them."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.protocol.v2.atom import XML_TYPE, write_error
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.keys import BASES, NOTE

ODATA: Final = {"DataServiceVersion": "2.0;"}
"""NuGet 2.8 reads up to 2.0 and crashes on 3.0."""

_BASE = "/api/v2"
_READING = ("GET", "HEAD", "POST")
# Below the same base, and no OData: their clients read the status line alone.
_OF_PUBLISHING = (Resource.PUBLISH, Resource.SYMBOLS)


async def odata(
    request: web.Request,
    body: bytes,
    provenance: Provenance,
    resource: Resource,
    content_type: str,
    *,
    holds_links: bool = True,
) -> web.StreamResponse:
    """A V2 document, with validators, compressed when asked, and hot as long as what it was made of is fresh."""
    return await document(request, body, provenance, resource, content_type, holds_links=holds_links, extra=ODATA)


def refusal_in_xml(request: web.Request, reason: str) -> tuple[bytes, Mapping[str, str]] | None:
    """Body and headers that tell why a request of the V2 feed is refused, whoever refuses it. None: it is none."""
    path = request.raw_path.partition("?")[0].removeprefix(request.app[BASES].path_prefix)
    is_below = path == _BASE or path.startswith(f"{_BASE}/")
    if not is_below or request.method not in _READING or request[NOTE].resource in _OF_PUBLISHING:
        return None
    return write_error(reason), {"Content-Type": XML_TYPE, **ODATA}
