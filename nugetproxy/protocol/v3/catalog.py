"""The catalog of hosted packages: index, pages and leaves from an append-only log of events.

Storing the log, and giving each event a higher stamp than the one before, belongs to the caller. A full page never
changes again: everything in it comes from its own items. Source: docs/api/catalog-resource.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.protocol.documents import write
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.steps import Steps
from nugetproxy.protocol.times import stamp_in_url, text_of_microseconds, text_of_ticks
from nugetproxy.protocol.v3.catalog_leaf import OMITTED, write_catalog_leaf
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.protocol.v3.manifest_leaf import leaf_from_manifest
from nugetproxy.protocol.v3.registration_values import Hive
from nugetproxy.protocol.v3.rewriting import Rewriter

# The size nuget.org uses; catalog clients read whole pages.
CATALOG_PAGE_SIZE = 550

_UNLISTED_PUBLISHED = "1900-01-01T00:00:00Z"
_NO_COMMIT = "00000000-0000-0000-0000-000000000000"
_CONTEXT: dict[str, Any] = {
    "@vocab": "http://schema.nuget.org/catalog#",
    "nuget": "http://schema.nuget.org/schema#",
    "items": {"@id": "item", "@container": "@set"},
    "parent": {"@type": "@id"},
    "commitTimeStamp": {"@type": "http://www.w3.org/2001/XMLSchema#dateTime"},
}
_LEAF_CONTEXT: dict[str, Any] = {
    "@vocab": "http://schema.nuget.org/schema#",
    "catalog": "http://schema.nuget.org/catalog#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dependencies": {"@id": "dependency", "@container": "@set"},
    "dependencyGroups": {"@id": "dependencyGroup", "@container": "@set"},
    "packageEntries": {"@id": "packageEntry", "@container": "@set"},
    "packageTypes": {"@id": "packageType", "@container": "@set"},
    "tags": {"@id": "tag", "@container": "@set"},
    "published": {"@type": "xsd:dateTime"},
    "created": {"@type": "xsd:dateTime"},
    "lastEdited": {"@type": "xsd:dateTime"},
    "catalog:commitTimeStamp": {"@type": "xsd:dateTime"},
}


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """One event: a version's state at that time, or its deletion.

    `stamp` is in ticks (see `protocol.times`); `version` is the full version. `package_id` has the
    casing of that version; the lower-case forms are those in URLs.
    """

    stamp: int
    commit_id: str
    is_delete: bool
    package_id: str
    version: str
    lower_id: str
    lower_version: str


@dataclass(frozen=True, slots=True)
class CatalogPageRow:
    """A page as the index shows it: its number from 0, its item count, and the commit of its newest item."""

    number: int
    count: int
    stamp: int
    commit_id: str


@dataclass(frozen=True, slots=True)
class CatalogTimes:
    """When something was last created, deleted and edited, in microseconds; None for never."""

    created: int | None = None
    deleted: int | None = None
    edited: int | None = None


@dataclass(frozen=True, slots=True)
class PackageEntry:
    """A file in the archive. Sizes are in bytes."""

    name: str
    size: int
    compressed_size: int


@dataclass(frozen=True, slots=True)
class CatalogDetails:
    """A hosted version at one point in time. Times in microseconds, `size` in bytes, `sha512` base64 of the whole file.

    `published` is when it was first published; an unlisted version is written with the date that nuget.org uses
    instead.
    """

    manifest: PackageManifest
    listed: bool
    created: int
    published: int
    last_edited: int
    size: int
    sha512: str
    deprecation: Deprecation | None = None
    entries: tuple[PackageEntry, ...] = field(default=(), repr=False)


# --- index and pages --------------------------------------------------------------------------------------------------


def write_catalog_index(pages: Sequence[CatalogPageRow], times: CatalogTimes, links: Links) -> bytes:
    """All pages, in the order of their numbers. A catalog without events has no pages, and the oldest possible time."""
    newest = pages[-1] if pages else CatalogPageRow(0, 0, 0, _NO_COMMIT)
    document: dict[str, Any] = {
        "@id": links.catalog_index(),
        "@type": ["CatalogRoot", "AppendOnlyCatalog", "Permalink"],
        **_commit(newest.commit_id, newest.stamp),
        "count": len(pages),
    }
    for name, moment in (("Created", times.created), ("Deleted", times.deleted), ("Edited", times.edited)):
        document[f"nuget:last{name}"] = text_of_microseconds(moment or 0)
    document["items"] = [
        {
            "@id": links.catalog_page(page.number),
            "@type": "CatalogPage",
            **_commit(page.commit_id, page.stamp),
            "count": page.count,
        }
        for page in pages
    ]
    return write({**document, "@context": _CONTEXT})


def write_catalog_page(number: int, items: Sequence[CatalogItem], links: Links) -> bytes:
    """`items` are the page's items, oldest first, at least one."""
    newest = items[-1]
    return write(
        {
            "@id": links.catalog_page(number),
            "@type": "CatalogPage",
            **_commit(newest.commit_id, newest.stamp),
            "count": len(items),
            "parent": links.catalog_index(),
            "items": [_written_item(item, links) for item in items],
            "@context": _CONTEXT,
        }
    )


def _written_item(item: CatalogItem, links: Links) -> dict[str, Any]:
    return {
        "@id": _leaf_url(item, links),
        "@type": "nuget:PackageDelete" if item.is_delete else "nuget:PackageDetails",
        **_commit(item.commit_id, item.stamp),
        "nuget:id": item.package_id,
        "nuget:version": item.version,
    }


def _commit(commit_id: str, stamp: int) -> dict[str, Any]:
    return {"commitId": commit_id, "commitTimeStamp": text_of_ticks(stamp)}


def _leaf_url(item: CatalogItem, links: Links) -> str:
    return links.catalog_leaf(stamp_in_url(item.stamp), item.lower_id, item.lower_version)


# --- leaves -----------------------------------------------------------------------------------------------------------


def write_catalog_details(item: CatalogItem, details: CatalogDetails, links: Links) -> Steps[bytes]:
    """The leaf of an event with a version's new state."""
    own = _leaf_url(item, links)
    rewriter = Rewriter(links, Hive.GZ_SEMVER2, item.lower_id)
    document = {"@id": own, **details_document(item, details)}
    yield
    return (yield from write_catalog_leaf(document, own, rewriter, item.lower_version, {"@context": _LEAF_CONTEXT}))


def write_catalog_deletion(item: CatalogItem, verbatim_version: str, links: Links) -> bytes:
    """The leaf of a deletion event. `verbatim_version` is the version as written in the nuspec."""
    moment = text_of_ticks(item.stamp)
    return write(
        {
            "@id": _leaf_url(item, links),
            "@type": ["PackageDelete", "catalog:Permalink"],
            "catalog:commitId": item.commit_id,
            "catalog:commitTimeStamp": moment,
            "id": item.package_id,
            "originalId": item.package_id,
            "published": moment,
            "version": verbatim_version,
            "@context": _LEAF_CONTEXT,
        }
    )


def details_document(item: CatalogItem, details: CatalogDetails) -> dict[str, Any]:
    """All metadata of a version, with references instead of URLs, for a `Rewriter` to complete."""
    manifest = details.manifest
    published = text_of_microseconds(details.published) if details.listed else _UNLISTED_PUBLISHED
    document: dict[str, Any] = {
        "@type": ["PackageDetails", "catalog:Permalink"],
        "catalog:commitId": item.commit_id,
        "catalog:commitTimeStamp": text_of_ticks(item.stamp),
    }
    leaf = leaf_from_manifest(manifest, published=published, listed=details.listed)
    document |= {name: value for name, value in leaf.entry.items() if name != "@type"}
    if not leaf.fits:
        document[OMITTED] = ["dependencyGroups"]
    document |= {
        "published": published,
        "created": text_of_microseconds(details.created),
        "lastEdited": text_of_microseconds(details.last_edited),
        "isPrerelease": manifest.version.is_prerelease,
        "verbatimVersion": manifest.verbatim_version,
        "releaseNotes": manifest.release_notes,
        "copyright": manifest.copyright,
        "tags": list(manifest.tags),
        "packageHash": details.sha512,
        "packageHashAlgorithm": "SHA512",
        "packageSize": details.size,
    }
    files = {"iconFile": manifest.icon, "licenseFile": manifest.license_file, "readmeFile": manifest.readme}
    document |= {name: path for name, path in files.items() if path}
    if details.deprecation is not None:
        document["deprecation"] = details.deprecation.document()
    document["packageEntries"] = [_written_entry(entry) for entry in details.entries]
    return document


def _written_entry(entry: PackageEntry) -> dict[str, Any]:
    return {
        "@id": f"#{entry.name}",
        "@type": "PackageEntry",
        "compressedLength": entry.compressed_size,
        "fullName": entry.name,
        "length": entry.size,
        "name": entry.name.rpartition("/")[2],
    }
