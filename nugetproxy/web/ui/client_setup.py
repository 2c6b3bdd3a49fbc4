"""How clients are set up for this server, as this request sees it."""

from aiohttp import web

from nugetproxy.web.requests.incoming import links, origin
from nugetproxy.web.requests.keys import SERVICES
from nugetproxy.web.ui.setup import ClientSetup


def client_setup(request: web.Request) -> ClientSetup:
    services = request.app[SERVICES]
    return ClientSetup(
        name=services.name.partition("/")[0],
        index=links(request).service_index(),
        is_secure=origin(request).scheme == "https",
        needs_credentials=services.config.accounts.anonymous_read != "all",
        is_hosting=services.config.hosting.enabled,
    )
