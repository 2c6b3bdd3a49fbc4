from pathlib import Path

import pytest

from nugetproxy.nuget.compatibility import nearest
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.framework_support import supports
from tests.nuget import frameworks

_RECORDED = Path(__file__).parent.parent / "data" / "frameworks"
SUPPORTS = _RECORDED / "supports.txt"
"""One project framework per line, and all those of the file that fit it, as NuGet 7.9 says."""
NEAREST = _RECORDED / "nearest.txt"
"""A project framework, the place of the nearest (-1: none), and the frameworks that a package offers."""


def framework(name: str) -> Framework:
    found = find_framework(name)
    assert found is not None
    return found


def place_of_nearest(project: str, offered: list[str]) -> int:
    try:
        found = nearest(framework(project), offered)
    except LookupError:
        return -1
    return [frameworks.meaning(each) for each in offered].index(frameworks.meaning(found or "any"))


def recorded(path: Path) -> dict[str, set[str]]:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {project: set(fitting.split()) for project, _, fitting in lines}


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


def test_frameworks_fit_as_recorded_from_nuget():
    said = recorded(SUPPORTS)
    ours = {
        project: {each for each in said if supports(frameworks.meaning(project), frameworks.meaning(each))}
        for project in said
    }
    assert ours == said
    assert len(said) ** 2 > 10_000


def test_the_nearest_is_as_recorded_from_nuget():
    lines = [line.split() for line in NEAREST.read_text().splitlines()]
    assert len(lines) == 400
    assert [line for line in lines if place_of_nearest(line[0], line[2:]) != int(line[1])] == []


def test_fallbacks_are_tried_in_order_and_only_when_nothing_fits():
    fallbacks = [framework("net461"), framework("net472")]
    assert nearest(framework("net10.0"), ["net472", "net462", "net45"], fallbacks) == "net45"
    assert nearest(framework("net10.0"), ["net472", "net462"], fallbacks) == "net472"
    assert nearest(framework("net10.0"), ["net461", "netstandard1.0"], fallbacks) == "netstandard1.0"
    assert nearest(framework("net10.0"), ["net461", None], fallbacks) is None
    with pytest.raises(LookupError):
        nearest(framework("net10.0"), ["net48", "net481"], fallbacks)
