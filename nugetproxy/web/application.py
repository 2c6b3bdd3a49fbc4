"""The aiohttp application: routes, middleware and what they need, for one set of services."""

from aiohttp import web

from nugetproxy.services import Services
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.compression import GzipVariants
from nugetproxy.web.middleware import answering, sign
from nugetproxy.web.requests.authentication import Gate
from nugetproxy.web.requests.base_url import BaseUrls
from nugetproxy.web.requests.keys import ACCESS, BASES, GATE, GZIPPED, HOT, SERVICES
from nugetproxy.web.routes import add_routes
from nugetproxy.web.telemetry.access import AccessLog
from nugetproxy.web.telemetry.quiet import quieten


def make_application(services: Services, hot: HotTable | None = None) -> web.Application:
    """The application of one process. `hot`, if given, is filled here; its creator clears it.

    Raises:
        ValueError: `server.trusted_proxies` contains something that is not an address or network.
    """
    config = services.config
    application = web.Application(middlewares=[answering], client_max_size=config.server.max_body)
    application[SERVICES] = services
    application[HOT] = hot
    application[GATE] = _gate(services)
    application[GZIPPED] = GzipVariants()
    application[BASES] = BaseUrls(config.server.public_url, config.server.trusted_proxies)
    application[ACCESS] = AccessLog(form=config.logs.format, enabled=config.logs.access)
    application.on_response_prepare.append(sign)
    application.on_cleanup.append(_close_access_log)
    add_routes(application, application[BASES].path_prefix, pages=config.web_ui.enabled)
    quieten()
    return application


def _gate(services: Services) -> Gate | None:
    accounts, revisions, settings = services.accounts, services.revisions, services.config.accounts
    if accounts is None or revisions is None:
        return None
    return Gate(
        accounts.directory,
        accounts.attempts,
        revisions,
        anonymous_read=settings.anonymous_read,
        learned_seconds=settings.learned_credentials,
        failures_per_minute=settings.failed_logins_per_minute,
    )


async def _close_access_log(application: web.Application) -> None:
    await application[ACCESS].close()
