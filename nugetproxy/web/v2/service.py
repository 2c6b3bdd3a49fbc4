"""GET the service document of the V2 feed, and its `$metadata`."""

from aiohttp import web

from nugetproxy.httpcache.outcome import OWN
from nugetproxy.protocol.v2.atom import XML_TYPE
from nugetproxy.protocol.v2.metadata import write_metadata, write_service_document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import links
from nugetproxy.web.v2.answers import odata


async def service_document(request: web.Request) -> web.StreamResponse:
    return await odata(request, write_service_document(links(request)), OWN, Resource.V2_SERVICE, XML_TYPE)


async def metadata(request: web.Request) -> web.StreamResponse:
    return await odata(request, write_metadata(), OWN, Resource.V2_METADATA, XML_TYPE, holds_links=False)
