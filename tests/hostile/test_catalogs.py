"""What a catalog contains about one version, whoever wrote it."""

import json
from typing import Any

import orjson
import pytest

from nugetproxy.protocol.bounds import LARGEST_DOCUMENT, LARGEST_VERSION
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.catalog import CatalogDetails, CatalogItem, PackageEntry
from tests.hostile.manifests import ENTRIES, LEGAL, MANIFESTS, manifest
from tests.protocol.v3.leaves import body, leaf, read_page
from tests.protocol.writing import write_catalog_details, write_catalog_entry

LINKS = Links("https://packages.example.com/nuget")
OMITTED = "nugetproxy:omitted"
LEFT_OUT_MANIFESTS = {"groups", "frameworks", "dependencies", "a framework as long as a book"}
LEFT_OUT_ENTRIES = {
    "groups": "dependencyGroups",
    "dependencies": "dependencyGroups",
    "reasons": "deprecation",
    "vulnerabilities": "vulnerabilities",
    "long vulnerabilities": "vulnerabilities",
}
FILES = tuple(PackageEntry(f"lib/net8.0/file{number}.dll", 100, 60) for number in range(20_000))


def details(name: str, files: tuple[PackageEntry, ...] = ()) -> dict[str, Any]:
    item = CatalogItem(1, "commit", False, "Contoso.Hostile", "1.0.0", "contoso.hostile", "1.0.0")
    said = (MANIFESTS | LEGAL | {"usual": manifest})[name]()
    written = write_catalog_details(item, CatalogDetails(said, True, 0, 0, 0, 1, "hash", None, files), LINKS)
    assert len(written) <= LARGEST_DOCUMENT
    document: dict[str, Any] = json.loads(written)
    return document


def entry(document: dict[str, Any] | None) -> dict[str, Any]:
    leaves = read_page(body({"items": [leaf("1.0.0")]})).leaves
    assert leaves
    found: dict[str, Any] = json.loads(write_catalog_entry(leaves[0], document, LINKS))
    return found


def size(document: dict[str, Any]) -> int:
    """Without the list of files, and without our note about omissions."""
    return len(
        orjson.dumps({name: value for name, value in document.items() if name not in ("packageEntries", "@context")})
    )


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_event_of_a_hosted_version_is_complete_or_names_what_is_missing(name):
    document = details(name, FILES[:2])

    assert size(document) <= LARGEST_VERSION
    assert document.get(OMITTED) == (["dependencyGroups"] if name in LEFT_OUT_MANIFESTS else None)
    assert (document["packageHash"], document["@type"][0]) == ("hash", "PackageDetails")
    assert len(document["packageEntries"]) == 2


@pytest.mark.parametrize("name", LEGAL)
def test_the_most_that_nuget_org_accepts_is_whole(name):
    document, legal = details(name), LEGAL[name]()

    told = [len(group.get("dependencies", ())) for group in document.get("dependencyGroups", ())]
    assert told == [len(group.dependencies) for group in legal.dependency_groups]
    assert document["description"] == legal.description


@pytest.mark.parametrize("name", ENTRIES)
def test_a_mirrored_document_is_small(name):
    document = entry({"@type": ["PackageDetails"], "id": "Contoso.Utils", "version": "1.0.0", **ENTRIES[name]()})

    assert size(document) <= LARGEST_VERSION
    assert document.get(OMITTED) == ([LEFT_OUT_ENTRIES[name]] if name in LEFT_OUT_ENTRIES else None)
    assert document["@type"] == ["PackageDetails"]


def test_without_a_document_it_is_said_what_a_version_does_not_tell():
    leaves = read_page(body({"items": [leaf("1.0.0", **ENTRIES["groups"]())]})).leaves
    assert leaves

    document = json.loads(write_catalog_entry(leaves[0], None, LINKS))

    assert "dependencyGroups" in document[OMITTED]
    assert "dependencyGroups" not in document


@pytest.mark.parametrize(
    ("files", "is_told"),
    [
        ([{"name": "x", "fullName": f"x/{number}", "@id": "#x"} for number in range(20_000)], True),
        ([{"name": "x"}] * 60_000, False),
        ([{"name": "x" * 10_000}] * 1_000, False),
        ([{"@id": "", "inner": [{"@id": ""}] * 10}] * 20_000, False),
        ("no list", False),
    ],
    ids=["many", "too many", "long names", "nested", "no list"],
)
def test_a_list_of_files_is_whole_or_left_out(files, is_told):
    document = entry({"@type": "PackageDetails", "packageEntries": files})

    assert (len(document["packageEntries"]) == len(files)) if is_told else ("packageEntries" not in document)


def test_all_files_of_a_large_package_are_listed():
    assert len(details("usual", FILES)["packageEntries"]) == 20_000
