"""Generated dependency graphs: packages in a folder that is a source, and projects that reference them, from a seed.

The same seed gives the same graphs. Every graph has its own package ids, so that many fit into one source and one run
of the client.
"""

import base64
import gzip
import hashlib
import io
import json
import random
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from xml.sax.saxutils import quoteattr

from nugetproxy.nuget.closure.model import Project, ProjectReference, Reference, Target
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import Dependency, DependencyGroup
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from tests.builders import make_nupkg, make_nuspec

_VERSIONS = ("1.0.0", "1.1.0", "1.1.1", "1.1.1.5", "1.2.0", "2.0.0", "2.1.0", "3.0.0")
_PRERELEASES = ("1.2.0-beta.1", "2.0.0-alpha", "2.0.0-rc.1", "2.2.0-beta.2", "4.0.0-preview")
_TARGETS = ("net10.0", "net8.0", "net472", "netstandard2.0", "netcoreapp3.1", "net10.0-windows10.0.19041")
_OFFERED = (None, "net45", "net472", "netstandard1.3", "netstandard2.0", "netstandard2.1", "net6.0", *_TARGETS[:2])
_FOR_PLATFORMS = ("net8.0-windows7.0", "net10.0-windows10.0.22000", "net9.0-android35.0")
_RUNTIMES = ("linux-x64", "win-x64", "osx-arm64")
_FALLBACKS = ("net461", "net462", "net47", "net471", "net472", "net48", "net481")
"""`AssetTargetFallback` of the SDK for everything but .NET Framework."""


@dataclass(frozen=True)
class Package:
    """A version of a package: its groups, and its `runtime.json` if it has one."""

    id: str
    version: str
    groups: Mapping[str | None, tuple[tuple[str, str], ...]]
    runtime: str | None = None


@dataclass
class Graph:
    """Packages, and a project with those that it references."""

    packages: list[Package] = field(default_factory=list)
    projects: list[Project] = field(default_factory=list)


def generate(seed: str, count: int) -> list[Graph]:
    return [_Generator(random.Random(f"{seed}/{number}"), f"{seed}{number}").graph() for number in range(count)]


class _Generator:
    def __init__(self, chances: random.Random, name: str) -> None:
        self._random = chances
        self._name = name
        self._ids = [f"G{name}.{chr(65 + number)}" for number in range(chances.randint(5, 14))]
        self._versions: dict[str, list[str]] = {}
        self._number_of_projects = chances.choice((1, 1, 1, 1, 1, 2, 3))
        if chances.random() < 0.15:
            # A package with the id of a project.
            self._ids.append(f"P{name}.{chances.randrange(self._number_of_projects)}")
        # How wild a graph is, so that some are also resolved without an error.
        self._wildness = chances.choice((0.0, 0.3, 1.0))

    def graph(self) -> Graph:
        graph = Graph()
        for package_id in self._ids:
            some = self._random.sample(_VERSIONS, self._random.randint(1, 4))
            if self._chance(0.3):
                some += self._random.sample(_PRERELEASES, self._random.randint(1, 2))
            self._versions[package_id] = sorted(some, key=NuGetVersion.parse)
        has_runtimes = self._chance(0.2)
        for place, package_id in enumerate(self._ids):
            for version in self._versions[package_id]:
                runtime = self._runtime_json(place) if has_runtimes and self._chance(0.3) else None
                graph.packages.append(Package(package_id, version, self._groups(place), runtime))
        is_central = self._chance(0.3)
        central = self._central() if is_central else {}
        pins = is_central and self._chance(0.5)
        pruned = self._pruned() if self._chance(0.2) else {}
        runtimes = tuple(self._random.sample(_RUNTIMES, self._random.randint(1, 2))) if has_runtimes else ()
        on = self._random.sample(_TARGETS, self._random.choice((1, 1, 1, 1, 2)))
        for number in reversed(range(self._number_of_projects)):
            frameworks = on if self._chance(0.9) else self._random.sample(_TARGETS, 1)
            graph.projects.insert(
                0, self._project(number, self._number_of_projects, frameworks, central, pins, pruned, runtimes)
            )
        return graph

    def _project(
        self,
        number: int,
        of: int,
        frameworks: list[str],
        central: Mapping[str, VersionRange],
        pins: bool,
        pruned: Mapping[str, NuGetVersion],
        runtimes: tuple[str, ...],
    ) -> Project:
        path = self._path(number)
        references = self._references(central)
        projects = tuple(
            ProjectReference(self._path(other), self._chance(0.15))
            for other in range(number + 1, of)
            if self._chance(0.6)
        )
        targets = []
        for name in frameworks:
            own = references if self._chance(0.8) else self._references(central)
            targets.append(
                Target(
                    _framework(name),
                    own,
                    projects,
                    fallbacks=() if name == "net472" else tuple(map(_framework, _FALLBACKS)),
                    runtimes=runtimes,
                    central=central,
                    pins_transitively=pins,
                    pruned=pruned,
                )
            )
        return Project(path, tuple(targets))

    def _references(self, central: Mapping[str, VersionRange]) -> tuple[Reference, ...]:
        chosen = self._random.sample(self._ids[: len(self._ids) // 2 + 2], self._random.randint(1, 4))
        if self._chance(0.1) and self._ids[-1] not in chosen:
            chosen.append(self._ids[-1])
        found = []
        for package_id in chosen:
            range_ = self._range(package_id, floating=True)
            if central:
                if package_id.lower() not in central:
                    continue
                range_ = range_ if self._chance(0.15) else ""
            found.append(
                Reference(
                    PackageId.parse(package_id),
                    VersionRange.parse(range_, floating=True) if range_ else None,
                    is_private=self._chance(0.15),
                )
            )
        return tuple(found)

    def _central(self) -> dict[str, VersionRange]:
        return {
            package_id.lower(): VersionRange.parse(self._range(package_id, floating=True) or "1.0.0", floating=True)
            for package_id in self._ids
            if self._chance(0.85)
        }

    def _pruned(self) -> dict[str, NuGetVersion]:
        some = self._random.sample(self._ids, min(3, len(self._ids)))
        return {package_id.lower(): NuGetVersion.parse(self._random.choice(_VERSIONS)) for package_id in some}

    def _groups(self, place: int) -> dict[str | None, tuple[tuple[str, str], ...]]:
        if self._chance(0.05):
            return {}
        if self._chance(0.6):
            return {self._random.choice((None, "netstandard2.0")): self._dependencies(place)}
        some = self._random.sample((*_OFFERED, *_FOR_PLATFORMS), self._random.randint(1, 4))
        return {name: self._dependencies(place) for name in some}

    def _dependencies(self, place: int) -> tuple[tuple[str, str], ...]:
        later = self._ids[place + 1 :]
        chosen = self._random.sample(later, min(len(later), self._random.choice((0, 1, 1, 2, 2, 3))))
        if self._chance(0.03 * self._wildness):
            chosen.append(self._random.choice(self._ids))
        if self._chance(0.02 * self._wildness):
            chosen.append(f"G{self._name}.Absent")
        return tuple((self._spelt(each), self._range(each)) for each in dict.fromkeys(chosen))

    def _spelt(self, package_id: str) -> str:
        """Letter case does not matter."""
        return package_id.swapcase() if self._chance(0.05) else package_id

    def _range(self, package_id: str, *, floating: bool = False) -> str:
        versions = self._versions.get(package_id, ["1.0.0"])
        version = self._random.choice(versions)
        if not self._chance(self._wildness * 0.5):
            return version
        other = self._random.choice(_VERSIONS)
        low, high = sorted((version, other), key=NuGetVersion.parse)
        kinds = [other, f"[{version}]", f"({low},)", f"[{low},]", f"(,{high}]"]
        if low != high:
            kinds += [f"[{low},{high})", f"({low},{high}]"]
        if floating:
            major, minor = version.split(".")[:2]
            kinds += ["*", "*-*", f"{major}.*", f"{major}.*-*", f"{major}.{minor}.*", f"{major}.{minor}.0-*"]
            kinds += [f"[{major}.*, 9.0)", f"{major}.{minor}.0-beta*"]
        return self._random.choice(kinds)

    def _runtime_json(self, place: int) -> str:
        """For the package itself or another one: a further dependency, or a higher version of itself."""
        package = self._random.choice(self._ids[place:])
        dependency = self._random.choice(self._ids[max(place, self._ids.index(package)) :])
        version = self._random.choice(self._versions.get(dependency, ["1.0.0"]))
        runtime = self._random.choice(("linux-x64", "unix", "win", "any"))
        return f'{{"runtimes": {{"{runtime}": {{"{package}": {{"{dependency}": "{version}"}}}}}}}}'

    def _path(self, number: int) -> str:
        return f"P{self._name}.{number}/P{self._name}.{number}.csproj"

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability


def write_packages(graphs: list[Graph], source: Path) -> None:
    """As a source folder in the layout `id/version/`, which clients read fastest: no search, no archive to open."""
    for graph in graphs:
        for package in graph.packages:
            lower = package.id.lower()
            nuspec = make_nuspec(package.id, package.version, dependencies=package.groups)
            files = {} if package.runtime is None else {"runtime.json": package.runtime.encode()}
            content = make_nupkg(package.id, package.version, nuspec=nuspec, files=files)
            digest = base64.b64encode(hashlib.sha512(content).digest())
            folder = source / lower / package.version
            folder.mkdir(parents=True)
            (folder / f"{lower}.nuspec").write_bytes(nuspec)
            (folder / f"{lower}.{package.version}.nupkg").write_bytes(content)
            (folder / f"{lower}.{package.version}.nupkg.sha512").write_bytes(digest)


def project_xml(project: Project, *, sdk: bool) -> str:
    """The project file that says what `project` says; without the SDK, restore.targets beside its folder is its own."""
    frameworks = ";".join(target.framework.short for target in project.targets)
    first = project.targets[0]
    properties = {
        "TargetFrameworks": frameworks,
        "RuntimeIdentifiers": ";".join(first.runtimes),
        "ManagePackageVersionsCentrally": "true" if first.central else "",
        "CentralPackageTransitivePinningEnabled": "true" if first.pins_transitively else "",
        "CentralPackageFloatingVersionsEnabled": "true" if first.central else "",
    }
    lines = "".join(f"<{name}>{value}</{name}>" for name, value in properties.items() if value)
    groups = "".join(
        f"<ItemGroup Condition=\"'$(TargetFramework)' == '{target.framework.short}'\">"
        f"{''.join(_items(target))}</ItemGroup>"
        for target in project.targets
    )
    opening = '<Project Sdk="Microsoft.NET.Sdk">' if sdk else "<Project>"
    closing = "" if sdk else '<Import Project="../restore.targets" />'
    return f"{opening}<PropertyGroup>{lines}</PropertyGroup>{groups}{closing}</Project>\n"


_FROM_SDK = {
    "RestoreProjectStyle": "PackageReference",
    "MSBuildProjectExtensionsPath": "$(MSBuildProjectDirectory)/obj/",
    "TargetFrameworkIdentifier": "$([MSBuild]::GetTargetFrameworkIdentifier('$(TargetFramework)'))",
    "TargetFrameworkVersion": "v$([MSBuild]::GetTargetFrameworkVersion('$(TargetFramework)'))",
    "TargetFrameworkMoniker": "$(TargetFrameworkIdentifier),Version=$(TargetFrameworkVersion)",
    "TargetPlatformIdentifier": "$([MSBuild]::GetTargetPlatformIdentifier('$(TargetFramework)'))",
    "TargetPlatformVersion": "$([MSBuild]::GetTargetPlatformVersion('$(TargetFramework)', 4))",
    "RestoreEnablePackagePruning": "true",
    "WarningsAsErrors": "NU1605",
    "UsingMicrosoftNETSdk": "true",
    "SdkAnalysisLevel": "10.0.400",
    "NuGetAudit": "false",
    "_CentralPackageVersionsEnabled": "$(ManagePackageVersionsCentrally)",
}
# What the SDK adds to a project, as far as restore sees it. It is evaluated many times faster than the SDK.
RESTORE_TARGETS = f"""<Project>
<PropertyGroup>{"".join(f"<{name}>{value}</{name}>" for name, value in _FROM_SDK.items())}</PropertyGroup>
<PropertyGroup Condition="'$(TargetPlatformIdentifier)' != ''">
<TargetPlatformMoniker>$(TargetPlatformIdentifier),Version=$(TargetPlatformVersion)</TargetPlatformMoniker></PropertyGroup>
<PropertyGroup Condition="'$(TargetFrameworkIdentifier)' != '.NETFramework'">
<AssetTargetFallback>{";".join(_FALLBACKS)}</AssetTargetFallback></PropertyGroup>
<PropertyGroup><RuntimeIdentifierGraphPath>$(MSBuildToolsPath)/RuntimeIdentifierGraph.json</RuntimeIdentifierGraphPath>
</PropertyGroup><PropertyGroup Condition="'$(TargetFrameworkIdentifier)' == '.NETCoreApp'">
<RuntimeIdentifierGraphPath>$(MSBuildToolsPath)/PortableRuntimeIdentifierGraph.json</RuntimeIdentifierGraphPath>
</PropertyGroup><Import Project="$(MSBuildToolsPath)/NuGet.targets" /></Project>
"""

DIRECTORY_BUILD_PROPS = """<Project><PropertyGroup>
<NuGetAudit>false</NuGetAudit><UseAppHost>false</UseAppHost><EnableWindowsTargeting>true</EnableWindowsTargeting>
<DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>
<AutomaticallyUseReferenceAssemblyPackages>false</AutomaticallyUseReferenceAssemblyPackages>
<RestoreEnablePackagePruning>true</RestoreEnablePackagePruning>
</PropertyGroup></Project>
"""
"""For projects with the SDK: without the packages that it adds itself, which no generated source has."""


def _items(target: Target) -> Iterator[str]:
    version = "VersionOverride" if target.central else "Version"
    for each in target.references:
        stated = f" {version}={quoteattr(_text(each.range))}" if each.range is not None else ""
        private = ' PrivateAssets="all"' if each.is_private else ""
        yield f'<PackageReference Include="{each.id}"{stated}{private} />'
    for reference in target.projects:
        private = ' PrivateAssets="all"' if reference.is_private else ""
        yield f'<ProjectReference Include="../{reference.path}"{private} />'
    for package_id, range_ in target.central.items():
        yield f'<PackageVersion Include="{package_id}" Version={quoteattr(_text(range_))} />'
    for package_id, contained in target.pruned.items():
        yield f'<PrunePackageReference Include="{package_id}" Version="{contained}" />'


def _text(range_: VersionRange) -> str:
    return range_.normalized


def _framework(name: str) -> Framework:
    found = find_framework(name)
    assert found is not None
    return found


class GraphLookup:
    """What the packages of the graphs say, for the resolver."""

    def __init__(self, graphs: list[Graph]) -> None:
        self._packages: dict[str, dict[NuGetVersion, Package]] = {}
        for graph in graphs:
            for package in graph.packages:
                versions = self._packages.setdefault(package.id.lower(), {})
                versions[NuGetVersion.parse(package.version)] = package

    async def versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        return tuple(self._packages.get(package_id.lower, ()))

    async def dependency_groups(self, identity: PackageIdentity) -> tuple[DependencyGroup, ...]:
        package = self._packages[identity.lower_id][identity.version]
        return tuple(
            DependencyGroup(name, tuple(Dependency(*each) for each in dependencies))
            for name, dependencies in package.groups.items()
        )

    async def runtime_json(self, identity: PackageIdentity) -> bytes | None:
        text = self._packages[identity.lower_id][identity.version].runtime
        return None if text is None else text.encode()


class FeedLookup:
    """What a V3 feed says, for the resolver."""

    def __init__(self, flat_container: str) -> None:
        self._url = flat_container

    async def versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        document = self._get(f"{package_id.lower}/index.json")
        return () if document is None else tuple(map(NuGetVersion.parse, json.loads(document)["versions"]))

    async def dependency_groups(self, identity: PackageIdentity) -> tuple[DependencyGroup, ...]:
        nuspec = self._get(f"{identity.lower_id}/{identity.lower_version}/{identity.nuspec_name}")
        assert nuspec is not None
        return read_nuspec(nuspec).dependency_groups

    async def runtime_json(self, identity: PackageIdentity) -> bytes | None:
        package = self._get(f"{identity.lower_id}/{identity.lower_version}/{identity.nupkg_name}")
        assert package is not None
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            return archive.read("runtime.json") if "runtime.json" in archive.namelist() else None

    def _get(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(f"{self._url}/{path}", timeout=20) as answer:
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
