"""GET registration indexes, pages and leaves in the three hives, and the catalog entries that leaves point at."""

from aiohttp import web

from nugetproxy.errors import DocumentNotFound, PackageNotFound, VersionNotFound
from nugetproxy.executors.slices import in_slices
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.protocol.v3.registration import Hive, write_catalog_entry, write_index, write_leaf, write_page
from nugetproxy.web.answers.responses import Gzip, document
from nugetproxy.web.http.errors import warning_header
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, links, package_id, stem, version_named
from nugetproxy.web.requests.keys import NOTE


async def registration_document(request: web.Request) -> web.StreamResponse:
    """The index of an id, or the leaf of one of its versions."""
    hive, package = _hive(request), package_id(request)
    if request.match_info["file"].lower() == "index.json":
        return await _index(request, hive, package)
    return await _leaf(request, hive, _identity(request, package))


async def registration_page(request: web.Request) -> web.StreamResponse:
    hive, package = _hive(request), package_id(request)
    lower, upper = version_named(request, "lower", ""), version_named(request, "upper", ".json")
    answer = await feed(request).registration_between(package, lower, upper)
    body = await in_slices(write_page(answer.value, hive, lower, upper, links(request)))
    if body is None:
        raise DocumentNotFound(f"package '{package}' has no version from {lower} to {upper} in this registration hive")
    return await _send(request, hive, body, answer.provenance, Resource.REGISTRATION_PAGE)


async def catalog_entry(request: web.Request) -> web.StreamResponse:
    package = _identity(request, package_id(request))
    answer = await feed(request).catalog_entry(package)
    body = await in_slices(write_catalog_entry(answer.value.leaf, answer.value.document, links(request)))
    return await document(request, body, answer.provenance, Resource.CATALOG_ENTRY)


async def _index(request: web.Request, hive: Hive, package: PackageId) -> web.StreamResponse:
    request[NOTE].resource = Resource.REGISTRATION_INDEX
    asked = feed(request)
    # The older hives omit versions, so their pages are divided differently and all leaves must be known.
    answer = await (asked.registration(package) if hive.has_semver2 else asked.complete_registration(package))
    body = await in_slices(write_index(answer.value, hive, links(request)))
    if body is None:
        raise PackageNotFound(package.text, "this registration hive contains none of its versions")
    return await _send(request, hive, body, answer.provenance, Resource.REGISTRATION_INDEX, answer.warnings)


async def _leaf(request: web.Request, hive: Hive, package: PackageIdentity) -> web.StreamResponse:
    request[NOTE].resource = Resource.REGISTRATION_LEAF
    answer = await feed(request).leaf(package)
    body = write_leaf(answer.value, hive, links(request))
    if body is None:
        raise VersionNotFound(package.id.text, package.version.normalized)
    return await _send(request, hive, body, answer.provenance, Resource.REGISTRATION_LEAF)


async def _send(
    request: web.Request,
    hive: Hive,
    body: bytes,
    provenance: Provenance,
    resource: Resource,
    warnings: tuple[str, ...] = (),
) -> web.StreamResponse:
    gzip = Gzip.PREFERRED if hive.gzipped else Gzip.NEGOTIATED
    return await document(request, body, provenance, resource, gzip=gzip, extra=warning_header(warnings))


def _hive(request: web.Request) -> Hive:
    return Hive(request.match_info["hive"])


def _identity(request: web.Request, package: PackageId) -> PackageIdentity:
    return PackageIdentity.parse(package.text, stem(request, "file", ".json"))
