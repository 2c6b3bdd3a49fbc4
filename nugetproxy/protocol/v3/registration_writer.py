"""Write registrations: index, page and leaf of a hive, with our URLs.

Nothing is fetched here: everything that a document needs must be loaded. Source:
docs/api/registration-base-url-resource.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from nugetproxy.errors import DocumentTooLarge
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.bounds import LARGEST_VERSION
from nugetproxy.protocol.documents import write
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.steps import Steps
from nugetproxy.protocol.v3.registration_values import (
    Hive,
    Leaf,
    Page,
    Registration,
    ascending_leaves,
    newest_commit,
)
from nugetproxy.protocol.v3.rewriting import Rewriter
from nugetproxy.protocol.v3.version_fitting import plain_leaf

_INDEX_TYPE = ["catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"]
_PAGE_TYPE = "catalog:CatalogPage"
_LEAF_TYPE = ["Package", "http://schema.nuget.org/catalog#Permalink"]
_SEMVER2_HIVE_ONLY = frozenset({"deprecation", "vulnerabilities"})

_CONTEXT: dict[str, Any] = {
    "@vocab": "http://schema.nuget.org/schema#",
    "catalog": "http://schema.nuget.org/catalog#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "items": {"@id": "catalog:item", "@container": "@set"},
    "commitTimeStamp": {"@id": "catalog:commitTimeStamp", "@type": "xsd:dateTime"},
    "commitId": {"@id": "catalog:commitId"},
    "count": {"@id": "catalog:count"},
    "parent": {"@id": "catalog:parent", "@type": "@id"},
    "tags": {"@id": "tag", "@container": "@set"},
    "reasons": {"@container": "@set"},
    "dependencyGroups": {"@id": "dependencyGroup", "@container": "@set"},
    "dependencies": {"@id": "dependency", "@container": "@set"},
    "packageContent": {"@type": "@id"},
    "published": {"@type": "xsd:dateTime"},
    "registration": {"@type": "@id"},
}
_LEAF_CONTEXT: dict[str, Any] = {
    "@vocab": "http://schema.nuget.org/schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "catalogEntry": {"@type": "@id"},
    "registration": {"@type": "@id"},
    "packageContent": {"@type": "@id"},
    "published": {"@type": "xsd:dateTime"},
}


def write_index(registration: Registration, hive: Hive, links: Links) -> Steps[bytes | None]:
    """The index of an id; None if the hive contains none of its versions, which clients must see as 404.

    In the SemVer 2 hive outlying pages may stay outlying: their bounds are the upstream's. Versions that do not fit are
    left out, unless there are no others: the id exists, and a 404 would send clients to look for it elsewhere.

    Raises:
        ValueError: a page is outlying and vague, or the hive leaves versions out, so that new pages must be made.
        DocumentTooLarge: it would exceed the limit for documents.
    """
    whole = registration
    if registration.is_complete or not hive.has_semver2:
        registration = registration.keeping(lambda leaf: _is_shown(leaf, hive))
        registration = registration.in_neat_pages()
    if registration.vague:
        raise ValueError(f"{registration.package_id}: a registration page is not loaded")
    pages = [page for page in registration.pages if page.leaves != ()]
    if not pages:
        _require_one_that_fits(whole, whole.loaded_leaves, hive)
        return None
    rewriter = Rewriter(links, hive, lower_invariant(registration.package_id))
    items = []
    for page in pages:
        leaves = None
        if registration.is_inlined:
            leaves = yield from _items(page.leaves or (), rewriter)
        items.append(_page_in_index(page, rewriter, leaves))
        yield
    raw = rewriter.rewritten(registration.raw, rewriter.index, "")
    return write(
        {
            **raw,
            "@id": rewriter.index,
            "@type": raw.get("@type", _INDEX_TYPE),
            "count": len(pages),
            "items": items,
            "@context": _context(raw),
        }
    )


def write_page(
    registration: Registration, hive: Hive, lower: NuGetVersion, upper: NuGetVersion, links: Links
) -> Steps[bytes | None]:
    """The page with all versions from `lower` to `upper` that the hive contains; None if there are none.

    Any bounds give a page: a client may still hold an index from before a version was published.

    Raises:
        ValueError: a page that overlaps the bounds is outlying. A page with gaps would look complete.
        DocumentTooLarge: it would exceed the limit for documents.
    """
    overlapping = registration.overlapping(lower, upper)
    if any(page.leaves is None for page in overlapping):
        raise ValueError(f"{registration.package_id}: a registration page between {lower} and {upper} is not loaded")
    leaves = tuple(
        leaf
        for page in overlapping
        for leaf in page.leaves or ()
        if lower <= leaf.version <= upper and _is_shown(leaf, hive)
    )
    if not leaves:
        between = (leaf for page in overlapping for leaf in page.leaves or () if lower <= leaf.version <= upper)
        _require_one_that_fits(registration, between, hive)
        return None
    ascending = tuple(ascending_leaves(leaves))
    rewriter = Rewriter(links, hive, lower_invariant(registration.package_id))
    own = links.registration_page(hive, rewriter.lower_id, lower.lower, upper.lower)
    raw = rewriter.rewritten(_raw_of_page(overlapping, ascending), own, "")
    items = yield from _items(ascending, rewriter)
    return write(
        {
            **raw,
            "@id": own,
            "@type": raw.get("@type", _PAGE_TYPE),
            "count": len(items),
            "items": items,
            "parent": rewriter.index,
            "lower": _bound(raw, "lower", ascending[0].version),
            "upper": _bound(raw, "upper", ascending[-1].version),
            "@context": _context(raw, registration.raw),
        }
    )


def write_leaf(leaf: Leaf, hive: Hive, links: Links) -> bytes | None:
    """The leaf's own document; None if the hive does not contain the version."""
    if leaf.is_semver2 and not hive.has_semver2:
        return None
    lower_id, lower_version = lower_invariant(leaf.package_id), leaf.version.lower
    document: dict[str, Any] = {
        "@id": links.registration_leaf(hive, lower_id, lower_version),
        "@type": _LEAF_TYPE,
        "catalogEntry": links.catalog_entry(lower_id, lower_version),
        "listed": leaf.listed,
        "packageContent": links.nupkg(lower_id, lower_version),
        "registration": links.registration_index(hive, lower_id),
        "@context": _LEAF_CONTEXT,
    }
    if isinstance(published := leaf.entry.get("published"), str):
        document["published"] = published
    return write(document)


# --- parts, from the outside in ---------------------------------------------------------------------------------------


def _page_in_index(page: Page, rewriter: Rewriter, items: list[orjson.Fragment] | None) -> dict[str, Any]:
    """Clients distinguish an inlined page from an outlying one by the presence of the property `items`."""
    lower, upper = page.lower.lower, page.upper.lower
    if items is not None:
        own = f"{rewriter.index}#page/{lower}/{upper}"
    else:
        own = rewriter.links.registration_page(rewriter.hive, rewriter.lower_id, lower, upper)
    raw = rewriter.rewritten(page.raw, own, "")
    document = {
        **raw,
        "@id": own,
        "@type": raw.get("@type", _PAGE_TYPE),
        "count": page.count,
        "lower": _bound(page.raw, "lower", page.lower),
        "upper": _bound(page.raw, "upper", page.upper),
    }
    if not page.count:
        del document["count"]  # the upstream does not state it either
    document.pop("@context", None)
    document.pop("parent", None)
    if items is not None:
        document["items"] = items
        document["parent"] = rewriter.index
    return document


def _items(leaves: Iterable[Leaf], rewriter: Rewriter) -> Steps[list[orjson.Fragment]]:
    """The leaves of a page, already serialised: only then is the size of each known."""
    items = []
    for leaf in leaves:
        items.append(orjson.Fragment(_written_leaf(leaf, rewriter)))
        yield
    return items


def _written_leaf(leaf: Leaf, rewriter: Rewriter) -> bytes:
    written = orjson.dumps(_leaf_in_page(leaf, leaf.raw, rewriter))
    if len(written) <= LARGEST_VERSION:
        return written
    # Its links make it this large: it has many small parts, or a very long host name.
    plain = plain_leaf(leaf.raw)
    if plain is not None and len(written := orjson.dumps(_leaf_in_page(leaf, plain, rewriter))) <= LARGEST_VERSION:
        return written
    raise DocumentTooLarge(f"the metadata of {leaf.package_id} {leaf.version}", LARGEST_VERSION)


def _leaf_in_page(leaf: Leaf, raw: dict[str, Any], rewriter: Rewriter) -> dict[str, Any]:
    links, hive, lower_id, lower_version = rewriter.links, rewriter.hive, rewriter.lower_id, leaf.version.lower
    own = links.catalog_entry(lower_id, lower_version)
    content = links.nupkg(lower_id, lower_version)
    document = rewriter.rewritten(raw, own, lower_version)
    entry: dict[str, Any] = document["catalogEntry"]
    entry["@id"] = own
    entry["packageContent"] = content
    if not hive.has_semver2:
        for name in _SEMVER2_HIVE_ONLY:
            entry.pop(name, None)
    document["@id"] = links.registration_leaf(hive, lower_id, lower_version)
    document.setdefault("@type", "Package")
    document["packageContent"] = content
    document["registration"] = rewriter.index
    return document


def _raw_of_page(pages: tuple[Page, ...], leaves: tuple[Leaf, ...]) -> dict[str, Any]:
    """The upstream's metadata of a page with exactly these leaves, else derived from the leaves."""
    for page in pages:
        if (page.lower, page.upper, page.count) == (leaves[0].version, leaves[-1].version, len(leaves)):
            return page.raw
    return newest_commit(leaves)


def _bound(raw: dict[str, Any], name: str, version: NuGetVersion) -> str:
    """The upstream's own spelling if it denotes this version."""
    text = raw.get(name)
    return text if isinstance(text, str) and text.lower() == version.lower else version.normalized


def _context(*raws: dict[str, Any]) -> dict[str, Any]:
    """The first JSON-LD context that is an object. A string would be a link to a foreign server."""
    return next((context for raw in raws if isinstance(context := raw.get("@context"), dict)), _CONTEXT)


def _is_shown(leaf: Leaf, hive: Hive) -> bool:
    return leaf.fits and _is_of(leaf, hive)


def _is_of(leaf: Leaf, hive: Hive) -> bool:
    return hive.has_semver2 or not leaf.is_semver2


def _require_one_that_fits(registration: Registration, leaves: Iterable[Leaf], hive: Hive) -> None:
    """Raise DocumentTooLarge if the document would be empty only because nothing fits."""
    if any(_is_of(leaf, hive) for leaf in leaves):
        raise DocumentTooLarge(f"the metadata of each version of {registration.package_id}", LARGEST_VERSION)
