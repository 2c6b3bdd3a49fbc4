import json

import pytest

from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import Dependency, DependencyGroup, PackageManifest, PackageType
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.manifest_leaf import framework_name, leaf_from_manifest
from nugetproxy.protocol.v3.registration import Hive, registration_of
from tests.protocol.urls import foreign_urls
from tests.protocol.writing import write_catalog_entry, write_index

PUBLISHED = "2026-01-02T03:04:05+00:00"


def manifest(version="1.0.0", **fields):
    return PackageManifest(
        id=PackageId.parse("Contoso.Utils"), version=NuGetVersion.parse(version), verbatim_version=version, **fields
    )


def written(of, links, **how):
    leaf = leaf_from_manifest(of, published=PUBLISHED, **how)
    body = write_index(registration_of("Contoso.Utils", [leaf]), Hive.GZ_SEMVER2, links)
    assert body is not None
    return json.loads(body)["items"][0]["items"][0]["catalogEntry"]


def test_a_minimal_package_has_every_field(links):
    own = links.catalog_entry("contoso.utils", "1.0.0")

    assert written(manifest(), links) == {
        "@id": own,
        "@type": "PackageDetails",
        "authors": "",
        "description": "",
        "iconUrl": "",
        "id": "Contoso.Utils",
        "language": "",
        "licenseExpression": "",
        "licenseUrl": "",
        "listed": True,
        "minClientVersion": "",
        "packageContent": links.nupkg("contoso.utils", "1.0.0"),
        "packageTypes": [{"name": "Dependency", "version": ""}],
        "projectUrl": "",
        "published": PUBLISHED,
        "requireLicenseAcceptance": False,
        "summary": "",
        "tags": [""],
        "title": "",
        "version": "1.0.0",
    }


def test_embedded_parts_get_our_urls(links):
    entry = written(
        manifest(icon="i.png", readme="r.md", license_file="l.txt", license_url="https://aka.example"), links
    )

    assert (entry["iconUrl"], entry["readmeUrl"], entry["licenseUrl"]) == tuple(
        links.part("contoso.utils", "1.0.0", part) for part in ("icon", "readme", "license")
    )
    assert foreign_urls(entry, links.base) == []


def test_links_of_the_author_are_kept(links):
    entry = written(manifest(icon_url="https://a.example/i", license_url="https://a.example/l"), links)

    assert (entry["iconUrl"], entry["licenseUrl"]) == ("https://a.example/i", "https://a.example/l")


def test_unlisted_is_published_in_1900(links):
    entry = written(manifest(), links, listed=False)

    assert (entry["listed"], entry["published"]) == (False, "1900-01-01T00:00:00+00:00")


def test_the_version_is_written_in_full(links):
    assert written(manifest("1.0-RC.1+meta"), links)["version"] == "1.0.0-RC.1+meta"


@pytest.mark.parametrize(("expected", "version"), [(True, "1.0.0-rc.1"), (False, "1.0.0-rc")])
def test_semver2(expected, version):
    assert leaf_from_manifest(manifest(version), published=PUBLISHED).is_semver2 == expected


def test_dependency_groups(links):
    own = links.catalog_entry("contoso.utils", "1.0.0") + "#dependencygroup"
    groups = (
        DependencyGroup(None, (Dependency("Other", "1.0"), Dependency("Third", "nonsense"))),
        DependencyGroup("netstandard2.0"),
    )

    assert written(manifest(dependency_groups=groups), links)["dependencyGroups"] == [
        {
            "@id": own,
            "@type": "PackageDependencyGroup",
            "dependencies": [
                {
                    "@id": f"{own}/{name.lower()}",
                    "@type": "PackageDependency",
                    "id": name,
                    "range": wanted,
                    "registration": links.registration_index(Hive.GZ_SEMVER2, name.lower()),
                }
                for name, wanted in (("Other", "[1.0.0, )"), ("Third", "(, )"))
            ],
        },
        {"@id": f"{own}/.netstandard2.0", "@type": "PackageDependencyGroup", "targetFramework": ".NETStandard2.0"},
    ]


def test_package_types_are_kept_for_search(links):
    entry = written(manifest(package_types=(PackageType("DotnetTool"),)), links)

    assert entry["packageTypes"] == [{"name": "DotnetTool", "version": ""}]


def test_its_catalog_entry_has_our_url(links):
    leaf = leaf_from_manifest(manifest(license_file="l.txt"), published=PUBLISHED)

    assert foreign_urls(json.loads(write_catalog_entry(leaf, None, links)), links.base) == []


@pytest.mark.parametrize(
    ("expected", "written"),
    [
        (".NETStandard2.0", "netstandard2.0"),
        (".NETStandard1.6", "NetStandard1.6"),
        (".NETCoreApp3.1", "netcoreapp3.1"),
        (".NETFramework4.5", "net45"),
        (".NETFramework4.6.2", "net462"),
        (".NETFramework2.0", "net20"),
        ("net8.0", "net8.0"),
        ("net10.0", "net10.0"),
        ("net6.0-windows7.0", "net6.0-windows7.0"),
        ("portable-net45+win8", "portable-net45+win8"),
        (".NETFramework4.6.2", ".NETFramework4.6.2"),
        ("uap10.0", "uap10.0"),
    ],
)
def test_frameworks_are_named_as_on_nuget_org(expected, written):
    assert framework_name(written) == expected


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///c:/x", "http://[", "docs/readme.md"])
def test_links_of_a_nuspec_are_web_addresses_or_empty(links, url):
    entry = written(manifest(icon_url=url, license_url=url, project_url=url), links)

    assert [entry[name] for name in ("iconUrl", "licenseUrl", "projectUrl")] == [""] * 3


def test_a_framework_that_clients_cannot_read_is_unsupported(links):
    """
    Any tool may have built a kept package.
    """
    groups = tuple(DependencyGroup(name, ()) for name in ("net8.0", ".NETFramework,Version=vX"))

    shown = written(manifest(dependency_groups=groups), links)["dependencyGroups"]

    assert [group["targetFramework"] for group in shown] == ["net8.0", "unsupported"]
