"""The catalog of hosted packages: the contents of its documents, and that full pages are frozen."""

import json
from typing import Any

import pytest

from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.catalog import (
    CatalogDetails,
    CatalogItem,
    CatalogPageRow,
    CatalogTimes,
    PackageEntry,
    write_catalog_deletion,
    write_catalog_index,
    write_catalog_page,
)
from nugetproxy.protocol.v3.deprecation import Deprecation
from tests.builders import make_nuspec
from tests.protocol.urls import foreign_urls
from tests.protocol.writing import write_catalog_details

LINKS = Links("https://ours.example")
SECOND = 1_000_000
NOON = 1_767_355_200 * SECOND  # 2026-01-02T12:00:00Z


def item(number: int = 1, *, is_delete: bool = False) -> CatalogItem:
    return CatalogItem(
        NOON * 10 + number,
        f"commit-{number}",
        is_delete,
        "Contoso.Utils",
        "1.0.0-RC.1+m",
        "contoso.utils",
        "1.0.0-rc.1",
    )


def details(*, listed: bool = True, deprecation: Deprecation | None = None) -> CatalogDetails:
    nuspec = make_nuspec(
        version="1.0.0-RC.1+m",
        readme="README.md",
        icon="icon.png",
        license_file="LICENSE",
        tags="one two",
        package_types=["DotnetTool"],
        dependencies={"net8.0": [("Serilog", "[1.0,2.0)")], "net462": []},
        more="<releaseNotes>notes</releaseNotes><copyright>c</copyright>",
    )
    return CatalogDetails(
        read_nuspec(nuspec),
        listed,
        NOON,
        NOON,
        NOON + 5 * SECOND,
        1234,
        "c2hhNTEy",
        deprecation,
        (PackageEntry("lib/net8.0/a.dll", 100, 60),),
    )


def leaf(**facts: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(write_catalog_details(item(), details(**facts), LINKS))
    return document


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("@type", ["PackageDetails", "catalog:Permalink"]),
        ("catalog:commitId", "commit-1"),
        ("catalog:commitTimeStamp", "2026-01-02T12:00:00.0000001Z"),
        ("id", "Contoso.Utils"),
        ("version", "1.0.0-RC.1+m"),
        ("verbatimVersion", "1.0.0-RC.1+m"),
        ("isPrerelease", True),
        ("listed", True),
        ("created", "2026-01-02T12:00:00.0000000Z"),
        ("published", "2026-01-02T12:00:00.0000000Z"),
        ("lastEdited", "2026-01-02T12:00:05.0000000Z"),
        ("packageHash", "c2hhNTEy"),
        ("packageHashAlgorithm", "SHA512"),
        ("packageSize", 1234),
        ("releaseNotes", "notes"),
        ("copyright", "c"),
        ("tags", ["one", "two"]),
        ("iconFile", "icon.png"),
        ("licenseFile", "LICENSE"),
        ("readmeFile", "README.md"),
        ("packageTypes", [{"name": "DotnetTool", "version": ""}]),
    ],
)
def test_a_leaf_has_all_metadata(name, expected):
    assert leaf()[name] == expected


def test_a_leaf_lists_the_files_of_the_archive():
    (entry,) = leaf()["packageEntries"]
    assert entry == {
        "@id": leaf()["@id"] + "#lib/net8.0/a.dll",
        "@type": "PackageEntry",
        "fullName": "lib/net8.0/a.dll",
        "name": "a.dll",
        "length": 100,
        "compressedLength": 60,
    }


def test_a_leaf_keeps_a_group_without_dependencies():
    """
    An empty group means "no dependencies for this framework", which differs from "any framework".
    """
    groups = leaf()["dependencyGroups"]
    assert [(group["targetFramework"], "dependencies" in group) for group in groups] == [
        ("net8.0", True),
        (".NETFramework4.6.2", False),
    ]
    assert groups[0]["dependencies"][0]["range"] == "[1.0.0, 2.0.0)"


def test_an_unlisted_version_was_published_in_1900():
    """
    Old catalog clients recognise unlisted versions by the year alone.
    """
    assert (leaf(listed=False)["published"], leaf(listed=False)["listed"]) == ("1900-01-01T00:00:00Z", False)


def test_a_deprecation_is_included():
    told = leaf(deprecation=Deprecation(("Legacy",), "use the other", "Contoso.New", "[2.0.0, )"))["deprecation"]
    assert (told["reasons"], told["message"]) == (["Legacy"], "use the other")
    assert told["alternatePackage"]["id"] == "Contoso.New"


def test_a_deprecation_needs_a_reason_that_clients_know():
    with pytest.raises(ValueError, match="CriticalBugs"):
        Deprecation(("Outdated",))


def test_a_deletion_has_the_verbatim_version():
    document = json.loads(write_catalog_deletion(item(7, is_delete=True), "1.0-RC.1+m", LINKS))
    assert document["@type"] == ["PackageDelete", "catalog:Permalink"]
    assert (document["id"], document["originalId"], document["version"]) == (
        "Contoso.Utils",
        "Contoso.Utils",
        "1.0-RC.1+m",
    )
    assert document["published"] == document["catalog:commitTimeStamp"] == "2026-01-02T12:00:00.0000007Z"


def test_a_page_links_to_its_leaves():
    page = json.loads(write_catalog_page(3, [item(1), item(2, is_delete=True)], LINKS))
    assert [each["@type"] for each in page["items"]] == ["nuget:PackageDetails", "nuget:PackageDelete"]
    assert page["items"][0]["@id"] == leaf()["@id"]
    assert page["items"][0]["nuget:id"] == "Contoso.Utils"
    assert page["items"][0]["nuget:version"] == "1.0.0-RC.1+m"
    assert (page["count"], page["commitTimeStamp"]) == (2, page["items"][-1]["commitTimeStamp"])
    assert page["parent"] == LINKS.catalog_index()


def test_the_index_carries_the_newest_commit():
    rows = [CatalogPageRow(0, 550, NOON * 10, "a"), CatalogPageRow(1, 2, NOON * 10 + 9, "b")]
    index = json.loads(write_catalog_index(rows, CatalogTimes(NOON, None, NOON + SECOND), LINKS))
    assert (index["count"], index["commitId"], index["commitTimeStamp"]) == (2, "b", "2026-01-02T12:00:00.0000009Z")
    assert [page["@id"] for page in index["items"]] == [LINKS.catalog_page(0), LINKS.catalog_page(1)]
    assert [page["count"] for page in index["items"]] == [550, 2]
    assert index["nuget:lastCreated"] == "2026-01-02T12:00:00.0000000Z"
    assert index["nuget:lastDeleted"] == "1970-01-01T00:00:00.0000000Z"
    assert index["nuget:lastEdited"] == "2026-01-02T12:00:01.0000000Z"


def test_an_empty_catalog_is_older_than_any_cursor():
    index = json.loads(write_catalog_index([], CatalogTimes(), LINKS))
    assert (index["count"], index["items"], index["commitTimeStamp"]) == (0, [], "1970-01-01T00:00:00.0000000Z")


@pytest.mark.parametrize(
    "body",
    [
        write_catalog_details(item(), details(deprecation=Deprecation(("Other",), "m", "X")), LINKS),
        write_catalog_deletion(item(), "1.0.0", LINKS),
        write_catalog_page(0, [item()], LINKS),
        write_catalog_index([CatalogPageRow(0, 1, 1, "a")], CatalogTimes(), LINKS),
    ],
)
def test_every_url_is_ours(body):
    assert foreign_urls(json.loads(body), "https://ours.example") == []
