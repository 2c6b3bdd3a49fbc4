"""What a handler needs from its request: the feed to ask, the links to write, the package that is meant.

Everything that a client wrote into a path is parsed here into values, or refused with an InvalidRequest.
"""

from aiohttp import web

from nugetproxy.errors import DocumentNotFound
from nugetproxy.feeds.base import Feed
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.links import Links
from nugetproxy.web.requests.base_url import Origin
from nugetproxy.web.requests.keys import BASES, FEED, SERVICES

_ORIGIN: web.RequestKey[Origin] = web.RequestKey("origin", Origin)


def feed(request: web.Request) -> Feed:
    """What this request may see: everything, or only what is mirrored."""
    chosen = request.get(FEED)
    return request.app[SERVICES].feed if chosen is None else chosen


def client_address(request: web.Request) -> str:
    """The client's address, as reported by trusted proxies."""
    return origin(request).remote


def origin(request: web.Request) -> Origin:
    """Raises InvalidRequest, as `BaseUrls.origin`."""
    known = request.get(_ORIGIN)
    if known is None:
        known = request[_ORIGIN] = request.app[BASES].origin(request)
    return known


def links(request: web.Request) -> Links:
    return Links(origin(request).base)


def package_id(request: web.Request) -> PackageId:
    return PackageId.parse(request.match_info["id"])


def identity(request: web.Request) -> PackageIdentity:
    return PackageIdentity.parse(request.match_info["id"], request.match_info["version"])


def stem(request: web.Request, name: str, ending: str) -> str:
    """The path segment `name` without `ending`, in any casing; raises DocumentNotFound if it ends differently."""
    text = request.match_info[name]
    if not text.lower().endswith(ending) or len(text) == len(ending):
        raise unknown_document(request)
    return text[: len(text) - len(ending)]


def version_named(request: web.Request, name: str, ending: str) -> NuGetVersion:
    """The version in the path segment `name`, such as "1.0.0.json" with the ending ".json"."""
    return NuGetVersion.parse(stem(request, name, ending))


def unknown_document(request: web.Request) -> DocumentNotFound:
    """For a path that belongs to no resource."""
    shown = "".join(c if c.isprintable() else "?" for c in request.path)
    return DocumentNotFound(f"there is no {shown if len(shown) <= 200 else shown[:197] + '...'} here")


def push_address(request: web.Request) -> str:
    """For clients that push to a wrong address of this server."""
    base = origin(request).base
    return f"push packages to {base}/v3/index.json, or without discovery to {base}/api/v2/package"


def mirrors_only(request: web.Request) -> DocumentNotFound:
    """For clients that try to change something on a server that hosts nothing."""
    index = f"{origin(request).base}/v3/index.json"
    return DocumentNotFound(f"this server only mirrors: it does not accept packages; its source URL is {index}")
