from datetime import UTC, datetime

import pytest

from nugetproxy.nuget.manifest import Dependency, DependencyGroup
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v2.packages import Downloads, package_of_hit, package_of_leaf, versions_of_hit
from tests.protocol.v2.leaves import LINKS, hit, leaf


def package(**entry):
    return package_of_leaf(leaf(**entry), LINKS)


def test_a_leaf_has_most_fields():
    found = package(
        package_id="My.Pkg",
        title="Mine",
        description="What it does",
        authors="A. Author, B. Author",
        tags=["one", "", "two"],
        language="de",
        requireLicenseAcceptance=True,
        minClientVersion="2.12",
        dependencyGroups=[{"targetFramework": ".NETFramework4.5", "dependencies": [{"id": "A", "range": "[1.0.0, )"}]}],
    )

    assert (found.id.text, found.title, found.description) == ("My.Pkg", "Mine", "What it does")
    assert (found.authors, found.tags, found.language) == ("A. Author, B. Author", ("one", "two"), "de")
    assert (found.require_license_acceptance, found.min_client_version) == (True, "2.12")
    assert found.dependency_groups == (DependencyGroup(".NETFramework4.5", (Dependency("A", "[1.0.0, )"),)),)


def test_dates_are_in_utc():
    found = package(published="2026-01-02T03:04:05.1234567+02:00")

    assert found.published == datetime(2026, 1, 2, 1, 4, 5, 123456, tzinfo=UTC)
    assert found.last_edited == datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)


def test_an_unlisted_version_has_no_publication_date():
    assert package(listed=False).published is None


def test_the_catalog_page_adds_what_the_leaf_lacks():
    document = {
        "verbatimVersion": "1.0",
        "packageHash": "aGFzaA==",
        "packageHashAlgorithm": "SHA512",
        "packageSize": 123,
        "releaseNotes": "All new.",
        "title": "Old title",
    }
    found = package_of_leaf(leaf(title="New title"), LINKS, document=document)

    assert (found.verbatim_version, found.sha512, found.size) == ("1.0", "aGFzaA==", 123)
    assert (found.release_notes, found.title) == ("All new.", "New title")


@pytest.mark.parametrize("verbatim", ["2.0", "nonsense", 1, None])
def test_a_verbatim_version_must_be_this_version(verbatim):
    assert package_of_leaf(leaf(), LINKS, document={"verbatimVersion": verbatim}).verbatim_version == "1.0.0"


def test_a_hash_of_another_algorithm_is_ignored():
    assert package(packageHash="x", packageHashAlgorithm="MD5").sha512 == ""


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("https://ours.example/nuget/v3/flatcontainer/my.pkg/1.0.0/icon", "https://up.example/flat/my.pkg/1.0.0/icon"),
        ("https://ours.example/nuget/v3/flatcontainer/my.pkg/1.0.0/icon", "my.pkg/1.0.0/icon"),
        ("https://images.example/a.png", "https://images.example/a.png"),
    ],
)
def test_an_embedded_icon_gets_our_url(ours, theirs):
    assert ours == package(iconUrl=theirs).icon_url


@pytest.mark.parametrize(
    "odd",
    [
        {"dependencyGroups": [1, {"dependencies": [{"id": 1}, None]}]},
        {"dependencyGroups": "x", "tags": 1, "authors": {}},
        {"published": "yesterday", "created": 5, "packageSize": -1},
        {"published": "0001-01-01T00:00:00+14:00"},
        {"title": None, "packageSize": True, "iconUrl": 1},
    ],
)
def test_values_that_do_not_parse_are_absent(odd):
    assert package(**odd).title == ""


def test_a_hit_has_downloads_of_package_and_version():
    of_two = hit("A", "1.0.0", "2.0.0", totalDownloads=77, title="T")
    found = package_of_hit(of_two, NuGetVersion.parse("1.0.0"), LINKS, Downloads(of_two))

    assert (found.downloads, found.version_downloads, found.title) == (77, 10, "T")


def test_invalid_downloads_are_ignored():
    odd = hit("A", "1.0.0", totalDownloads="many")
    odd.raw["versions"] = [None, {"version": "x", "downloads": 7}, {"version": "1.0.0", "downloads": -1}]
    downloads = Downloads(odd)

    assert (downloads.total, downloads.of(NuGetVersion.parse("1.0.0")), downloads.of(NuGetVersion.parse("2.0.0"))) == (
        0, 0, 0,
    )  # fmt: skip


def test_the_versions_of_a_hit_are_ascending_and_include_its_own():
    odd = hit("A", "10.0.0", "9.0.0")
    odd.raw["versions"] = [{"version": "2.0.0"}, {"version": "x"}, None, {"version": "1.0.0"}]

    assert [version.normalized for version in versions_of_hit(odd)] == ["1.0.0", "2.0.0", "9.0.0"]
