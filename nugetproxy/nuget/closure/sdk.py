"""What an SDK adds to a project that no file names: packs, references, and which packages a framework contains.

`sdk_facts.py` has the facts. The rules are those of the SDK's targets (ProcessFrameworkReferences, ResolveAppHosts and
GetPackagesToPrune of SDK 10), and compared with them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nugetproxy.nuget.closure.model import Reference
from nugetproxy.nuget.closure.sdk_facts import SdkFacts
from nugetproxy.nuget.closure.sdk_packs import CORE_APP, Found, add_old_core, add_packs, add_targeting_packs
from nugetproxy.nuget.closure.sdk_project import SdkProject
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange

_CORE: Final = ".NETCoreApp"
_STANDARD: Final = ".NETStandard"
_FALLBACKS: Final = ("net461", "net462", "net47", "net471", "net472", "net48", "net481")


@dataclass(frozen=True, slots=True)
class Implied:
    """What the SDK adds to one target framework of a project; see `Target` for the meaning of each.

    `versions` are those of packages that the project references without one, by lower id. `unknown` are sentences
    about what the facts do not contain, for a person.
    """

    references: tuple[Reference, ...] = ()
    downloads: tuple[PackageIdentity, ...] = ()
    pruned: Mapping[str, NuGetVersion] = field(default_factory=dict)
    fallbacks: tuple[Framework, ...] = ()
    versions: Mapping[str, VersionRange] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def implied(
    target_framework: Framework,
    *,
    sdk: SdkFacts,
    self_contained: bool | None = None,
    runtime: str = "",
    runtimes: Sequence[str] = (),
    aot: bool = False,
    trimmed: bool = False,
    ready_to_run: bool = False,
    single_file: bool = False,
    analysed: bool = False,
    aot_compatible: bool = False,
    output_exe: bool = False,
    uses_host: bool = True,
    windows_targeting: bool | None = None,
    web_assets: bool = False,
    transitive: bool = True,
    framework_references: Sequence[str] = (),
    language: str = "C#",
) -> Implied:
    """What the SDK adds.

    `runtime` is the project's `RuntimeIdentifier`, `runtimes` its `RuntimeIdentifiers`; `self_contained` is None if
    the project does not state it. `aot`, `trimmed`, `ready_to_run` and `single_file` are `PublishAot` and so on;
    `analysed` is `IsTrimmable` or `EnableSingleFileAnalyzer`, `aot_compatible` is `IsAotCompatible`. `output_exe`:
    `OutputType` is `Exe` or `WinExe`. `uses_host`: `UseAppHost` is not false. `windows_targeting` is
    `EnableWindowsTargeting`, None if not stated; `web_assets` is `RequiresAspNetWebAssets`. `transitive`:
    `DisableTransitiveFrameworkReferenceDownloads` is not true. `framework_references` are those besides
    `Microsoft.NETCore.App`; `language` is `C#`, `F#` or `VB`.
    """
    project = SdkProject(
        framework=target_framework,
        sdk=sdk,
        self_contained=self_contained,
        stated_runtime=runtime,
        stated_runtimes=tuple(runtimes),
        aot=aot,
        trimmed=trimmed,
        ready_to_run=ready_to_run,
        single_file=single_file,
        analysed=analysed,
        aot_compatible=aot_compatible,
        output_exe=output_exe,
        uses_host=uses_host,
        windows_targeting=sdk.host.startswith("win") if windows_targeting is None else windows_targeting,
        web_assets=web_assets,
        transitive=transitive,
        framework_references=tuple(framework_references),
    )
    found = Found(sdk)
    if language == "F#":
        found.add_fsharp()
    version = target_framework.version
    match target_framework.identifier:
        case ".NETCoreApp" if version >= (3, 0, 0, 0):
            add_packs(project, found)
        case ".NETCoreApp":
            add_old_core(project, found)
        case ".NETStandard" if version >= (2, 1, 0, 0):
            add_targeting_packs(project, found)
        case ".NETStandard":
            is_recent = version >= (2, 0, 0, 0)
            found.reference("NETStandard.Library", "2.0.3" if is_recent else "1.6.1", is_private=is_recent)
        case ".NETFramework":
            found.reference("Microsoft.NETFramework.ReferenceAssemblies", sdk.reference_assemblies)
    has_fallbacks = target_framework.identifier in (_CORE, _STANDARD) and version >= (2, 0, 0, 0)
    return Implied(
        tuple(found.references.values()),
        tuple(found.downloads),
        sdk.packages_in(target_framework, _prune_references(project)),
        tuple(each for text in _FALLBACKS if has_fallbacks and (each := find_framework(text)) is not None),
        {
            each.name.lower(): VersionRange.parse(each.latest if project.is_self_contained else each.default)
            for each in sdk.implicit
            if project.is_for(each.framework)
        },
        tuple(found.unknown),
    )


def prunes_by_default(frameworks: Iterable[Framework]) -> bool:
    """Whether the SDK prunes the packages of a project for these frameworks: one of them is .NET 10 or later."""
    return any(each.identifier == _CORE and each.version >= (10, 0, 0, 0) for each in frameworks)


def _prune_references(project: SdkProject) -> Sequence[str]:
    if project.framework.identifier != _CORE or project.framework.version < (3, 0, 0, 0):
        return ()
    profiles = {each.name.lower(): each.runtime_name for each in project.knows("FrameworkReference")}
    names = (profiles.get(each.lower(), each) for each in project.framework_references)
    return tuple(dict.fromkeys((CORE_APP, *names)))
