"""PUT, POST and DELETE of packages: push, unlist, relist, deprecate, delete, verification keys.

The same addresses serve V3 and V2 clients (nuget-protocol: push). What the actions do, and who is allowed to, belongs
to hosting and accounts; here a request becomes an action, and its result a status line.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import orjson
from aiohttp import web

from nugetproxy.accounts.model import Actor, now_us
from nugetproxy.errors import DocumentNotFound, InvalidRequest, PackageNotFound, StorageUnavailable, VersionNotFound
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.services import HostingServices
from nugetproxy.storage.spool import Spool
from nugetproxy.web.http.errors import WARNING
from nugetproxy.web.requests.incoming import client_address, identity, mirrors_only, package_id
from nugetproxy.web.requests.keys import GATE, NOTE, SERVICES
from nugetproxy.web.requests.uploads import receive, small_body
from nugetproxy.web.v3.deprecation_request import read_deprecation

WARNED_DAYS = 10
"""nuget.org warns about the expiry of a key during its last ten days."""

READ_ONLY = "this server serves a read-only data directory: nothing can be pushed or changed here"

_FORM_LIMIT = 1_000_000

# Never cached: a cache in between distinguishes clients only by the URL, not by their key.
_NOT_KEPT = {"Cache-Control": "no-store"}


async def push(request: web.Request) -> web.StreamResponse:
    """PUT a .nupkg: 201. A client without any right to push is refused before a byte of the body is read."""
    hosting, address = hosting_to_change(request), client_address(request)
    await hosting.publish.admit_push(await writer(request), address=address)
    actor, spool = await uploaded(request, hosting, hosting.max_package_size, "the package")
    pushed = await hosting.publish.push(actor, spool, address=address)
    return web.Response(status=201, headers=warning_headers(actor, pushed.warnings))


async def delete(request: web.Request) -> web.StreamResponse:
    """DELETE a version: unlists it, as on nuget.org. For administrators `?Type=HardDelete` deletes it permanently, and
    `&AllowReuse=true` also releases its name.
    """
    hosting = hosting_to_change(request)
    actor = await writer(request)
    package, address = identity(request), client_address(request)
    is_hard, allow_reuse = _how_to_delete(request)
    with _absences_of(package):
        if is_hard:
            await hosting.publish.delete(actor, package, address=address, allow_reuse=allow_reuse)
        else:
            await hosting.publish.unlist(actor, package, address=address)
    return web.Response(status=204, headers=warning_headers(actor, ()))


async def relist(request: web.Request) -> web.StreamResponse:
    """POST to a version: lists it again."""
    hosting = hosting_to_change(request)
    actor = await writer(request)
    package = identity(request)
    with _absences_of(package):
        await hosting.publish.relist(actor, package, address=client_address(request))
    return web.Response(status=200, headers=warning_headers(actor, ()))


async def deprecate(request: web.Request) -> web.StreamResponse:
    """PUT deprecations of an id: nuget.org's parameters, as a form of either kind, as JSON or in the query."""
    hosting, address = hosting_to_change(request), client_address(request)
    actor = await writer(request)
    await hosting.publish.admit_change(actor, "deprecate", package_id(request), address=address)
    body = await small_body(request, _FORM_LIMIT, "the list of deprecations")
    asked = read_deprecation(request.query.items(), request.headers.get("Content-Type", ""), body)
    await hosting.publish.deprecate(
        actor,
        package_id(request),
        asked.versions,
        asked.deprecation,
        asked.listed_verb,
        address=address,
    )
    return web.Response(status=200, headers=warning_headers(actor, ()))


async def create_verification_key(request: web.Request) -> web.StreamResponse:
    """POST: a key that is valid for a day and can only be verified, once, as old symbol servers request it."""
    hosting = hosting_to_change(request)
    actor = await writer(request)
    wanted = PackageId.parse(request.match_info["id"])
    if version := request.match_info.get("version"):
        NuGetVersion.parse(version)
    key, expires = await hosting.verification_keys.create(actor, wanted, now_us())
    body = {"Key": key, "Expires": datetime.fromtimestamp(expires / 1e6, UTC).isoformat()}
    return web.Response(body=orjson.dumps(body), content_type="application/json", headers=_NOT_KEPT)


async def verify_key(request: web.Request) -> web.StreamResponse:
    """GET: 200 if the key may push this version's symbols; else 403, or 404 if there is no such version."""
    hosting = hosting_of(request)
    actor = await writer(request)
    version = request.match_info.get("version")
    wanted = PackageId.parse(request.match_info["id"])
    package = PackageIdentity.parse(wanted.text, version) if version else None
    await hosting.verification_keys.verify(actor, wanted, package)
    return web.Response(status=200, headers=_NOT_KEPT)


def hosting_of(request: web.Request) -> HostingServices:
    """Raises DocumentNotFound if nothing is hosted."""
    hosting = request.app[SERVICES].hosting
    if hosting is None:
        raise mirrors_only(request)
    return hosting


def hosting_to_change(request: web.Request) -> HostingServices:
    """As `hosting_of`, for changes. Raises StorageUnavailable if the server is read-only."""
    hosting = hosting_of(request)
    if hosting.is_read_only:
        raise StorageUnavailable(READ_ONLY)
    return hosting


async def writer(request: web.Request) -> Actor:
    """The actor that pushes. Raises NotAuthenticated, Forbidden, TooMany."""
    gate = request.app[GATE]
    assert gate is not None, "a server that hosts has accounts"
    actor = await gate.writer(request, client_address(request))
    request[NOTE].actor = actor.name
    return actor


async def uploaded(request: web.Request, hosting: HostingServices, limit: int, what: str) -> tuple[Actor, Spool]:
    """The pushed file and its actor; as `receive`. To be called after that actor was admitted. Also raises Busy.

    The actor is looked up again when the body is complete: an upload may take hours, and a key or password that became
    invalid in the meantime must not publish it.
    """
    hosting.queue.require_room()
    spool = await receive(request, hosting.spools, limit, what)
    try:
        return await writer(request), spool
    except BaseException:
        spool.end()
        raise


def warning_headers(actor: Actor, warnings: tuple[str, ...]) -> list[tuple[str, str]]:
    """X-NuGet-Warning for each sentence: clients print them."""
    sentences = list(warnings)
    if actor.key is not None and (left := actor.key.days_left(now_us())) <= WARNED_DAYS:
        sentences.append(
            f"Your API key '{actor.key.name}' expires in {left} day(s). Create a new one with: "
            f"nugetproxy key rotate {actor.key.key_id}"
        )
    return [(WARNING, "".join(c if " " <= c <= "~" else "?" for c in line)) for line in sentences]


@contextmanager
def _absences_of(package: PackageIdentity) -> Iterator[None]:
    """Reports a missing version in nuget.org's words: the client prints them, and scripts look for them."""
    try:
        yield
    except (PackageNotFound, VersionNotFound) as error:
        message = f"A package with ID '{package.id}' and version '{package.version}' does not exist."
        raise DocumentNotFound(message) from error


def _how_to_delete(request: web.Request) -> tuple[bool, bool]:
    """Whether to delete permanently, and whether to release the name. Raises InvalidRequest and never guesses."""
    asked = {name.lower(): text.lower() for name, text in request.query.items()}
    kind, reuse = asked.get("type", "unlist"), asked.get("allowreuse", "false")
    if kind not in ("unlist", "harddelete"):
        raise InvalidRequest("Type must be Unlist, which hides a version, or HardDelete, which deletes it permanently")
    if reuse not in ("true", "false"):
        raise InvalidRequest("AllowReuse must be true, which lets another package have the version's name, or false")
    if reuse == "true" and kind == "unlist":
        raise InvalidRequest("AllowReuse=true requires Type=HardDelete: an unlisted version keeps its bytes and name")
    return kind == "harddelete", reuse == "true"
