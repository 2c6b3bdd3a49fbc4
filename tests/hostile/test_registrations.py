"""What one version adds to a registration, whoever wrote it."""

import json
from typing import Any

import orjson
import pytest

from nugetproxy.errors import DocumentTooLarge
from nugetproxy.hosting.manifests import stored_manifest, written_manifest
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.bounds import LARGEST_DOCUMENT, LARGEST_VERSION
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3 import registration_writer
from nugetproxy.protocol.v3.manifest_leaf import leaf_from_manifest
from nugetproxy.protocol.v3.registration import Hive, Registration, registration_of
from tests.hostile.manifests import ENTRIES, LEGAL, MANIFESTS, manifest
from tests.protocol.v3.leaves import index, leaf, page, read_index
from tests.protocol.writing import write_index, write_page

LINKS = Links("https://packages.example.com/nuget")
LONG_LINKS = Links("https://" + "h" * 253 + ".example")
PUBLISHED = "2024-01-01T00:00:00+00:00"

# Their dependencies, vulnerabilities or deprecation are too large: half of them would look complete.
LEFT_OUT_ENTRIES = {"groups", "dependencies", "vulnerabilities", "long vulnerabilities", "reasons"}
LEFT_OUT_MANIFESTS = {"groups", "frameworks", "dependencies", "a framework as long as a book"}


def mirrored(**entry: Any) -> Registration:
    return read_index(index(page([leaf("1.0.0", **entry), leaf("2.0.0", description="as usual")])))


def shown(registration: Registration, hive: Hive, links: Links) -> list[dict[str, Any]]:
    """The leaves in the index, which must be the same as in a page of all of them."""
    written = write_index(registration, hive, links)
    assert written is not None
    assert len(written) <= LARGEST_DOCUMENT
    pages = json.loads(written)["items"]
    lower, upper = NuGetVersion.parse("0.0.1"), NuGetVersion.parse("9.0.0")
    whole = json.loads(write_page(registration, hive, lower, upper, links) or b"")
    leaves: list[dict[str, Any]] = whole["items"]
    assert len(leaves) == whole["count"] == sum(each["count"] for each in pages)
    if "items" in pages[0]:
        assert leaves == [item for each in pages for item in each["items"]]
    return leaves


def versions(leaves: list[dict[str, Any]]) -> list[str]:
    return [each["catalogEntry"]["version"] for each in leaves]


def told(entry: dict[str, Any]) -> list[Any]:
    """The fields that restores use, without unused ones."""
    return [
        [group.get("targetFramework"), [[each["id"], each["range"]] for each in group.get("dependencies", [])]]
        for group in entry.get("dependencyGroups", [])
    ]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_mirrored_version_is_small_or_left_out(name):
    entry = ENTRIES[name]()
    registration = mirrored(**entry)

    for hive, links in ((Hive.PLAIN, LINKS), (Hive.GZ_SEMVER2, LINKS), (Hive.GZ_SEMVER2, LONG_LINKS)):
        leaves = shown(registration, hive, links)
        assert max(len(orjson.dumps(each)) for each in leaves) <= LARGEST_VERSION
        assert versions(leaves) == (["2.0.0"] if name in LEFT_OUT_ENTRIES else ["1.0.0", "2.0.0"])
        if name not in LEFT_OUT_ENTRIES:
            assert told(entry) == told(leaves[0]["catalogEntry"])
            assert leaves[0]["catalogEntry"]["id"] == "Contoso.Utils"


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hosted_version_is_small_or_left_out(name):
    hostile = MANIFESTS[name]()
    leaves = [leaf_from_manifest(each, published=PUBLISHED) for each in (hostile, manifest(version="2.0.0"))]

    for links in (LINKS, LONG_LINKS):
        in_registration = shown(registration_of("Contoso.Hostile", leaves), Hive.GZ_SEMVER2, links)
        assert max(len(orjson.dumps(each)) for each in in_registration) <= LARGEST_VERSION
        assert versions(in_registration) == (["2.0.0"] if name in LEFT_OUT_MANIFESTS else ["1.0.0", "2.0.0"])
        if name not in LEFT_OUT_MANIFESTS:
            groups = told(in_registration[0]["catalogEntry"])
            assert [len(group.dependencies) for group in hostile.dependency_groups] == [len(rows) for _, rows in groups]


@pytest.mark.parametrize("name", LEGAL)
@pytest.mark.parametrize("links", [LINKS, LONG_LINKS], ids=["usual", "long"])
def test_the_most_that_nuget_org_accepts_is_whole(name, links):
    legal = LEGAL[name]()
    leaf_of_it = leaf_from_manifest(stored_manifest(written_manifest(legal), "A", "1.0.0"), published=PUBLISHED)

    (only,) = shown(registration_of("Contoso.Hostile", [leaf_of_it]), Hive.GZ_SEMVER2, links)

    entry = only["catalogEntry"]
    assert len(orjson.dumps(only)) <= LARGEST_VERSION
    assert [legal.description, legal.summary, legal.authors, legal.title, list(legal.tags) or [""]] == [
        entry[name] for name in ("description", "summary", "authors", "title", "tags")
    ]
    assert [[each.id for each in group.dependencies] for group in legal.dependency_groups] == [
        [package_id for package_id, _ in rows] for _, rows in told(entry)
    ]


@pytest.mark.parametrize("name", sorted(LEFT_OUT_MANIFESTS))
def test_what_was_pushed_before_there_were_limits_is_not_read(name):
    """
    Nothing but the name is used: reading it took a second for each request.
    """
    found = stored_manifest(written_manifest(MANIFESTS[name]()), "Contoso.Hostile", "1.0.0")

    assert found == PackageManifest.named("Contoso.Hostile", "1.0.0")
    assert not leaf_from_manifest(found, published=PUBLISHED).fits


def test_a_cut_text_says_so_and_ends_between_characters():
    (only, _) = shown(mirrored(description="\U0001f600" * 100_000), Hive.GZ_SEMVER2, LINKS)

    assert only["catalogEntry"]["description"] == "\U0001f600" * 3_999 + "…"


def test_a_version_of_a_thousand_letters_is_left_out():
    registration = read_index(index(page([leaf("1.0.0-" + "a" * 1_000), leaf("2.0.0")])))

    assert versions(shown(registration, Hive.GZ_SEMVER2, LINKS)) == ["2.0.0"]


def test_long_heads_of_index_and_page_are_known_fields_only():
    registration = read_index(
        index(page([leaf("1.0.0")], unknown="x" * 100_000, commitId="c"), unknown=["y"] * 100_000)
    )

    written = write_index(registration, Hive.GZ_SEMVER2, LINKS) or b""

    assert len(written) < 10_000
    assert json.loads(written)["items"][0]["commitId"] == "c"


def test_large_versions_share_smaller_pages_that_are_not_inlined():
    """
    Twenty versions of 250 KB are five megabytes: an index would make every reader load all of them.
    """
    leaves = [leaf(f"1.0.{each}", unknown="x" * 240_000) for each in range(20)]

    pages = json.loads(write_index(read_index(index(page(leaves))), Hive.GZ_SEMVER2, LINKS) or b"")["items"]

    assert [each["count"] for each in pages] == [17, 3]
    assert not any("items" in each for each in pages)


def test_a_long_document_is_written_in_many_steps():
    """
    Others are served in between: a step is one version, whatever the length of the document.
    """
    registration = read_index(index(page([leaf(f"1.0.{each}") for each in range(100)])))
    lower, upper = NuGetVersion.parse("0.0.1"), NuGetVersion.parse("9.0.0")

    for writing in (
        registration_writer.write_index(registration, Hive.GZ_SEMVER2, LINKS),
        registration_writer.write_page(registration, Hive.GZ_SEMVER2, lower, upper, LINKS),
    ):
        assert sum(1 for _ in writing) >= 100


def test_an_id_of_which_nothing_fits_is_not_an_unknown_id():
    """
    After a 404 clients look for it at the next source.
    """
    registration = read_index(index(page([leaf("1.0.0", **ENTRIES["groups"]())])))
    lower, upper = NuGetVersion.parse("0.0.1"), NuGetVersion.parse("9.0.0")

    for write in (
        lambda: write_index(registration, Hive.GZ, LINKS),
        lambda: write_page(registration, Hive.GZ, lower, upper, LINKS),
    ):
        with pytest.raises(
            DocumentTooLarge, match=r"each version of Contoso\.Utils is larger than the limit of 262144"
        ):
            write()
