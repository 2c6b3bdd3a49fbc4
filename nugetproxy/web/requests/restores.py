"""Telling foresight what a restore asks for.

Only NuGet's own clients send a session id, and only of them it is known which version of a dependency they choose.
"""

from aiohttp import web

from nugetproxy.feeds.base import PackageContent
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.mirroring.foresight.foresight import Asker
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.web.requests.incoming import feed
from nugetproxy.web.requests.keys import SERVICES

_SESSION = "X-NuGet-Session-Id"
_CLIENT_VERSION = "X-NuGet-Client-Version"


def versions_asked(request: web.Request, package_id: PackageId) -> None:
    """To be called before the feed is asked for the versions."""
    foresight, asker = request.app[SERVICES].foresight, _asker(request)
    if foresight is not None and asker is not None:
        foresight.versions_asked(asker, package_id)


def versions_answered(request: web.Request, outcome: Outcome) -> None:
    """To be called with how the feed answered."""
    foresight, asker = request.app[SERVICES].foresight, _asker(request) if outcome is Outcome.MISS else None
    if foresight is not None and asker is not None:
        foresight.missed(asker)


def package_asked(request: web.Request, package: PackageIdentity) -> None:
    """To be called before the feed is asked for the package."""
    foresight, asker = request.app[SERVICES].foresight, _asker(request)
    if foresight is not None and asker is not None:
        foresight.package_asked(asker, package)


def package_answered(request: web.Request, package: PackageIdentity, content: PackageContent) -> None:
    """To be called with what the feed answered."""
    foresight, asker = request.app[SERVICES].foresight, _asker(request)
    if foresight is not None and asker is not None:
        foresight.package_answered(asker, package, content)


def _asker(request: web.Request) -> Asker | None:
    foresight, session = request.app[SERVICES].foresight, request.headers.get(_SESSION)
    if foresight is None or session is None or request.method != "GET":
        return None
    return foresight.asker(session, request.headers.get(_CLIENT_VERSION, ""), feed(request))
