"""GET /v3/explain/ID and /v3/explain/ID/VERSION: which rule of the policy withholds what, since when, and until when.

For people who wonder where a version is; no NuGet client asks for it.
"""

from aiohttp import web

from nugetproxy.errors import VersionNotFound
from nugetproxy.feeds.explanation import explained, explained_id, explained_versions
from nugetproxy.httpcache.outcome import OWN
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.documents import write
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, package_id
from nugetproxy.web.requests.keys import SERVICES


async def explain(request: web.Request) -> web.StreamResponse:
    package = package_id(request)
    asked = NuGetVersion.parse(request.match_info["version"]) if "version" in request.match_info else None
    versions, screen = await explained_versions(feed(request), request.app[SERVICES].screening, package)
    if asked is None:
        value = explained_id(package, versions, screen)
    elif asked in versions:
        value = explained(package, asked, screen)
    else:
        raise VersionNotFound(package.text, asked.normalized)
    return await document(request, write(value), OWN, Resource.EXPLAIN, holds_links=False)
