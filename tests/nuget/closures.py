"""Package universes and projects in a short notation, for tests of the resolver."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from nugetproxy.errors import UpstreamTimeout
from nugetproxy.nuget.closure.model import Closure, Project, ProjectReference, Reference, Target
from nugetproxy.nuget.closure.walk import resolve
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import Dependency, DependencyGroup
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange


class Universe:
    """Packages as `A 1.0: B 1.0; C [1.0,2.0)` lines; `| net472: D 1.0` begins the group of a framework.

    A lookup that counts its questions. `broken` ids cannot be looked up.
    """

    def __init__(self, text: str, *, runtime: Mapping[str, str] | None = None, broken: Sequence[str] = ()) -> None:
        self._packages: dict[str, dict[NuGetVersion, tuple[DependencyGroup, ...]]] = {}
        self._runtime = runtime or {}
        self._broken = broken
        self.asked: Counter[str] = Counter()
        self.most_open = 0
        self._open = 0
        for line in filter(None, map(str.strip, text.splitlines())):
            name, _, groups = line.partition(":")
            package_id, version = name.split()
            versions = self._packages.setdefault(package_id.lower(), {})
            versions[NuGetVersion.parse(version)] = tuple(map(_group, groups.split("|"))) if groups.strip() else ()

    async def versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        self.asked[package_id.lower] += 1
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        await asyncio.sleep(0)
        self._open -= 1
        if package_id.text in self._broken:
            raise UpstreamTimeout("nuget.org", "no answer in time")
        return tuple(self._packages.get(package_id.lower, ()))

    async def dependency_groups(self, identity: PackageIdentity) -> tuple[DependencyGroup, ...]:
        self.asked[str(identity)] += 1
        await asyncio.sleep(0)
        return self._packages[identity.lower_id][identity.version]

    async def runtime_json(self, identity: PackageIdentity) -> bytes | None:
        text = self._runtime.get(str(identity))
        return None if text is None else text.replace("'", '"').encode()


def framework(text: str) -> Framework:
    found = find_framework(text)
    assert found is not None, text
    return found


def ranges(text: str) -> dict[str, VersionRange]:
    """`A 1.0; B 2.*` as central versions."""
    return {each.id.lower: each.range for each in references(text) if each.range is not None}


def references(text: str) -> tuple[Reference, ...]:
    """`A 1.0; B 2.*!; C`: `!` is private, without a range the version is central."""
    found = []
    for line in filter(None, map(str.strip, text.split(";"))):
        name, _, range_ = line.removesuffix("!").partition(" ")
        stated = VersionRange.parse(range_, floating=True) if range_ else None
        found.append(Reference(PackageId.parse(name), stated, is_private=line.endswith("!")))
    return tuple(found)


def project(path: str, text: str, *others: str, on: str = "net10.0", **more: object) -> Project:
    """A project with package references and references to `others` (`b.csproj!` is private)."""
    projects = tuple(ProjectReference(each.removesuffix("!"), each.endswith("!")) for each in others)
    targets = tuple(
        Target(framework(each), references(text), projects, **more)  # type: ignore[arg-type]
        for each in on.split(";")
    )
    return Project(path, targets)


def closures(universe: Universe, *projects: Project) -> list[Closure]:
    """Of the first project; the others are only there to be referenced."""
    return asyncio.run(resolve({each.path: each for each in projects}, [projects[0].path], universe))


def packages(closure: Closure) -> list[str]:
    return sorted(str(each.identity) for each in closure.packages)


def closure_of(packages_text: str, wanted: str, **more: object) -> Closure:
    """The closure of one project on one framework."""
    (closure,) = closures(Universe(packages_text), project("app.csproj", wanted, **more))  # type: ignore[arg-type]
    return closure


def _group(text: str) -> DependencyGroup:
    head, colon, rest = text.partition(":")
    name, listed = (head.strip(), rest) if colon else (None, head)
    lines = filter(None, map(str.strip, listed.split(";")))
    return DependencyGroup(name, tuple(Dependency(*line.partition(" ")[::2]) for line in lines))
