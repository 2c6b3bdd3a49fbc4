"""Who may read what: the one place where a reading request gets its 401, and what follows for caches.

Hosted and mirrored packages may be open to different people (`accounts.anonymous_read`). Readers who may see only what
is mirrored get a feed without the rest, so that no handler has to check.
"""

from aiohttp import web

from nugetproxy.accounts.model import Actor
from nugetproxy.accounts.permissions import may_read_hosted, require
from nugetproxy.errors import InvalidPackageId
from nugetproxy.feeds.base import HOSTED
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.nuget.identity import PackageId
from nugetproxy.protocol.advisories.values import PAGE
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.browser import signed_in
from nugetproxy.web.requests.incoming import client_address
from nugetproxy.web.requests.keys import CHALLENGED, FEED, GATE, LIMITED, NOTE, SERVICES

# No id in their address, but the same for everybody.
_SAME_FOR_ALL = (Resource.SERVICE_INDEX, Resource.VULNERABILITIES, Resource.SIGNATURES, Resource.CERTIFICATE)


async def admit(request: web.Request, *, is_hosted: bool = False) -> None:
    """Raises NotAuthenticated (a Basic challenge) when this reader needs credentials, and Forbidden when the reader's
    key covers other packages only. Other readers get their feed.

    `is_hosted`: the response is built from hosted packages, whatever its address names.
    """
    gate, services = request.app[GATE], request.app[SERVICES]
    viewer = await signed_in(request)
    if gate is None or gate.anonymous_read == "all":
        return
    # Where nobody may read anonymously, the refusal touches no storage.
    needed = gate.anonymous_read == "none" or is_hosted or await _names_ours(request)
    if viewer is not None:
        request[CHALLENGED] = needed
        return
    actor = await gate.reader(request, client_address(request), hosted=needed)
    request[CHALLENGED] = needed
    if not actor.is_anonymous:
        request[NOTE].actor = actor.name
        if actor.key is not None and actor.key.reads_some:
            await _limit(request, actor, is_hosted=is_hosted)
    elif services.mirrored is not None:
        request[FEED] = services.mirrored


async def _limit(request: web.Request, actor: Actor, *, is_hosted: bool) -> None:
    """A hosted package is shown if the actor's key covers it; what is about many shows mirrored ones only."""
    request[LIMITED] = True
    if is_hosted or await _names_ours(request):
        require(may_read_hosted(actor, _lower_id(request)))
    elif (mirrored := request.app[SERVICES].mirrored) is not None:
        request[FEED] = mirrored


async def recognise(request: web.Request) -> None:
    """For addresses that are open to everybody: note who reads, as far as they say it, and give them their feed.

    Raises NotAuthenticated and Forbidden for credentials that are wrong.
    """
    gate, services = request.app[GATE], request.app[SERVICES]
    if await signed_in(request) is not None or gate is None or gate.anonymous_read == "all":
        return
    actor = await gate.actor(request, client_address(request))
    is_limited = actor.key is not None and actor.key.reads_some
    if is_limited:
        request[LIMITED] = True
    if not actor.is_anonymous:
        request[NOTE].actor = actor.name
    if (is_limited or actor.is_anonymous) and services.mirrored is not None:
        request[FEED] = services.mirrored


def sees_hosted(request: web.Request) -> bool:
    """Whether this reader, admitted or recognised before, may see hosted packages."""
    gate = request.app[GATE]
    if gate is None or gate.anonymous_read == "all":
        return True
    return bool(request[NOTE].actor) and LIMITED not in request


def sees_something(request: web.Request) -> bool:
    """Whether this reader, admitted or recognised before, may see any package."""
    gate = request.app[GATE]
    return gate is None or gate.anonymous_read != "none" or bool(request[NOTE].actor)


async def is_for_readers(request: web.Request, provenance: Provenance) -> bool:
    """Whether the response that was created may only be given to clients with credentials."""
    gate = request.app[GATE]
    if gate is None or gate.anonymous_read == "all" or FEED in request:
        return False
    # An authenticated client used an address that is open to anonymous ones: what matters is then what the answer was
    # built from, and whether the id has become ours in the meantime.
    return request.get(CHALLENGED, False) or provenance.detail == HOSTED or await _names_ours(request)


def depends_on_reader(request: web.Request, resource: Resource) -> bool:
    """Whether the response at this address differs between authenticated and anonymous clients."""
    gate = request.app[GATE]
    is_divided = gate is not None and gate.anonymous_read == "mirrored"
    # The page with our own advisories names packages that were pushed.
    names_ours = resource is Resource.VULNERABILITIES and request.match_info.get("file") == f"{PAGE}.json"
    return is_divided and "id" not in request.match_info and (names_ours or resource not in _SAME_FOR_ALL)


async def _names_ours(request: web.Request) -> bool:
    """Whether the address names an id that is hosted or protected."""
    hosting, accounts = request.app[SERVICES].hosting, request.app[SERVICES].accounts
    lower_id = _lower_id(request)
    if lower_id is None or hosting is None or accounts is None:
        return False
    return (await accounts.ownership.protected()).covers(lower_id) or await hosting.packages.knows(lower_id)


def _lower_id(request: web.Request) -> str | None:
    """The id that the address names. None also for an invalid one: the handler reports what is wrong with it."""
    try:
        return PackageId.parse(request.match_info["id"]).lower
    except (KeyError, InvalidPackageId):
        return None
