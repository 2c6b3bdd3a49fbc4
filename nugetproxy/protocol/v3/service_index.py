"""The service index: writing ours, and reading the URLs of an upstream's resources from its own.

Source: docs/api/service-index. Nothing that we publish points anywhere but to ourselves.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nugetproxy.errors import InvalidVersion, UnreadableDocument
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.documents import is_absolute_url, read_object, write
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3 import resources
from nugetproxy.protocol.v3.registration_values import Hive

_CONTEXT = {
    "@vocab": "http://schema.nuget.org/services#",
    "comment": "http://www.w3.org/2000/01/rdf-schema#comment",
}


# In the entry of a catalog: what its feed offers and the catalog does not name. So another mirror does not rely on it.
_OMITTED = "nugetproxy:omitted"
# The highest clientVersion that an entry may require: we know what this client knows.
_CLIENT_VERSION = NuGetVersion(7, 9)
# Maximum number of search services tried in turn; nuget.org lists two.
_MOST_SERVICES = 4


@dataclass(frozen=True, slots=True)
class UpstreamEndpoints:
    """Absolute URLs. `flat_container` and `registrations` end in a slash; None means "not offered"."""

    flat_container: str | None = None
    registrations: str | None = None
    search: tuple[str, ...] = ()
    """Without query, in the order in which to try them."""
    autocomplete: tuple[str, ...] = ()
    vulnerabilities: str | None = None
    repository_signatures: str | None = None
    catalog: str | None = None

    @property
    def own_catalog(self) -> str | None:
        """The catalog, if it is on the server of the version lists, or of the registrations if there are none.

        A mirror of a public feed may pass on the address of that feed's catalog, which does not name its own packages.
        """
        documents = self.flat_container or self.registrations
        if self.catalog is None or documents is None or _server(self.catalog) != _server(documents):
            return None
        return self.catalog


def write_service_index(
    links: Links, *, vulnerabilities: bool, repository_signatures: bool, hosting: bool = False
) -> bytes:
    """Our index. Every `@type` is one string: Renovate and PSResourceGet cannot read arrays.

    `hosting`: packages and symbols can be pushed here, and hosted packages have a catalog.
    """
    offered = list(_always_offered(links))
    if hosting:
        offered.append(_resource(resources.PACKAGE_PUBLISH, links.publish()))
        offered.append(_resource(resources.SYMBOL_PACKAGE_PUBLISH, links.symbol_publish()))
        offered.append({**_resource(resources.CATALOG, links.catalog_index()), _OMITTED: "mirrored packages"})
    # An http:// address for signatures makes every restore from the source fail, so https only.
    if repository_signatures and links.is_https:
        offered += [
            _resource(f"RepositorySignatures/{version}", links.repository_signatures(version))
            for version in resources.REPOSITORY_SIGNATURES_VERSIONS
        ]
    if vulnerabilities:
        offered.append(_resource(resources.VULNERABILITIES, links.vulnerability_index()))
    offered.append(_resource(resources.README_TEMPLATE, links.readme_template()))
    return write({"version": "3.0.0", "resources": offered, "@context": _CONTEXT})


def read_service_index(body: bytes, *, partial: bool = False) -> UpstreamEndpoints:
    """The resources of an upstream; unusable entries are ignored, as clients do.

    `partial`: also a catalog that does not name everything that its feed offers.

    Raises:
        UnreadableDocument: not a service index, or one of another major version.
    """
    document = read_object(body, "service index")
    version, entries = document.get("version"), document.get("resources")
    if not isinstance(version, str) or not version.startswith("3."):
        raise UnreadableDocument("service index", "its version is not 3.x")
    if not isinstance(entries, list):
        raise UnreadableDocument("service index", "resources is not an array")
    by_type = _by_type([entry for entry in entries if partial or not (isinstance(entry, dict) and _OMITTED in entry)])
    return UpstreamEndpoints(
        flat_container=_folder(_first(by_type, resources.ACCEPTED_FLAT_CONTAINER)),
        registrations=_folder(_first(by_type, resources.ACCEPTED_REGISTRATIONS)),
        search=_without_query(_all(by_type, resources.ACCEPTED_SEARCH))[:_MOST_SERVICES],
        autocomplete=_without_query(_all(by_type, resources.ACCEPTED_AUTOCOMPLETE))[:_MOST_SERVICES],
        vulnerabilities=_first(by_type, resources.ACCEPTED_VULNERABILITIES),
        repository_signatures=_first(by_type, resources.ACCEPTED_REPOSITORY_SIGNATURES),
        catalog=_first(by_type, resources.ACCEPTED_CATALOG),
    )


def check_service_index(body: bytes, *, partial: bool = False) -> UpstreamEndpoints:
    """As `read_service_index`. Also raises UnreadableDocument for an index that leads to no packages."""
    endpoints = read_service_index(body, partial=partial)
    if endpoints.flat_container is None and endpoints.registrations is None:
        raise UnreadableDocument("service index", "it lists neither packages nor registrations")
    return endpoints


# --- ours -------------------------------------------------------------------------------------------------------------


def _always_offered(links: Links) -> Iterator[dict[str, str]]:
    for name in resources.SEARCH:
        # One Unity client takes the search entry whose comment says "(primary)".
        yield _resource(name, links.search(), comment="Query endpoint of the search service (primary)")
    for name in resources.AUTOCOMPLETE:
        yield _resource(name, links.autocomplete(), comment="Autocomplete endpoint of the search service (primary)")
    for name in resources.FLAT_CONTAINER:
        yield _resource(name, links.flat_container())
    hives = (
        (resources.REGISTRATIONS_PLAIN, Hive.PLAIN),
        (resources.REGISTRATIONS_GZ, Hive.GZ),
        (resources.REGISTRATIONS_GZ_SEMVER2, Hive.GZ_SEMVER2),
    )
    for names, hive in hives:
        for name in names:
            yield _resource(name, links.registration_base(hive))
    versioned = _resource(resources.REGISTRATIONS_VERSIONED, links.registration_base(Hive.GZ_SEMVER2))
    yield {**versioned, "clientVersion": resources.SEMVER2_CLIENT_VERSION}
    for name in resources.LEGACY_GALLERY:
        yield _resource(name, links.v2())


def _resource(name: str, url: str, *, comment: str = "") -> dict[str, str]:
    resource = {"@id": url, "@type": name}
    return {**resource, "comment": comment} if comment else resource


# --- an upstream's ----------------------------------------------------------------------------------------------------


def _server(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", url
    return parts.scheme.lower(), parts.netloc.lower()


def _by_type(entries: list[Any]) -> dict[str, list[str]]:
    """URLs by lower-case type name: Paket ignores case, so servers with wrong case exist.

    Of the entries of one type, those for the newest client version that is not newer than ours count.
    """
    by_type: dict[str, tuple[NuGetVersion, list[str]]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not is_absolute_url(entry.get("@id")):
            continue
        client = _newest_for_us(entry.get("clientVersion", "0.0.0"))
        names = entry.get("@type")
        for name in names if isinstance(names, list) else [names]:
            if not isinstance(name, str) or client is None:
                continue
            newest, urls = by_type.setdefault(name.lower(), (client, []))
            if client > newest:
                by_type[name.lower()] = (client, [entry["@id"]])
            elif client == newest:
                urls.append(entry["@id"])
    return {name: urls for name, (_, urls) in by_type.items()}


def _newest_for_us(stated: object) -> NuGetVersion | None:
    """The newest client version that an entry is for and that is not above ours; None if there is none."""
    fitting = []
    for text in stated if isinstance(stated, list) else [stated]:
        with contextlib.suppress(InvalidVersion):
            if isinstance(text, str) and (version := NuGetVersion.parse(text)) <= _CLIENT_VERSION:
                fitting.append(version)
    return max(fitting, default=None)


def _all(by_type: dict[str, list[str]], accepted: Iterable[str]) -> tuple[str, ...]:
    """The URLs of the best available type, without duplicates."""
    return next((tuple(dict.fromkeys(by_type[name.lower()])) for name in accepted if name.lower() in by_type), ())


def _first(by_type: dict[str, list[str]], accepted: Iterable[str]) -> str | None:
    return next(iter(_all(by_type, accepted)), None)


def _folder(url: str | None) -> str | None:
    return url if url is None or url.endswith("/") else url + "/"


def _without_query(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Official clients replace a query in the index's URL, so no server relies on one."""
    return tuple(dict.fromkeys(url.partition("#")[0].partition("?")[0] for url in urls))
