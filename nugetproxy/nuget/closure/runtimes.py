"""Runtime identifiers: which imports which, and the packages that a `runtime.json` adds for one of them.

A restore for a runtime identifier begins with the graph of the SDK and merges the `runtime.json` of every package into
it. While it walks, each package also gets the dependencies that the merged graph names for it (`dependencies_of`).
Source: dotnet/core/rid-catalog; NuGet 7.9 behaves so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import orjson

from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersionRange
from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.identity import PackageId, lower_invariant
from nugetproxy.nuget.version_range import VersionRange

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_IMPORTS = "#import"
_FIRST_PORTABLE = (8, 0, 0, 0)
"""From this version of .NET on, the SDK uses the portable graph; for everything else the full one."""


@dataclass(frozen=True, slots=True)
class RuntimeDependency:
    """A package that another one needs on a runtime identifier.

    If its id is that of the package itself, it replaces the range of the dependency when its minimum is higher.
    """

    id: PackageId
    range: VersionRange


@dataclass(frozen=True, slots=True)
class RuntimeGraph:
    """Runtime identifiers, which are case-sensitive, with what they import and add.

    `added` has, by runtime identifier and lower package id, the dependencies of that package.
    """

    imports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    added: Mapping[str, Mapping[str, tuple[RuntimeDependency, ...]]] = field(default_factory=dict)

    def expanded(self, runtime: str) -> tuple[str, ...]:
        """The runtime identifier and all that it imports, nearest first."""
        found = {runtime: None}
        waiting = [runtime]
        for each in waiting:
            new = [imported for imported in self.imports.get(each, ()) if imported not in found]
            found.update(dict.fromkeys(new))
            waiting += new
        return tuple(found)

    def dependencies_of(self, package_id: PackageId, runtime: str) -> tuple[RuntimeDependency, ...]:
        """What the package needs on the runtime besides its nuspec: the nearest entry counts, even if empty."""
        for each in self.expanded(runtime):
            found = self.added.get(each, {}).get(package_id.lower)
            if found is not None:
                return found
        return ()

    def merged(self, other: "RuntimeGraph") -> "RuntimeGraph":
        """Both graphs. A runtime of both has the imports of this graph and the dependencies of the other."""
        imports = {**other.imports, **{runtime: names for runtime, names in self.imports.items() if names}}
        for runtime in self.imports:
            imports.setdefault(runtime, ())
        added = {
            runtime: {**self.added.get(runtime, {}), **other.added.get(runtime, {})}
            for runtime in {**self.added, **other.added}
        }
        return RuntimeGraph(imports, added)


def sdk_graph(framework: Framework) -> RuntimeGraph:
    """The graph with which the SDK restores a project for this framework."""
    is_portable = framework.identifier == ".NETCoreApp" and framework.version >= _FIRST_PORTABLE
    return _shipped("portable" if is_portable else "full")


def read_runtime_json(content: bytes, place: str) -> RuntimeGraph:
    """Parse a `runtime.json`. `place` is only used in messages.

    Raises:
        InvalidRequest: it is not a graph; clients fail to restore then, too.
    """
    try:
        document = orjson.loads(content.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{place}: not valid JSON: {error.msg}") from error
    if not isinstance(document, dict):
        raise InvalidRequest(f"{place}: expected an object")
    runtimes = document.get("runtimes")
    imports: dict[str, tuple[str, ...]] = {}
    added: dict[str, dict[str, tuple[RuntimeDependency, ...]]] = {}
    # Whatever is no object where one belongs is ignored, as clients do.
    for runtime, entry in _fields(runtimes):
        named = entry.get(_IMPORTS, []) if isinstance(entry, dict) else []
        if not isinstance(named, list):
            raise InvalidRequest(f"{place}: {_IMPORTS} of a runtime is not a list")
        imports[runtime] = tuple(name for name in named if isinstance(name, str))
        added[runtime] = {
            lower_invariant(package): tuple(_dependencies(dependencies, place))
            for package, dependencies in _fields(entry)
            if package != _IMPORTS
        }
    return RuntimeGraph(imports, added)


def _fields(value: object) -> Iterator[tuple[str, object]]:
    return iter(value.items() if isinstance(value, dict) else ())


def _dependencies(value: object, place: str) -> Iterator[RuntimeDependency]:
    for name, text in _fields(value):
        if not isinstance(text, str) or not text.strip():
            raise InvalidRequest(f"{place}: a dependency has no version")
        try:
            yield RuntimeDependency(PackageId.parse(name), VersionRange.parse(text, floating=True))
        except (InvalidPackageId, InvalidVersionRange) as error:
            raise InvalidRequest(f"{place}: {error}") from error


@cache
def _shipped(name: str) -> RuntimeGraph:
    # The tables are part of the program like any module: `scripts/sdk-facts` writes them.
    text = (resources.files(__package__) / "data" / f"runtimes-{name}.txt").read_text("ascii")
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return RuntimeGraph({runtime: tuple(names.split()) for runtime, _, names in lines})
