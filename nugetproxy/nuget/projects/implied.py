"""What the SDK adds to a target framework: asks `nuget/closure/sdk.py` with the properties of the project."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from nugetproxy.errors import InvalidRequest, InvalidVersion
from nugetproxy.nuget.closure.model import Reference, Target
from nugetproxy.nuget.closure.sdk import Implied, implied
from nugetproxy.nuget.closure.sdk_facts import SdkFacts
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.projects.msbuild.evaluation import Evaluation
from nugetproxy.nuget.projects.msbuild.sdk_parts import WITHOUT_PACKAGES_OF_THEIR_OWN
from nugetproxy.nuget.projects.msbuild.values import listed
from nugetproxy.nuget.projects.texts import one_line
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import ANY_VERSION, VersionRange

_IMPLICIT: Final = "Microsoft.NETCore.App"
_OF_THE_RUNTIME: Final = frozenset(
    {"microsoft.netcore.app", "microsoft.dotnet.ilcompiler", "microsoft.net.illink.tasks"}
)
_FRAMEWORK_PACKAGES: Final = frozenset({"microsoft.netcore.app", "netstandard.library"})
_REFERENCE_ASSEMBLIES: Final = "microsoft.netframework.referenceassemblies"


def with_implied(
    target: Target,
    evaluation: Evaluation,
    sdk: SdkFacts | None,
    *,
    also_for: Sequence[str],
    is_blazor: bool,
    prunes_by_default: bool,
    unknown: Callable[[str], None],
) -> Target:
    """The target with what the SDK adds. What the project names itself wins; `unknown` gets sentences for people.

    `also_for` are runtimes to add to those of the evaluation, which are those of this framework alone.
    `is_blazor`: a project of the web SDK with `.razor` files, which needs the scripts of Blazor.
    `prunes_by_default`: a target framework of the project is .NET 10 or later.
    """
    if sdk is None or not evaluation.is_true("UsingMicrosoftNETSdk"):
        return target
    references = [item.spec for item in evaluation.items.get("frameworkreference", ())]
    uses_desktop = evaluation.is_true("UseWPF") or evaluation.is_true("UseWindowsForms")
    if uses_desktop and target.framework.identifier == ".NETCoreApp":
        references.append("Microsoft.WindowsDesktop.App")
    host = evaluation.text("NETCoreSdkPortableRuntimeIdentifier")
    added = implied(
        target.framework,
        sdk=replace(sdk, host=host) if host else sdk,
        self_contained=evaluation.is_true("SelfContained") or evaluation.is_true("PublishSelfContained"),
        runtime=evaluation.text("RuntimeIdentifier"),
        runtimes=tuple(dict.fromkeys([*listed(evaluation.text("RuntimeIdentifiers")), *also_for])),
        aot=evaluation.is_true("PublishAot"),
        trimmed=evaluation.is_true("PublishTrimmed"),
        ready_to_run=evaluation.is_true("PublishReadyToRun"),
        single_file=evaluation.is_true("PublishSingleFile"),
        analysed=evaluation.is_true("IsTrimmable") or evaluation.is_true("EnableSingleFileAnalyzer"),
        aot_compatible=evaluation.is_true("IsAotCompatible"),
        output_exe=evaluation.is_true("HasRuntimeOutput"),
        uses_host=not _is_false(evaluation, "UseAppHost"),
        windows_targeting=evaluation.is_true("EnableWindowsTargeting") or None,
        web_assets=evaluation.is_true("RequiresAspNetWebAssets")
        or (is_blazor and not _is_false(evaluation, "RequiresAspNetWebAssets")),
        transitive=not evaluation.is_true("DisableTransitiveFrameworkReferenceDownloads"),
        framework_references=tuple(dict.fromkeys(each for each in references if each != _IMPLICIT)),
        language=evaluation.text("Language") or "C#",
    )
    if stated := evaluation.text("RuntimeFrameworkVersion"):
        added = _of_version(added, stated)
    for sentence in added.unknown:
        unknown(sentence)
    known = {each.id.lower for each in target.references} | _unwanted(evaluation)
    has_packs = bool(references) or not _is_without_framework(evaluation)
    return replace(
        target,
        references=(
            *(_versioned(each, target, added) for each in target.references),
            *(each for each in added.references if each.id.lower not in known),
        ),
        downloads=tuple(dict.fromkeys((*target.downloads, *(added.downloads if has_packs else ())))),
        pruned=_pruned(evaluation, added.pruned, prunes_by_default),
    )


def _versioned(reference: Reference, target: Target, added: Implied) -> Reference:
    """The SDK has versions for the shared frameworks of .NET Core 2, which projects reference without one."""
    has_own = reference.range not in (None, ANY_VERSION) or reference.id.lower in target.central
    version = None if has_own else added.versions.get(reference.id.lower)
    if version is None:
        return reference
    return replace(reference, range=version, is_implicit=True, is_private=True)


def _of_version(added: Implied, stated: str) -> Implied:
    """With `RuntimeFrameworkVersion`: it is the version of everything but the packs that are compiled against."""
    try:
        version = NuGetVersion.parse(stated)
    except InvalidVersion:
        sentence = f"RuntimeFrameworkVersion {one_line(stated)} is not one version; the newest known one is taken"
        return replace(added, unknown=(*added.unknown, sentence))
    range_ = VersionRange(version, True)
    return replace(
        added,
        references=tuple(
            replace(each, range=range_) if each.id.lower in _OF_THE_RUNTIME else each for each in added.references
        ),
        downloads=tuple(
            each if each.lower_id.endswith(".ref") else PackageIdentity(each.id, version) for each in added.downloads
        ),
    )


def _unwanted(evaluation: Evaluation) -> frozenset[str]:
    """References that the SDK would add but for a property of the project."""
    found: frozenset[str] = _FRAMEWORK_PACKAGES if _is_without_framework(evaluation) else frozenset()
    if _is_false(evaluation, "AutomaticallyUseReferenceAssemblyPackages"):
        found |= {_REFERENCE_ASSEMBLIES}
    if evaluation.is_true("DisableImplicitFSharpCoreReference"):
        found |= {"fsharp.core"}
    return found


def _is_without_framework(evaluation: Evaluation) -> bool:
    # SDKs that build nothing set the property in their package.
    return evaluation.is_true("DisableImplicitFrameworkReferences") or any(
        sdk.name.lower() in WITHOUT_PACKAGES_OF_THEIR_OWN for sdk in evaluation.sdks
    )


def _is_false(evaluation: Evaluation, name: str) -> bool:
    return evaluation.text(name).lower() == "false"


def _pruned(
    evaluation: Evaluation, by_framework: Mapping[str, NuGetVersion], by_default: bool
) -> dict[str, NuGetVersion]:
    stated = evaluation.text("RestoreEnablePackagePruning").lower()
    if stated != "true" and (stated or not by_default):
        return {}
    found = dict(by_framework)
    for item in evaluation.items.get("prunepackagereference", ()):
        try:
            found[PackageId.parse(item.spec).lower] = NuGetVersion.parse(item.text("Version"))
        except InvalidRequest as error:
            raise InvalidRequest(f"{item.place}: {error}") from error
    return found
