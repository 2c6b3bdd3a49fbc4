"""What a restore is asked for, and what it selects: projects, references, and the closure of their dependencies.

Values only. `nuget/projects` reads them from files, `nuget/closure/walk.py` resolves them; neither knows the other.
Source: docs/concepts/dependency-resolution, docs/consume-packages/package-references-in-project-files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import DependencyGroup
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange


@dataclass(frozen=True, slots=True)
class Reference:
    """A package that a project names. `range` is None if only the central versions state it.

    `is_private`: `PrivateAssets="all"`; projects that reference this one do not see the package. `is_implicit`: the SDK
    adds it, so no file names it. `excludes_all`: `ExcludeAssets="all"` or `IncludeAssets="none"`.
    """

    id: PackageId
    range: VersionRange | None
    is_private: bool = False
    is_implicit: bool = False
    excludes_all: bool = False


@dataclass(frozen=True, slots=True)
class ProjectReference:
    """Another project, by its `Project.path`."""

    path: str
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """One target framework of a project, as restore sees it.

    `fallbacks` are frameworks whose assets are accepted if nothing fits (`AssetTargetFallback`). `downloads` are
    fetched and not resolved (`PackageDownload`, packs of the SDK). `central` are the versions of
    `Directory.Packages.props` by lower id; with `pins_transitively` they also apply to dependencies. `pruned` are
    packages that the framework contains, by lower id, up to this version. `runtimes` are runtime identifiers: each is
    resolved on its own, besides none.
    """

    framework: Framework
    references: tuple[Reference, ...] = ()
    projects: tuple[ProjectReference, ...] = ()
    downloads: tuple[PackageIdentity, ...] = ()
    fallbacks: tuple[Framework, ...] = ()
    runtimes: tuple[str, ...] = ()
    central: Mapping[str, VersionRange] = field(default_factory=dict)
    pins_transitively: bool = False
    pruned: Mapping[str, NuGetVersion] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """One project. `path` is its name in messages and in references between projects.

    `name` is the id that it has among packages (`PackageId`, `AssemblyName`); empty means the name of its file.
    """

    path: str
    targets: tuple[Target, ...]
    name: str = ""

    @property
    def id(self) -> str:
        return self.name or self.path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or self.path


@dataclass(frozen=True, slots=True)
class Selected:
    """A package of the closure. `by` is who wants it, from project to parent: `("a.csproj", "Serilog 4.0.0")`.

    `is_download`: it is fetched and not resolved (`Target.downloads`), so it is not in the graph.
    """

    identity: PackageIdentity
    by: tuple[str, ...]
    is_download: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """A dependency that no version satisfies. `range` as a message shows it; `nearest` is what there is instead."""

    id: PackageId
    range: str
    by: tuple[str, ...]
    why: str
    nearest: NuGetVersion | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why restore fails although every package exists. `code` is NuGet's: `NU1605` for a downgrade, for example."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Closure:
    """The result for one project, target framework and runtime identifier (empty: none).

    With `missing` or `problems`, restore fails; `packages` is then what it selects all the same.
    """

    project: str
    framework: Framework
    runtime: str
    packages: tuple[Selected, ...]
    missing: tuple[Missing, ...] = ()
    problems: tuple[Problem, ...] = ()


class PackageLookup(Protocol):
    """What a walk asks about packages. Both raise NugetproxyError if the answer cannot be fetched."""

    async def versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        """All versions in the list of the id, unlisted ones too; empty if the id does not exist."""

    async def dependency_groups(self, identity: PackageIdentity) -> tuple[DependencyGroup, ...]:
        """What the nuspec of a version states."""

    async def runtime_json(self, identity: PackageIdentity) -> bytes | None:
        """The file `runtime.json` at the root of the package; None if it has none. Only asked if a runtime is given."""
