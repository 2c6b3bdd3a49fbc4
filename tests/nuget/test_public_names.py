"""Public names in assemblies, read from their metadata."""

import random
import zipfile

import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.public_names import public_names
from tests.shared import shared


@pytest.fixture(scope="module")
def assembly() -> bytes:
    [package] = (shared() / "nuget-org/packages/nuget.versioning/7.9.0").glob("*.nupkg")
    archive = zipfile.ZipFile(package)
    return archive.read(next(name for name in archive.namelist() if name.endswith(".dll")))


def test_types_and_members_that_others_see(assembly):
    names = set(public_names(assembly))

    assert {
        "NuGet.Versioning.NuGetVersion", "NuGet.Versioning.NuGetVersion.(constructor)",
        "NuGet.Versioning.NuGetVersion.IsSemVer2", "NuGet.Versioning.VersionRange.Parse",
        "NuGet.Versioning.NuGetVersionFloatBehavior.Major",
    } <= names  # fmt: skip
    assert not any("<" in name or ".get_" in name or name.endswith(".cctor") for name in names)


def test_damage_is_noticed_and_costs_nothing(assembly):
    """
    Cut, and changed at random: names or InvalidPackage, never another error.
    """
    chance = random.Random(7)
    for _ in range(150):
        damaged = bytearray(assembly[: chance.choice((len(assembly), chance.randrange(len(assembly))))])
        for _ in range(chance.randrange(1, 12)):
            if damaged:
                damaged[chance.randrange(min(len(damaged), chance.choice((600, 100_000))))] = chance.randrange(256)
        try:
            for _ in public_names(bytes(damaged)):
                pass
        except InvalidPackage:
            continue


@pytest.mark.parametrize("content", [b"", b"MZ", b"MZ" + bytes(200), b"\x7fELF" + bytes(100)])
def test_what_is_no_assembly(content):
    with pytest.raises(InvalidPackage):
        list(public_names(content))
