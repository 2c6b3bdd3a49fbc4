"""GET the vulnerability index and its pages. Any failure here is sent as a 404 (web/http/errors.py says why)."""

from aiohttp import web

from nugetproxy.errors import DocumentNotFound
from nugetproxy.protocol.v3.vulnerabilities import write_vulnerability_index, write_vulnerability_page
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, links, stem


async def vulnerabilities(request: web.Request) -> web.StreamResponse:
    """The index, or one of the pages it names."""
    name = stem(request, "file", ".json")
    answer = await feed(request).vulnerabilities()
    if name.lower() == "index":
        body = write_vulnerability_index(answer.value, links(request))
        return await document(request, body, answer.provenance, Resource.VULNERABILITIES)
    page = answer.value.find(name)
    if page is None:
        raise DocumentNotFound("there is no vulnerability page with this name")
    body = write_vulnerability_page(page)
    return await document(request, body, answer.provenance, Resource.VULNERABILITIES, holds_links=False)
