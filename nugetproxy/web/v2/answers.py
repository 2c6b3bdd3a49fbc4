"""How V2 answers leave: Atom documents with OData's headers, and failures as OData's clients read them."""

from collections.abc import Awaitable, Callable
from functools import wraps

from aiohttp import web

from nugetproxy.errors import NugetproxyError
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.protocol.v2.atom import XML_TYPE, write_error
from nugetproxy.web.errors import refusal_for
from nugetproxy.web.keys import NOTE, Resource
from nugetproxy.web.responses import document

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# NuGet 2.8 reads up to 2.0 and crashes on 3.0.
_ODATA = {"DataServiceVersion": "2.0;"}


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
    return await document(request, body, provenance, resource, content_type, holds_links=holds_links, extra=_ODATA)


def failing_in_xml(handler: Handler) -> Handler:
    """The handler, its refusals and absences told in XML. Failures of ours or of the upstream go the usual way."""

    @wraps(handler)
    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except NugetproxyError as error:
            note = request[NOTE]
            refusal = refusal_for(error, note.resource)
            if refusal.outcome is Outcome.FAILED:
                raise
            note.outcome = refusal.outcome
            headers = {
                "Content-Type": XML_TYPE,
                "Cache-Control": "no-store",
                "Cache-Status": f"nugetproxy; detail={refusal.outcome.value}",
                **_ODATA,
                **refusal.headers,
            }
            body = write_error(refusal.reason)
            return web.Response(status=refusal.status, reason=refusal.reason, body=body, headers=headers)

    return answering
