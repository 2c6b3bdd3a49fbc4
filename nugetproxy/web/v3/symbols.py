"""PUT and GET a symbols package, and GET a PDB as debuggers request it (nuget-protocol: symbols).

A debugger names the file twice with its key in between: `/symbols/{file}/{key}/{file}`, in any casing. It may add the
header SymbolChecksum, from its assembly; nuget.org requires that header, here a browser can do without it.
"""

from typing import Final

from aiohttp import web

from nugetproxy.errors import DocumentNotFound
from nugetproxy.feeds.base import HOSTED, LocalFile
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.web.answers.responses import content
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import client_address, identity, unknown_document
from nugetproxy.web.v3.publish import hosting_of, hosting_to_change, uploaded, warning_headers, writer

# A PDB's key is derived from its contents, but the symbols of a version can be pushed again.
_REPLACEABLE_SECONDS: Final = 60
_HERE: Final = Provenance(Outcome.HIT, detail=HOSTED)
_PORTABLE_KEY_LENGTH: Final = 40


async def push_symbols(request: web.Request) -> web.StreamResponse:
    """PUT a .snupkg: 201. A client without any right to push symbols is refused before a byte of the body is read."""
    hosting, address = hosting_to_change(request), client_address(request)
    await hosting.symbols.admit_push(await writer(request), address=address)
    actor, spool = await uploaded(request, hosting, hosting.max_symbols_size, "the symbols package")
    pushed = await hosting.symbols.push(actor, spool, address=address)
    return web.Response(status=201, headers=warning_headers(actor, pushed.warnings))


async def symbols_package(request: web.Request) -> web.StreamResponse:
    """GET the .snupkg of a version."""
    file = hosting_of(request).symbols.snupkg(identity(request))
    return await _file(request, file)


async def symbol_file(request: web.Request) -> web.StreamResponse:
    """GET a PDB. Other kinds of keys (Windows PDBs, executables, sources) get a 404: only portable PDBs are kept."""
    name, key = request.match_info["file"], request.match_info["key"]
    if request.match_info["again"].lower() != name.lower():
        raise unknown_document(request)
    if len(key) != _PORTABLE_KEY_LENGTH or not name.lower().endswith(".pdb"):
        raise DocumentNotFound("only portable PDBs are available here; their keys are a GUID followed by FFFFFFFF")
    checksums = ";".join(request.headers.getall("SymbolChecksum", ()))
    return await _file(request, hosting_of(request).symbols.find(name, key, checksums))


async def _file(request: web.Request, file: LocalFile) -> web.StreamResponse:
    # The response may depend on a header, and symbols may be replaced, so each is looked up; restores do not come here.
    return await content(request, file, _HERE, Resource.SYMBOLS, max_age=_REPLACEABLE_SECONDS, may_be_hot=False)


SYMBOL_ROUTES = (
    ("/api/v2/symbolpackage/{id}/{version}", symbols_package, Resource.SYMBOLS),
    ("/symbols/{file}/{key}/{again}", symbol_file, Resource.SYMBOLS),
)
"""For GET: (path, handler, resource). All of it is hosted, whatever the address names."""

SYMBOL_ACTIONS = (
    ("PUT", "/api/v2/symbolpackage", push_symbols, Resource.SYMBOLS),
    ("PUT", "/api/v2/symbolpackage/", push_symbols, Resource.SYMBOLS),
)
"""Requests that change something: (method, path, handler, resource)."""
