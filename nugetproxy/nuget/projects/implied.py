"""What the SDK adds to a target framework: asks `nuget/closure/sdk.py` with the properties of the project."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.closure.model import Target
from nugetproxy.nuget.closure.sdk import implied
from nugetproxy.nuget.closure.sdk_facts import SdkFacts
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.projects.msbuild.evaluation import Evaluation
from nugetproxy.nuget.projects.msbuild.values import listed
from nugetproxy.nuget.version import NuGetVersion

_EXECUTABLE: Final = frozenset({"exe", "winexe"})
_ANALYSED: Final = ("IsTrimmable", "IsAotCompatible", "EnableSingleFileAnalyzer")
_IMPLICIT: Final = "Microsoft.NETCore.App"


def with_implied(
    target: Target,
    evaluation: Evaluation,
    sdk: SdkFacts | None,
    *,
    also_for: Sequence[str],
    prunes_by_default: bool,
    unknown: Callable[[str], None],
) -> Target:
    """The target with what the SDK adds. What the project names itself wins; `unknown` gets sentences for people.

    `also_for` are runtimes to add to those of the evaluation, which are those of this framework alone.
    `prunes_by_default`: a target framework of the project is .NET 10 or later.
    """
    if sdk is None or not evaluation.is_true("UsingMicrosoftNETSdk"):
        return target
    references = [item.spec for item in evaluation.items.get("frameworkreference", ())]
    uses_desktop = evaluation.is_true("UseWPF") or evaluation.is_true("UseWindowsForms")
    if uses_desktop and target.framework.identifier == ".NETCoreApp":
        references.append("Microsoft.WindowsDesktop.App")
    added = implied(
        target.framework,
        sdk=sdk,
        self_contained=evaluation.is_true("SelfContained") or evaluation.is_true("PublishSelfContained"),
        runtime=evaluation.text("RuntimeIdentifier"),
        runtimes=tuple(dict.fromkeys([*listed(evaluation.text("RuntimeIdentifiers")), *also_for])),
        aot=evaluation.is_true("PublishAot"),
        trimmed=evaluation.is_true("PublishTrimmed"),
        ready_to_run=evaluation.is_true("PublishReadyToRun"),
        analysed=any(map(evaluation.is_true, _ANALYSED)),
        output_exe=evaluation.text("OutputType").lower() in _EXECUTABLE
        and evaluation.text("UseAppHost").lower() != "false",
        framework_references=tuple(dict.fromkeys(each for each in references if each != _IMPLICIT)),
        language=evaluation.text("Language") or "C#",
    )
    for sentence in added.unknown:
        unknown(sentence)
    known = {each.id.lower for each in target.references}
    are_implicit = evaluation.text("DisableImplicitFrameworkReferences").lower() != "true"
    return replace(
        target,
        references=(
            *target.references,
            *(each for each in added.references if are_implicit and each.id.lower not in known),
        ),
        downloads=tuple(dict.fromkeys((*target.downloads, *added.downloads))),
        pruned=_pruned(evaluation, added.pruned, prunes_by_default),
    )


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
