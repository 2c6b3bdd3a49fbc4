"""What an SDK adds to a project that no file names: packs, references, and which packages a framework contains.

`implied` is the rule; `sdk_facts.py` reads the facts from an SDK or from the tables shipped here.
Source: the SDK's targets (ProcessFrameworkReferences, GetPackagesToPrune), compared with the real ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nugetproxy.nuget.closure.model import Reference
from nugetproxy.nuget.closure.sdk_facts import SdkFacts
from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion


@dataclass(frozen=True, slots=True)
class Implied:
    """What the SDK adds to one target framework of a project; see `Target` for the meaning of each.

    `unknown` are sentences about what the facts do not contain, for a person.
    """

    references: tuple[Reference, ...] = ()
    downloads: tuple[PackageIdentity, ...] = ()
    pruned: Mapping[str, NuGetVersion] = field(default_factory=dict)
    fallbacks: tuple[Framework, ...] = ()
    unknown: tuple[str, ...] = ()


def implied(
    target_framework: Framework,
    *,
    sdk: SdkFacts,
    self_contained: bool = False,
    runtime: str = "",
    runtimes: Sequence[str] = (),
    aot: bool = False,
    trimmed: bool = False,
    ready_to_run: bool = False,
    analysed: bool = False,
    output_exe: bool = False,
    framework_references: Sequence[str] = (),
    language: str = "C#",
) -> Implied:
    """What the SDK adds.

    `runtime` is the project's `RuntimeIdentifier`, `runtimes` its `RuntimeIdentifiers`. `aot`, `trimmed` and
    `ready_to_run` are `PublishAot`, `PublishTrimmed` and `PublishReadyToRun`; `analysed` is any of `IsTrimmable`,
    `IsAotCompatible` and `EnableSingleFileAnalyzer`. `output_exe`: `OutputType` is `Exe` or `WinExe` and `UseAppHost`
    is not false. `framework_references` are those besides `Microsoft.NETCore.App`.
    """
    return Implied()
