"""Compare our documents for every package of the stand-in for nuget.org with those it writes itself.

Its gz SemVer 2 hive is read and all three hives are written: the other two must equal those of nuget.org.
"""

import json
import re

import pytest

from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import (
    Hive,
    Registration,
    leaf_from_manifest,
    read_catalog_entry,
    registration_of,
    write_leaf,
)
from tests.protocol.urls import foreign_urls
from tests.protocol.v3.leaves import read_index, read_page
from tests.protocol.writing import write_catalog_entry, write_index, write_page

UPSTREAM_HIVES = {
    Hive.PLAIN: "registration5-semver1",
    Hive.GZ: "registration5-gz-semver1",
    Hive.GZ_SEMVER2: "registration5-gz-semver2",
}
NEWEST = UPSTREAM_HIVES[Hive.GZ_SEMVER2]


class Stand:
    """The stand-in's documents: as bytes, and as we should write them."""

    def __init__(self, nuget_org, links):
        self.feed = nuget_org
        self.links = links
        self._registrations: dict[str, Registration] = {}
        self._identities = {
            f"{lid}.{lower}": (lid, lower) for lid, versions in nuget_org.ids.items() for lower in versions
        }

    def document(self, hive, lid, *rest):
        return self.feed.registration(UPSTREAM_HIVES[hive], lid, list(rest))

    def ours(self, document):
        """The stand-in's document with its URLs replaced, by plain text replacement."""
        text = json.dumps(document)
        for hive, theirs in UPSTREAM_HIVES.items():
            text = text.replace(f"https://up.example/v3/{theirs}/", self.links.registration_base(hive))
        text = text.replace("https://up.example/v3-flatcontainer/", self.links.flat_container())
        text = re.sub(r"https://up\.example/v3/catalog0/data/[\d.]+/([^\"#]+)\.json", self._catalog_link, text)
        return json.loads(text)

    def _catalog_link(self, match):
        return self.links.catalog_entry(*self._identities[match[1]])

    def registration(self, lid) -> Registration:
        """Read like the mirror does: the index, then its outlying pages."""
        if lid not in self._registrations:
            self._registrations[lid] = self._read(lid)
        return self._registrations[lid]

    def _read(self, lid) -> Registration:
        registration = read_index(self.body(self.document(Hive.GZ_SEMVER2, lid, "index.json")), lid)
        pages = {}
        for page in registration.outlying:
            rest = page.url.removeprefix(f"https://up.example/v3/{NEWEST}/{lid}/").split("/")
            pages[page.url] = read_page(self.body(self.document(Hive.GZ_SEMVER2, lid, *rest)), lid)
        return registration.with_pages(pages)

    @staticmethod
    def body(document) -> bytes:
        return json.dumps(document).encode()


@pytest.fixture(scope="module")
def stand(nuget_org, links):
    return Stand(nuget_org, links)


@pytest.mark.parametrize("hive", list(Hive))
def test_every_index_is_as_nuget_org_writes_it(stand, links, hive):
    """
    All ids, including paged and inlined ones and those with SemVer 2 packages, in all three hives.
    """
    for lid in stand.feed.ids:
        theirs = stand.document(hive, lid, "index.json")
        body = write_index(stand.registration(lid), hive, links)

        assert (theirs is None) == (body is None), lid
        if body is not None:
            assert stand.ours(theirs) == json.loads(body), lid


@pytest.mark.parametrize("hive", list(Hive))
@pytest.mark.parametrize("lid", ["made.many", "made.paged"])
def test_every_page_is_as_nuget_org_writes_it(stand, links, hive, lid):
    registration = stand.registration(lid)
    index = stand.document(hive, lid, "index.json")

    for page in index["items"]:
        body = write_page(
            registration, hive, NuGetVersion.parse(page["lower"]), NuGetVersion.parse(page["upper"]), links
        )

        assert body is not None
        assert stand.ours(stand.document(hive, lid, "page", page["lower"], page["upper"] + ".json")) == json.loads(body)


@pytest.mark.parametrize("hive", list(Hive))
def test_every_leaf_is_as_nuget_org_writes_it(stand, links, hive):
    """
    Except `@context`, which the stand-in copies from the index.
    """
    for lid in stand.feed.ids.keys() - {"made.many"}:
        for leaf in stand.registration(lid).leaves:
            theirs = stand.document(hive, lid, f"{leaf.version.lower}.json")
            body = write_leaf(leaf, hive, links)

            assert (theirs is None) == (body is None), leaf
            if body is not None:
                ours = json.loads(body)
                assert {**stand.ours(theirs), "@context": ours["@context"]} == ours


def test_an_outlying_index_is_the_same_before_and_after_its_pages_are_loaded(stand, links):
    outlying = read_index(stand.body(stand.document(Hive.GZ_SEMVER2, "made.many", "index.json")), "made.many")

    assert not outlying.is_complete
    assert write_index(outlying, Hive.GZ_SEMVER2, links) == write_index(
        stand.registration("made.many"), Hive.GZ_SEMVER2, links
    )


def test_our_documents_survive_another_round(stand, links):
    """
    One nugetproxy may be the upstream of another.
    """
    for lid in stand.feed.ids:
        theirs = read_index(stand.body(stand.document(Hive.GZ_SEMVER2, lid, "index.json")), lid)
        once = write_index(theirs, Hive.GZ_SEMVER2, links)

        assert once is not None
        assert write_index(read_index(once, lid), Hive.GZ_SEMVER2, links) == once


@pytest.mark.parametrize(
    ("lid", "pages", "inlined"),
    [("made.many", 57, False), ("made.paged", 2, False), ("made.inlined", 2, True)],
)
def test_pages_have_64_leaves_and_are_inlined_below_128(stand, links, lid, pages, inlined):
    body = write_index(stand.registration(lid), Hive.GZ_SEMVER2, links)

    assert body is not None
    items = json.loads(body)["items"]
    assert pages == len(items)
    assert [inlined] * pages == ["items" in page for page in items]


def test_nothing_links_to_the_upstream(stand, links):
    for lid in stand.feed.ids:
        registration = stand.registration(lid)
        bodies = [write_index(registration, hive, links) for hive in Hive]
        bodies += [write_catalog_entry(registration.leaves[0], None, links)]

        assert [found for body in bodies if body for found in foreign_urls(json.loads(body), links.base)] == []


def test_catalog_entries_keep_hash_and_size_and_link_nowhere_else(stand, links):
    """
    Tools follow a leaf to its catalog entry for packageHash and packageSize.
    """
    real = [(at, package) for at, _, package in stand.feed.events if not package.lid.startswith("made.")]
    # Every eighth: the stand-in scans all its events for each.
    for at, package in real[::8]:
        rest = stand.feed._event_url(at, package).split("/catalog0/")[1].split("/")
        asked = PackageIdentity.parse(package.lid, package.version.full)
        document = read_catalog_entry(stand.body(stand.feed.catalog(rest)), asked)
        leaf = stand.registration(package.lid).find(NuGetVersion.parse(package.version.full))
        assert leaf is not None

        ours = json.loads(write_catalog_entry(leaf, document, links))

        assert (document["packageHash"], document["packageSize"]) == (ours["packageHash"], ours["packageSize"])
        assert document.keys() == ours.keys()
        assert foreign_urls(ours, links.base) == []


def test_a_leaf_from_the_manifest_equals_nuget_orgs(stand, links):
    """
    For every real package. A licence and readme are pages of nuget.org there and files of ours here, and an
    icon elsewhere is not copied here; a nuspec alone knows neither commits, deprecations nor vulnerabilities.
    """
    differing = {"iconUrl", "licenseUrl", "readmeUrl", "deprecation", "vulnerabilities", "packageTypes"}
    compared = 0
    for lid, versions in stand.feed.ids.items():
        if lid == "made.many":
            continue
        for package in versions.values():
            manifest = read_nuspec(package.nuspec)
            entry = stand.feed.catalog_entry(package, NEWEST)
            leaf = leaf_from_manifest(manifest, published=entry["published"], listed=package.listed)
            body = write_index(registration_of(manifest.id.text, [leaf]), Hive.GZ_SEMVER2, links)
            assert body is not None
            ours = json.loads(body)["items"][0]["items"][0]["catalogEntry"]
            theirs = stand.ours(entry)

            assert _without(theirs, differing) == _without(ours, differing)
            assert ("readmeUrl" in theirs) == ("readmeUrl" in ours)
            if package.meta["icon"]:
                assert theirs["iconUrl"] == ours["iconUrl"]
            assert foreign_urls(ours, links.base) == []
            compared += 1
    assert compared > 400


def _without(document, names):
    return {name: value for name, value in document.items() if name not in names}
