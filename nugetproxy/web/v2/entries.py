"""GET one package of the V2 feed: its entry, a property of it, its file."""

from dataclasses import replace

from aiohttp import web

from nugetproxy.errors import DocumentNotFound, DocumentTooLarge, NugetproxyError, PackageNotFound, UpstreamError
from nugetproxy.executors.slices import in_slices
from nugetproxy.feeds.base import HOSTED, Answer, Part
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.bounds import LARGEST_VERSION
from nugetproxy.protocol.v2.atom import ENTRY_TYPE, XML_TYPE, write_entry, write_property
from nugetproxy.protocol.v2.feed_query import read_key
from nugetproxy.protocol.v2.packages import package_of_leaf
from nugetproxy.protocol.v2.properties import BY_NAME
from nugetproxy.protocol.v2.rows import Row, rows_of_leaves
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, identity, links, package_id
from nugetproxy.web.requests.keys import NOTE
from nugetproxy.web.v2.answers import odata
from nugetproxy.web.v2.gathering import HIGHEST
from nugetproxy.web.v3.flat_container import send_part


async def send_entry(request: web.Request, key: str) -> web.StreamResponse:
    """The entry of `(Id='A',Version='1.0')`, also for unlisted and SemVer 2 versions.

    Raises:
        PackageNotFound, VersionNotFound: there is no such version.
    """
    found = await _found(request, PackageIdentity.parse(*read_key(key)))
    return await odata(
        request, write_entry(found.value, links(request)), found.provenance, Resource.V2_ENTRY, ENTRY_TYPE
    )


async def send_property(request: web.Request, key: str, name: str) -> web.StreamResponse:
    """As `send_entry`, but a single property.

    Raises:
        DocumentNotFound: there is no such property.
    """
    definition = BY_NAME.get(name.lower())
    if definition is None:
        raise DocumentNotFound(f"packages have no property '{name[:40]}'")
    found = await _found(request, PackageIdentity.parse(*read_key(key)))
    return await odata(request, write_property(found.value, definition), found.provenance, Resource.V2_ENTRY, XML_TYPE)


async def package_file(request: web.Request) -> web.StreamResponse:
    """The .nupkg of a version, or of the newest version there is: stable before prerelease, listed before unlisted."""
    if "version" in request.match_info:
        return await send_part(request, identity(request), Part.NUPKG)
    wanted = package_id(request)
    registration = await feed(request).complete_registration(wanted)
    newest = max(registration.value.leaves, key=_is_preferred, default=None)
    if newest is None:
        raise PackageNotFound(wanted.text)
    # Tomorrow another version may be the newest, so caches may keep this one only for a short time.
    package, known_for = PackageIdentity(wanted, newest.version), registration.provenance.fresh_for
    return await send_part(request, package, Part.NUPKG, meant_for=known_for)


def _is_preferred(leaf: Leaf) -> tuple[object, ...]:
    return (not leaf.version.is_prerelease, leaf.listed, leaf.version)


async def _found(request: web.Request, package: PackageIdentity) -> Answer[Row]:
    request[NOTE].resource = Resource.V2_ENTRY
    asked = feed(request)
    leaf: Leaf | None
    try:
        # The versions above it decide whether it is the latest; those below need not be fetched.
        registration = await asked.registration_between(package.id, package.version, HIGHEST)
        leaf, provenance = registration.value.find(package.version), registration.provenance
        others = [other for other in registration.value.loaded_leaves if other.version != package.version]
    except UpstreamError:
        # We host this version of an id that the upstream has as well: it is available, so it is not refused. Whether it
        # is the latest is unknown, and clients would believe an entry that says so.
        answer = await asked.leaf(package)
        if answer.provenance.detail != HOSTED:
            raise
        leaf, provenance, others = answer.value, replace(answer.provenance, fresh_for=0.0), None
    if leaf is None:
        answer = await asked.leaf(package)
        leaf, provenance = answer.value, answer.provenance
    if not leaf.fits:
        raise DocumentTooLarge(f"the metadata of {package}", LARGEST_VERSION)
    document, provenance = await _catalog_page(request, package, provenance)
    rows = await in_slices(rows_of_leaves([*(others or ()), leaf], links(request), level2=True))
    row = next(row for row in rows if row.version == leaf.version)
    ours = links(request)
    whole = Row(
        row.package_id,
        row.version,
        lambda: package_of_leaf(leaf, ours, document=document),
        listed=row.listed,
        is_latest=row.is_latest and others is not None,
        is_absolute_latest=row.is_absolute_latest and others is not None,
    )
    return Answer(whole, provenance)


async def _catalog_page(
    request: web.Request, package: PackageIdentity, provenance: Provenance
) -> tuple[dict[str, object] | None, Provenance]:
    """Only it has the hash, the size and the author's spelling of the version. An entry without them is still
    useful.
    """
    try:
        answer = await feed(request).catalog_entry(package)
    except NugetproxyError:
        return None, provenance
    return answer.value.document, provenance.joined(answer.provenance)
