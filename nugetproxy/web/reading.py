"""Who may read what, before a handler looks: the one place where a reading request meets its 401.

What is hosted and what is mirrored may be open to different people (`accounts.anonymous_read`). Whoever may see only
what is mirrored is given a feed without the rest, so that no handler has to remember.
"""

from aiohttp import web

from nugetproxy.errors import InvalidPackageId
from nugetproxy.nuget.identity import PackageId
from nugetproxy.web.incoming import client_address
from nugetproxy.web.keys import FEED, GATE, SERVICES


async def admit(request: web.Request, *, is_hosted: bool = False) -> None:
    """Raises NotAuthenticated (a Basic challenge) when this reader must say who they are. Others get their feed.

    `is_hosted`: what is read is made of hosted packages, whatever its address names.
    """
    gate, services = request.app[GATE], request.app[SERVICES]
    if gate is None or gate.anonymous_read == "all":
        return
    actor = await gate.require_reader(request, client_address(request), hosted=is_hosted or _names_ours(request))
    if actor.is_anonymous and services.mirrored is not None:
        request[FEED] = services.mirrored


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
