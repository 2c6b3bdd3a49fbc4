"""The catalog's document about one version: what our `catalogEntry`'s `@id` leads to.

It is not part of any catalog. Scripts follow a leaf to its catalog entry for hash and size, and get this document.
Source: docs/api/catalog-resource.
"""

from typing import Any

from nugetproxy.errors import InvalidVersion, UnreadableDocument
from nugetproxy.nuget.identity import PackageIdentity, lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.documents import is_absolute_url, read_object, text_of
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.steps import Steps
from nugetproxy.protocol.v3.catalog_leaf import OMITTED, fitted_catalog_leaf, write_catalog_leaf
from nugetproxy.protocol.v3.readable import PACKAGE
from nugetproxy.protocol.v3.registration_values import Hive, Leaf
from nugetproxy.protocol.v3.rewriting import Rewriter
from nugetproxy.protocol.v3.version_fitting import ACTED_ON

_ENTRY = "catalog entry"


def catalog_entry_url(leaf: Leaf) -> str | None:
    """Where the upstream keeps the document; None if it has none, as with private feeds."""
    url = leaf.entry.get("@id")
    return url if is_absolute_url(url) else None


def read_catalog_entry(body: bytes, package: PackageIdentity) -> dict[str, Any]:
    """Read an upstream's document about `package`.

    The URL comes from the leaf, so the upstream chose it: a document about another package must not be passed on.
    Raises:
        UnreadableDocument: not a JSON object, or not about this id and version.
    """
    document = PACKAGE.repair(read_object(body, _ENTRY))
    package_id, version = text_of(document.get("id")), text_of(document.get("version"))
    if lower_invariant(package_id) != package.lower_id or not _is_version(version, package.version):
        raise UnreadableDocument(_ENTRY, f"it does not describe {package}")
    return fitted_catalog_leaf(document)


def _is_version(text: str, version: NuGetVersion) -> bool:
    try:
        return NuGetVersion.parse(text) == version
    except InvalidVersion:
        return False


def write_catalog_entry(leaf: Leaf, document: dict[str, Any] | None, links: Links) -> Steps[bytes]:
    """The upstream's document with our URLs; without one, what the registration says about the version."""
    lower_id, lower_version = lower_invariant(leaf.package_id), leaf.version.lower
    own = links.catalog_entry(lower_id, lower_version)
    rewriter = Rewriter(links, Hive.GZ_SEMVER2, lower_id)
    if document is not None:
        return (yield from write_catalog_leaf(document, own, rewriter, lower_version, {"@id": own}))
    ours = {
        "@id": own,
        "@type": ["PackageDetails", "catalog:Permalink"],
        "isPrerelease": leaf.version.is_prerelease,
        "listed": leaf.listed,
        **({} if leaf.fits else {OMITTED: ACTED_ON}),
    }
    return (yield from write_catalog_leaf(leaf.entry, own, rewriter, lower_version, ours))
