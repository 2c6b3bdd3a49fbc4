"""What one version adds to a page of the V2 feed, whoever wrote it."""

from copy import copy
from functools import partial
from typing import Any

import pytest
from lxml import etree

from nugetproxy.errors import DocumentTooLarge
from nugetproxy.protocol.bounds import LARGEST_VERSION
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v2 import atom
from nugetproxy.protocol.v2.atom import write_entry, write_property
from nugetproxy.protocol.v2.evaluation import filtered
from nugetproxy.protocol.v2.odata_query import parse_filter
from nugetproxy.protocol.v2.packages import package_of_leaf
from nugetproxy.protocol.v2.properties import BY_NAME
from nugetproxy.protocol.v2.rows import Row
from nugetproxy.protocol.v3.catalog_leaf import fitted_catalog_leaf
from nugetproxy.protocol.v3.manifest_leaf import leaf_from_manifest
from nugetproxy.protocol.v3.registration import Leaf
from tests.hostile.manifests import ENTRIES, LEGAL, MANIFESTS, manifest
from tests.protocol.v3.leaves import body, leaf, read_page
from tests.protocol.writing import rows_of_leaves, write_feed

LINKS = Links("https://packages.example.com/nuget")
ATOM = "{http://www.w3.org/2005/Atom}"

# Including those that repeat their framework with each dependency, which is too large in V2.
LEFT_OUT_MANIFESTS = {
    *("groups", "frameworks", "dependencies", "a framework as long as a book"),
    "dependencies on a framework of 2,000 letters",
}
LEFT_OUT_ENTRIES = {"groups", "dependencies", "vulnerabilities", "long vulnerabilities", "reasons"}


def mirrored(**entry: Any) -> list[Leaf]:
    return list(read_page(body({"items": [leaf("1.0.0", **entry), leaf("2.0.0")]})).leaves or ())


def hosted(name: str) -> list[Leaf]:
    both = ((MANIFESTS | LEGAL)[name](), manifest(version="2.0.0", description="as usual"))
    return [leaf_from_manifest(each, published="2024-01-01T00:00:00+00:00") for each in both]


def shown(leaves: list[Leaf]) -> list[str]:
    """The versions of a feed of these leaves; each is small."""
    text = write_feed("FindPackagesById", rows_of_leaves(leaves, LINKS, level2=True), LINKS)
    entries = etree.fromstring(text).findall(f"{ATOM}entry")
    assert max(len(etree.tostring(entry, encoding="utf-8")) for entry in entries) <= LARGEST_VERSION + 1_000
    return [entry.findtext(".//{*}NormalizedVersion") or "" for entry in entries]


def test_a_feed_of_large_versions_holds_one_package_at_a_time():
    """
    A page of a hundred has a million objects, which stop the loop when the garbage collector walks through them.
    """
    leaves = [leaf_from_manifest(manifest(version=f"1.{n}.0"), published="2024-01-01T00:00:00+00:00") for n in range(9)]
    rows = rows_of_leaves(leaves, LINKS, level2=True)
    held = [sum(row._made is not None for row in rows) for _ in atom.write_feed("Packages", rows, LINKS)]

    assert len(held) == len(rows)
    assert max(held) <= 1


@pytest.mark.parametrize("name", ENTRIES)
def test_a_mirrored_entry_is_small_or_left_out(name):
    assert shown(mirrored(**ENTRIES[name]())) == (["2.0.0"] if name in LEFT_OUT_ENTRIES else ["1.0.0", "2.0.0"])


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hosted_entry_is_small_or_left_out(name):
    assert shown(hosted(name)) == (["2.0.0"] if name in LEFT_OUT_MANIFESTS else ["1.0.0", "2.0.0"])


@pytest.mark.parametrize("name", LEGAL)
def test_the_most_that_nuget_org_accepts_is_shown_with_all_dependencies(name):
    row, _ = rows_of_leaves(hosted(name), LINKS, level2=True)

    entry = etree.fromstring(write_entry(row, LINKS))

    count = sum(len(group.dependencies) for group in LEGAL[name]().dependency_groups)
    assert len((entry.findtext(".//{*}Dependencies") or "").split("|")) == max(1, count)


@pytest.mark.parametrize("field", ["releaseNotes", "copyright", "description", "packageHash", "verbatimVersion"])
def test_what_the_catalog_of_an_upstream_says_is_small(field):
    (first, _) = mirrored()
    document = {field: "1.0.0" + "<" * 2_000_000, "version": "1.0.0"}

    for given in (document, fitted_catalog_leaf(document)):
        package = package_of_leaf(first, LINKS, document=given)
        row = Row("Contoso.Utils", first.version, partial(copy, package))
        assert len(write_entry(row, LINKS)) <= LARGEST_VERSION + 1_000


def test_a_single_property_and_entry_that_is_too_large_is_refused():
    """
    The entry of a version was requested and cannot be left out; without its dependencies it would be wrong.
    """
    row, _ = rows_of_leaves(hosted("dependencies on a framework of 2,000 letters"), LINKS, level2=True)

    for write in (lambda: write_property(row, BY_NAME["dependencies"]), lambda: write_entry(row, LINKS)):
        with pytest.raises(DocumentTooLarge, match=r"(dependencies|Contoso\.Hostile 1\.0\.0) is larger than"):
            write()


def test_one_version_does_not_fail_a_filter_over_all():
    rows = rows_of_leaves(hosted("dependencies on a framework of 2,000 letters"), LINKS, level2=True)

    passed = filtered(rows, parse_filter("substringof('some',Dependencies) or Version eq '2.0.0'"))

    assert [row.version.normalized for row in passed] == ["2.0.0"]
