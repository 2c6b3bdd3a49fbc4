"""PUT and GET a symbols package, and GET a PDB as debuggers request it (nuget-protocol: symbols).

PDBs of hosted packages come first, then those of mirrored ones.

A debugger names the file twice with its key in between: `/symbols/{file}/{key}/{file}`, in any casing. It may add the
header SymbolChecksum, from its assembly; nuget.org requires that header, here a browser can do without it.
"""

from typing import Final

from aiohttp import web

from nugetproxy.errors import DocumentNotFound, PackageNotFound, PartNotFound, VersionNotFound, Withheld
from nugetproxy.feeds.base import HOSTED, GrowingContent, LocalFile, Part
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.services import Services
from nugetproxy.web.answers.responses import content
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import client_address, identity, mirrors_only, unknown_document
from nugetproxy.web.requests.keys import FEED, SERVICES
from nugetproxy.web.requests.reading import admit
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
    await admit(request, is_hosted=True)
    file = await hosting_of(request).symbols.snupkg(identity(request))
    return await _file(request, file)


async def symbol_file(request: web.Request) -> web.StreamResponse:
    """GET a PDB. Other kinds of keys (Windows PDBs, executables, sources) get a 404: only portable PDBs are kept."""
    name, key = request.match_info["file"], request.match_info["key"]
    if request.match_info["again"].lower() != name.lower():
        raise unknown_document(request)
    if len(key) != _PORTABLE_KEY_LENGTH or not name.lower().endswith(".pdb"):
        raise DocumentNotFound("only portable PDBs are available here; their keys are a GUID followed by FFFFFFFF")
    checksums = ";".join(request.headers.getall("SymbolChecksum", ()))
    services = request.app[SERVICES]
    if services.hosting is not None and FEED not in request:
        try:
            return await _file(request, await services.hosting.symbols.find(name, key, checksums))
        except DocumentNotFound:
            if services.symbols is None:
                raise
    try:
        return await _mirrored(request, services, name, key, checksums)
    except DocumentNotFound:
        if FEED in request:
            # To somebody without credentials, what is hosted does not differ from what does not exist.
            await admit(request, is_hosted=True)
        raise


async def _mirrored(
    request: web.Request, services: Services, name: str, key: str, checksums: str
) -> web.StreamResponse:
    """A PDB of a mirrored package. Whether the client may see that package is what its nuspec says, too: ids that are
    ours and versions that the policy withholds have none in the feed of mirrored packages."""
    if services.symbols is None:
        raise mirrors_only(request)
    feed = services.mirrored or services.feed
    withheld: list[Withheld] = []

    async def may_see(package: PackageIdentity) -> bool:
        try:
            await feed.content(package, Part.NUSPEC)
        except Withheld as refusal:
            withheld.append(refusal)
            return False
        except (PackageNotFound, VersionNotFound, PartNotFound):
            return False
        return True

    try:
        file = await services.symbols.find(name, key, checksums, may_see)
    except DocumentNotFound:
        if withheld:
            raise withheld[0] from None
        raise
    return await _file(request, file, Provenance(Outcome.HIT))


async def _file(
    request: web.Request, file: LocalFile | GrowingContent, provenance: Provenance = _HERE
) -> web.StreamResponse:
    # The response may depend on a header, and symbols may be replaced, so each is looked up; restores do not come here.
    return await content(request, file, provenance, Resource.SYMBOLS, max_age=_REPLACEABLE_SECONDS, may_be_hot=False)


SYMBOL_ROUTES = (
    ("/api/v2/symbolpackage/{id}/{version}", symbols_package, Resource.SYMBOLS),
    ("/symbols/{file}/{key}/{again}", symbol_file, Resource.SYMBOLS),
)
"""For GET: (path, handler, resource)."""

SYMBOL_ACTIONS = (
    ("PUT", "/api/v2/symbolpackage", push_symbols, Resource.SYMBOLS),
    ("PUT", "/api/v2/symbolpackage/", push_symbols, Resource.SYMBOLS),
)
"""Requests that change something: (method, path, handler, resource)."""
