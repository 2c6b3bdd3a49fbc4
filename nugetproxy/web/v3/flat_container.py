"""GET the versions list of an id, and the content of an identity: .nupkg, .nuspec, readme, icon, licence.

Ids, versions and file names are accepted in any casing, without a redirect; so are versions that are not normalised.
"""

import math

from aiohttp import web

from nugetproxy.errors import FileReplaced, InvalidVersion
from nugetproxy.feeds.base import Answer, PackageContent, Part
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.flat_container import write_versions
from nugetproxy.web.answers.responses import content, count_download, document
from nugetproxy.web.http.errors import warning_header
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests import restores
from nugetproxy.web.requests.incoming import feed, identity, package_id, unknown_document
from nugetproxy.web.requests.keys import NOTE

_PLAIN_PARTS = {part.value: part for part in (Part.README, Part.ICON, Part.LICENSE)}


async def versions(request: web.Request) -> web.StreamResponse:
    if request.match_info["file"].lower() != "index.json":
        raise unknown_document(request)
    package = package_id(request)
    restores.versions_asked(request, package)
    answer = await feed(request).versions(package)
    restores.versions_answered(request, answer.provenance.outcome)
    body = write_versions(answer.value)
    extra = warning_header(answer.warnings)
    return await document(request, body, answer.provenance, Resource.VERSIONS, holds_links=False, extra=extra)


async def package_content(request: web.Request) -> web.StreamResponse:
    package = identity(request)
    part = _part(package, request.match_info["file"])
    if part is None:
        raise unknown_document(request)
    return await send_part(request, package, part)


async def send_part(
    request: web.Request, package: PackageIdentity, part: Part, *, meant_for: float | None = None
) -> web.StreamResponse:
    """The requested part, for any of its addresses. `meant_for` is how many seconds the address refers to this version;
    None for an address that names it."""
    resource = request[NOTE].resource = Resource(part.value)
    if part is Part.NUPKG:
        restores.package_asked(request, package)
    answer = await feed(request).content(package, part)
    if part is Part.NUPKG:
        restores.package_answered(request, package, answer.value)
        count_download(request, package, answer.provenance)
    try:
        return await _send(request, answer, resource, meant_for)
    except FileReplaced:
        # Between lookup and opening: evicted, or found to be damaged. The upstream has it, so the client gets it.
        return await _send(request, await feed(request).content(package, part), resource, meant_for)


async def _send(
    request: web.Request, answer: Answer[PackageContent], resource: Resource, meant_for: float | None
) -> web.StreamResponse:
    if meant_for is None:
        return await content(request, answer.value, answer.provenance, resource)
    max_age = max(0, math.floor(meant_for))
    return await content(request, answer.value, answer.provenance, resource, max_age=max_age, may_be_hot=False)


def _part(package: PackageIdentity, file: str) -> Part | None:
    """Which part a file name refers to; None if it is not a part of this package."""
    name = file.lower()
    if name in _PLAIN_PARTS:
        return _PLAIN_PARTS[name]
    if name == package.nuspec_name or file == f"{package.id.text}.nuspec":
        return Part.NUSPEC
    if name == package.nupkg_name or _is_nupkg_of(package, name):
        return Part.NUPKG
    return None


def _is_nupkg_of(package: PackageIdentity, name: str) -> bool:
    """Whether the name is the package's with its version spelled in another way ("x.1.0.0.0.nupkg" for X 1.0)."""
    start, end = f"{package.lower_id}.", ".nupkg"
    if not (name.startswith(start) and name.endswith(end)):
        return False
    try:
        return NuGetVersion.parse(name[len(start) : -len(end)]) == package.version
    except InvalidVersion:
        return False
