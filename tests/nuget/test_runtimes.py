import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.closure.runtimes import RuntimeGraph, read_runtime_json, sdk_graph
from nugetproxy.nuget.framework import find_framework
from nugetproxy.nuget.identity import PackageId


def graph(text: str) -> RuntimeGraph:
    return read_runtime_json(text.replace("'", '"').encode(), "P 1.0.0, runtime.json")


def needs(graph: RuntimeGraph, package: str, runtime: str) -> list[str]:
    return [f"{each.id} {each.range}" for each in graph.dependencies_of(PackageId.parse(package), runtime)]


LEFT = graph(
    "{'runtimes': {'linux-x64': {'#import': ['linux', 'unix-x64'], 'P': {'d1': '1.0'}},"
    " 'linux': {'#import': ['unix'], 'P': {'d2': '[1.0,2.0)'}}}}"
)
RIGHT = graph(
    "{'runtimes': {'linux-x64': {'#import': ['other'], 'P': {'e1': '1.0'}, 'Q': {}}, 'other': {'Q': {'z': '1.0'}}}}"
)


def test_a_runtime_imports_others_nearest_first_and_circles_end():
    assert LEFT.expanded("linux-x64") == ("linux-x64", "linux", "unix-x64", "unix")
    assert LEFT.expanded("Linux-x64") == ("Linux-x64",)
    assert graph("{'runtimes': {'x': {'#import': ['y']}, 'y': {'#import': ['x']}}}").expanded("x") == ("x", "y")


def test_the_nearest_entry_for_a_package_counts():
    assert needs(LEFT, "p", "linux-x64") == ["d1 [1.0.0, )"]
    assert needs(LEFT, "P", "linux") == ["d2 [1.0.0, 2.0.0)"]
    assert needs(RIGHT, "Q", "linux-x64") == []
    assert needs(LEFT, "P", "unknown") == []


def test_merging_keeps_the_first_imports_and_the_last_dependencies():
    merged = LEFT.merged(RIGHT)
    assert merged.expanded("linux-x64") == ("linux-x64", "linux", "unix-x64", "unix")
    assert needs(merged, "P", "linux-x64") == ["e1 [1.0.0, )"]
    merged = RIGHT.merged(LEFT)
    assert merged.expanded("linux-x64") == ("linux-x64", "other")
    assert needs(merged, "P", "linux-x64") == ["d1 [1.0.0, )"]
    assert needs(RuntimeGraph().merged(LEFT), "P", "linux") == ["d2 [1.0.0, 2.0.0)"]


@pytest.mark.parametrize(
    ("framework", "runtime", "expected"),
    [
        ("net10.0", "linux-x64", ("linux-x64", "linux", "unix-x64", "unix", "any", "base")),
        ("net10.0-windows7.0", "win-x64", ("win-x64", "win", "any", "base")),
        ("net8.0", "win10-x64", ("win10-x64",)),
        ("net7.0", "win10-arm", ("win10-arm", "win10", "win81-arm", "win81", "win8-arm", "win8", "win7", "win", "any")),
        ("net472", "ubuntu.22.04-x64", ("ubuntu.22.04-x64", "ubuntu.22.04", "ubuntu-x64", "ubuntu")),
    ],
)
def test_the_sdk_has_a_portable_graph_since_net8_and_the_full_one_for_the_rest(framework, runtime, expected):
    found = find_framework(framework)
    assert found is not None
    expanded = sdk_graph(found).expanded(runtime)
    assert [each for each in expanded if each in expected] == list(expected)
    assert len(expanded) == len(expected) or framework in ("net7.0", "net472")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{'runtimes': {'x': {'#import': 'y'}}}", "{'runtimes': {'x': {'P': {'d': 'zz'}}}}"]
    + [f"{{'runtimes': {{'x': {{'P': {{'d': {value}}}}}}}}}" for value in ("null", "''", "{}")],
)
def test_a_graph_that_clients_refuse_is_refused(text):
    with pytest.raises(InvalidRequest, match=r"^P 1\.0\.0, runtime\.json: "):
        graph(text)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{'runtimes': []}",
        "{'runtimes': {'x': []}}",
        "{'runtimes': {'x': null}}",
        "{'runtimes': {'x': {'P': '1'}}}",
    ],
)
def test_what_clients_ignore_is_ignored(text):
    assert needs(graph(text), "P", "x") == []
