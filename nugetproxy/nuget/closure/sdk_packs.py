"""The packs, compilers and hosts that the SDK downloads for a project, and the packages that it references."""

from typing import Final

from nugetproxy.nuget.closure.model import Reference
from nugetproxy.nuget.closure.sdk_facts import Known, SdkFacts
from nugetproxy.nuget.closure.sdk_project import WITHOUT_HOST, SdkProject
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange

CORE_APP: Final = "Microsoft.NETCore.App"
_IMPLICIT: Final = ("microsoft.netcore.app", "netstandard.library")
_RID: Final = "**RID**"


class Found:
    """What was found so far."""

    def __init__(self, sdk: SdkFacts) -> None:
        self._sdk = sdk
        self.references: dict[str, Reference] = {}
        self.downloads: dict[PackageIdentity, None] = {}
        self.unknown: dict[str, None] = {}

    def reference(self, name: str, version: str, *, is_private: bool = True) -> None:
        package_id = PackageId.parse(name)
        self.references[package_id.lower] = Reference(
            package_id, VersionRange.parse(version), is_private=is_private, is_implicit=True
        )

    def download(self, name: str, version: str) -> None:
        if not self._sdk.bundles(name, version):
            self.downloads[PackageIdentity.parse(name, version)] = None

    def unclear(self, sentence: str) -> None:
        self.unknown[sentence] = None

    def add_fsharp(self) -> None:
        if self._sdk.fsharp_core:
            self.reference("FSharp.Core", self._sdk.fsharp_core, is_private=False)
        else:
            self.unclear(f"which FSharp.Core SDK {self._sdk.version} adds: it comes with the SDK, in library-packs")


def add_packs(project: SdkProject, found: Found) -> None:
    """All that .NET Core 3.0 and later need."""
    add_targeting_packs(project, found)
    _add_hosts(project, found)
    _add_compilers(project, found)
    platform = project.framework.platform[0]
    if platform == "windows":
        _add_windows_sdk(project, found)
    elif platform:
        found.unclear(f"which packs the workload for {platform} adds to {project.framework.short}")
    if project.web_assets and project.framework.version >= (10, 0, 0, 0):
        for each in project.knows("FrameworkReference"):
            if each.name == CORE_APP:
                found.download("Microsoft.AspNetCore.App.Internal.Assets", each.version)


def add_targeting_packs(project: SdkProject, found: Found) -> None:
    """The packs of all shared frameworks, since a package may reference one that the project does not."""
    referenced = {*_IMPLICIT, *(each.lower() for each in project.framework_references)}
    known = list(project.knows("FrameworkReference"))
    if not known:
        name = project.framework.short
        found.unclear(f"which packs SDK {project.sdk.version} needs for {name}: it does not know this framework")
    for each in known:
        if each.is_windows_only and not project.windows_targeting:
            continue
        if not project.transitive and each.name.lower() not in referenced:
            continue
        found.download(each.pack, each.pack_version)
        if each.name != each.runtime_name or not each.pattern:
            continue
        for runtime in project.runs_on:
            best = project.best(runtime, each.runtimes, each.excluded)
            if best:
                found.download(each.pattern.replace(_RID, best), each.version)


def _add_hosts(project: SdkProject, found: Found) -> None:
    own = (project.runtime or project.sdk.host,) if project.has_host else ()
    for each in project.knows("AppHost"):
        for runtime in dict.fromkeys((*own, *project.runtimes)):
            best = project.best(runtime, each.runtimes, each.excluded)
            if best:
                found.download(each.pattern.replace(_RID, best), each.version)
            elif not runtime.startswith(WITHOUT_HOST):
                found.unclear(f"which host {project.framework.short} has for {runtime}: the SDK knows none")


def _add_compilers(project: SdkProject, found: Found) -> None:
    if project.ready_to_run and project.framework.version >= (6, 0, 0, 0):
        for each in project.knows("Crossgen2"):
            _download(project, found, each, project.sdk.host)
    if project.aot:
        targets = tuple(dict.fromkeys(each for each in (project.runtime, *project.runtimes) if each))
        for each in project.knows("ILCompiler"):
            found.reference(each.name, each.version)
            _download(project, found, each, project.sdk.host)
            for runtime in targets:
                if each.native_pattern:
                    best = project.best(runtime, each.runtimes)
                    found.download(each.native_pattern.replace(_RID, best), each.version)
                else:
                    _download(project, found, each, runtime)
    if project.needs_linker:
        _add_linker(project, found)


def _add_linker(project: SdkProject, found: Found) -> None:
    version = project.framework.version
    if project.aot_compatible and version < (7, 0, 0, 0):
        # The analysis is not supported yet, and the SDK leaves the linker out for whatever else needs it.
        return
    if version < (6, 0, 0, 0) and not project.trimmed:
        return
    for each in project.knows("ILLink"):
        found.reference(each.name, each.version)
        if NuGetVersion.parse(each.version) < NuGetVersion.parse("8.0.0-0"):
            found.reference("Microsoft.NET.ILLink.Analyzers", each.version)


def _download(project: SdkProject, found: Found, pack: Known, runtime: str) -> None:
    best = project.best(runtime, pack.runtimes, pack.excluded)
    if best:
        found.download(pack.pattern.replace(_RID, best), pack.version)
    else:
        found.unclear(f"which {pack.name} {project.framework.short} has for {runtime}: the SDK knows none")


def _add_windows_sdk(project: SdkProject, found: Found) -> None:
    platform, version = NuGetVersion(*project.framework.platform[1]), project.framework.version
    fitting = [
        each
        for each in project.sdk.windows
        if NuGetVersion.parse(each.platform) == platform and each.since.version <= version
    ]
    if fitting:
        newest = max(fitting, key=lambda each: each.since.version)
        found.download("Microsoft.Windows.SDK.NET.Ref", newest.version)


def add_old_core(project: SdkProject, found: Found) -> None:
    """Until .NET Core 2.2, the framework is a package."""
    for each in project.sdk.implicit:
        if each.name == CORE_APP and project.is_for(each.framework):
            version = each.latest if project.is_self_contained else each.default
            found.reference(each.name, version, is_private=project.framework.version >= (2, 0, 0, 0))
