"""Who may read what: the one place where a reading request meets its 401, and what follows for whoever keeps answers.

What is hosted and what is mirrored may be open to different people (`accounts.anonymous_read`). Whoever may see only
what is mirrored is given a feed without the rest, so that no handler has to remember.
"""

from aiohttp import web

from nugetproxy.errors import InvalidPackageId
from nugetproxy.feeds.base import HOSTED
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.nuget.identity import PackageId
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import client_address
from nugetproxy.web.requests.keys import CHALLENGED, FEED, GATE, NOTE, SERVICES

# Without an id in their address, and yet the same for everybody.
_SAME_FOR_ALL = (Resource.SERVICE_INDEX, Resource.VULNERABILITIES, Resource.SIGNATURES, Resource.CERTIFICATE)


async def admit(request: web.Request, *, is_hosted: bool = False) -> None:
    """Raises NotAuthenticated (a Basic challenge) when this reader must say who they are. Others get their feed.

    `is_hosted`: what is read is made of hosted packages, whatever its address names.
    """
    gate, services = request.app[GATE], request.app[SERVICES]
    if gate is None or gate.anonymous_read == "all":
        return
    # Where nobody may read anything, no storage is touched to say so.
    needed = gate.anonymous_read == "none" or is_hosted or _names_ours(request)
    actor = await gate.reader(request, client_address(request), hosted=needed)
    request[CHALLENGED] = needed
    if not actor.is_anonymous:
        request[NOTE].actor = actor.name
    elif services.mirrored is not None:
        request[FEED] = services.mirrored


def is_for_readers(request: web.Request, provenance: Provenance) -> bool:
    """Whether the answer that was made may be given only to those who say who they are."""
    gate = request.app[GATE]
    if gate is None or gate.anonymous_read == "all" or FEED in request:
        return False
    # Somebody known asked at an address that strangers may use: then it matters what the answer is made of, and
    # whether the id became ours meanwhile.
    return request.get(CHALLENGED, False) or provenance.detail == HOSTED or _names_ours(request)


def depends_on_reader(request: web.Request, resource: Resource) -> bool:
    """Whether the same address answers somebody known and a stranger with different things."""
    gate = request.app[GATE]
    is_divided = gate is not None and gate.anonymous_read == "mirrored"
    return is_divided and "id" not in request.match_info and resource not in _SAME_FOR_ALL


def _names_ours(request: web.Request) -> bool:
    """Whether the address names an id that is hosted, or that nobody else may have."""
    hosting, accounts = request.app[SERVICES].hosting, request.app[SERVICES].accounts
    text = request.match_info.get("id")
    if text is None or hosting is None or accounts is None:
        return False
    try:
        lower_id = PackageId.parse(text).lower
    except InvalidPackageId:
        return False  # the handler says what is wrong with it
    return hosting.packages.knows(lower_id) or accounts.ownership.protected().covers(lower_id)
