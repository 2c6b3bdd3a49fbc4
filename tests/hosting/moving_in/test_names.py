"""Which package a path says a file is."""

import pytest

from nugetproxy.feeds.offers import FileKind
from nugetproxy.hosting.moving_in.names import contradicts, kind_of, stated_by_path
from nugetproxy.nuget.identity import PackageIdentity


@pytest.mark.parametrize(
    ("path", "stated"),
    [
        ("packages/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg", "contoso.utils 1.0.0"),
        ("Contoso.Utils/1.0/Contoso.Utils.1.0.nupkg", "Contoso.Utils 1.0.0"),
        ("Contoso.Utils/1.0/contoso.utils.1.0.0.nupkg", "Contoso.Utils 1.0.0"),
        ("contoso.utils/1.0.0/contoso.utils.nupkg", "contoso.utils 1.0.0"),
        ("contoso.utils/1.0.0/contoso.utils.1.0.0.snupkg", "contoso.utils 1.0.0"),
        ("backup/2024/Contoso.Utils.1.0.0.nupkg", ""),
        ("contoso.utils/1.0.0/other.nupkg", ""),
        ("contoso.utils/1.0.0/contoso.utils.1.0.0.symbols.nupkg", ""),
        ("contoso.utils/1.0.0/contoso.utils.1.0.0.nuspec", ""),
        ("1.0.0/contoso.utils.1.0.0.nupkg", ""),
        ("../1.0.0/...1.0.0.nupkg", ""),
    ],
)
def test_stated_by_path(path, stated):
    assert str(stated_by_path(path.split("/")) or "") == stated


@pytest.mark.parametrize(
    ("name", "is_contradiction"),
    [
        ("Contoso.Utils.1.0.0.nupkg", False),
        ("contoso.utils.1.0.nupkg", False),
        ("Contoso.Utils.1.0.0.0.nupkg", False),
        ("package.nupkg", False),
        ("download (1).nupkg", False),
        ("Contoso.Utils.nupkg", False),
        ("2.0.0-beta.nupkg", False),
        ("Contoso.Utils.1.0.1.nupkg", True),
        ("Contoso.Other.1.0.0.nupkg", True),
        ("Contoso.Utils.1.0.0-beta.nupkg", True),
    ],
)
def test_contradicts(name, is_contradiction):
    assert contradicts(name, PackageIdentity.parse("Contoso.Utils", "1.0.0")) is is_contradiction


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.1.0.0.nupkg", FileKind.PACKAGE),
        ("A.1.0.0.NUPKG", FileKind.PACKAGE),
        ("a.1.0.0.snupkg", FileKind.SYMBOLS),
        ("a.1.0.0.symbols.nupkg", None),
        ("a.nupkg.sha512", None),
        ("cache.bin", None),
    ],
)
def test_kind_of(name, kind):
    assert kind_of(name) is kind
