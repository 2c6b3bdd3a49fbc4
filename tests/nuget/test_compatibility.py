import pytest

from nugetproxy.nuget.compatibility import nearest
from nugetproxy.nuget.framework import Framework, find_framework


def framework(name: str) -> Framework:
    found = find_framework(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("project", "offered", "expected"),
    [
        ("net10.0", ["net462", "netstandard2.0", "net8.0", "net9.0"], "net9.0"),
        ("net8.0", ["net462", "netstandard2.0", "net8.0", "net9.0"], "net8.0"),
        ("net10.0", [".NETFramework4.6.2", ".NETStandard2.0", ".NETStandard2.1"], ".NETStandard2.1"),
        ("netcoreapp2.1", ["netstandard2.1", "netstandard2.0", "netstandard1.3"], "netstandard2.0"),
        ("netcoreapp1.0", ["netstandard2.0", "netstandard1.6"], "netstandard1.6"),
        ("netcoreapp3.1", ["net5.0", "netcoreapp2.0", "netstandard2.1"], "netcoreapp2.0"),
        ("net472", ["net10.0", "net45", "net462", "netstandard2.0"], "net462"),
        ("net472", ["net8.0", "netstandard2.1", "netstandard2.0"], "netstandard2.0"),
        ("net46", ["netstandard2.0", "netstandard1.3"], "netstandard1.3"),
        ("netstandard2.0", ["net8.0", "netstandard1.0", "netstandard2.1"], "netstandard1.0"),
        ("net10.0", ["net8.0-windows7.0", "netstandard2.0"], "netstandard2.0"),
        ("net10.0-windows7.0", ["net8.0-windows7.0", "net8.0"], "net8.0-windows7.0"),
        ("net10.0-windows7.0", ["net8.0-android34.0", "net6.0"], "net6.0"),
        ("net10.0", [None, "net462"], None),
        ("net10.0", ["any", "uap10.0"], "any"),
        ("net10.0", ["nonsense", "net8.0"], "net8.0"),
    ],
)
def test_the_nearest_is_the_one_that_a_client_chooses(project, offered, expected):
    assert nearest(framework(project), offered) == expected


@pytest.mark.parametrize(
    ("project", "offered"),
    [("net10.0", []), ("net10.0", ["net462"]), ("net40", ["netstandard1.0"]), ("net8.0", ["net9.0", "nonsense"])],
)
def test_nothing_fits(project, offered):
    with pytest.raises(LookupError):
        nearest(framework(project), offered)
