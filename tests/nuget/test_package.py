import dataclasses

import pytest

from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.package import Package
from nugetproxy.nuget.version import NuGetVersion

PACKAGE = Package(id=PackageId.parse("Contoso.Utils"), version=NuGetVersion.parse("1.0"), verbatim_version="1.0")


def test_missing_values_are_empty():
    assert (PACKAGE.title, PACKAGE.tags, PACKAGE.published, PACKAGE.size, PACKAGE.downloads) == ("", (), None, 0, 0)


def test_it_is_listed_unless_said_otherwise():
    assert PACKAGE.listed


def test_it_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PACKAGE.title = "other"  # type: ignore[misc]
