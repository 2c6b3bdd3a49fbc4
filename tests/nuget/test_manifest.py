import dataclasses
from typing import Any

import orjson
import pytest

from nugetproxy.errors import InvalidVersion
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import Dependency, DependencyGroup, PackageManifest, PackageType
from nugetproxy.nuget.version import NuGetVersion


def a_manifest(version: str = "1.0.0", *ranges: str) -> PackageManifest:
    group = DependencyGroup("net8.0", tuple(Dependency(f"Dep{n}", text) for n, text in enumerate(ranges)))
    return PackageManifest(
        id=PackageId.parse("Contoso.Utils"),
        version=NuGetVersion.parse(version),
        verbatim_version=version,
        dependency_groups=(group,),
    )


@pytest.mark.parametrize(
    ("version", "ranges", "semver2"),
    [
        ("1.0.0", (), False),
        ("1.0.0-beta", ("[1.0.0-beta, )",), False),
        ("1.0.0-beta.1", (), True),
        ("1.0.0+abc", (), True),
        ("1.0.0", ("1.0", "[1.0.0-beta.1, )"), True),
        ("1.0.0", ("(, 2.0.0-rc.1]",), True),
        ("1.0.0", ("",), False),
        ("1.0.0", ("$version$",), False),
    ],
)
def test_is_semver2(version, ranges, semver2):
    assert semver2 == a_manifest(version, *ranges).is_semver2


def test_the_dictionary_round_trips_through_json():
    """
    Every field, with some value, survives the way through JSON.
    """
    filled: dict[str, Any] = {
        f.name: f"some {f.name}"
        for f in dataclasses.fields(PackageManifest)
        if f.type is str and f.name != "verbatim_version"
    }
    manifest = dataclasses.replace(
        a_manifest("1.0-RC.1+abc", "1.0", ""),
        **filled,
        tags=("a", "b"),
        require_license_acceptance=True,
        development_dependency=True,
        package_types=(PackageType("DotnetTool"), PackageType("Template", "1.0")),
        dependency_groups=(DependencyGroup(None, (Dependency("A"),)), DependencyGroup("net8.0")),
    )

    again = PackageManifest.from_dict(orjson.loads(orjson.dumps(manifest.as_dict())))

    assert manifest == again
    assert (manifest.id.text, manifest.version.full) == (again.id.text, again.version.full)


def test_the_dictionary_leaves_out_empty_values():
    manifest = dataclasses.replace(a_manifest(), dependency_groups=())

    assert manifest.as_dict() == {"id": "Contoso.Utils", "version": "1.0.0"}


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"id": "A"},
        {"id": 1, "version": "1.0"},
        {"id": "A", "version": "1.0", "title": 5},
        {"id": "A", "version": "1.0", "tags": [1]},
        {"id": "A", "version": "1.0", "package_types": [["a"]]},
        {"id": "A", "version": "1.0", "dependency_groups": [[None, [["a"]]]]},
        {"id": "A", "version": "1.0", "dependency_groups": 5},
    ],
)
def test_a_dictionary_of_something_else_is_refused(plain):
    with pytest.raises(ValueError, match="not a manifest"):
        PackageManifest.from_dict(plain)


def test_a_dictionary_with_an_impossible_version_is_refused():
    with pytest.raises(InvalidVersion):
        PackageManifest.from_dict({"id": "A", "version": "one"})


def test_the_identity():
    assert str(a_manifest("1.0").identity) == "Contoso.Utils 1.0.0"
