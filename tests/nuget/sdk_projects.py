"""Projects as sets of properties, made from a seed, and what our rules say that an SDK adds to them."""

import random

from nugetproxy.nuget.closure.sdk import Implied, implied
from nugetproxy.nuget.closure.sdk_facts import SdkFacts
from nugetproxy.nuget.framework import find_framework

PROPERTIES = (
    "TargetFramework",
    "OutputType",
    "SelfContained",
    "RuntimeIdentifier",
    "RuntimeIdentifiers",
    "PublishAot",
    "PublishTrimmed",
    "PublishReadyToRun",
    "PublishSingleFile",
    "IsTrimmable",
    "IsAotCompatible",
    "EnableSingleFileAnalyzer",
    "UseAppHost",
    "EnableWindowsTargeting",
)
_CORE = "net10.0 net9.0 net8.0 net7.0 net6.0 net5.0 netcoreapp3.1"
_OLD = (
    "netcoreapp3.0 netcoreapp2.2 netcoreapp2.1 netcoreapp2.0 netcoreapp1.0 netstandard1.3 netstandard2.0 netstandard2.1"
)
_FULL = "net45 net462 net472 net48"
_WINDOWS = (
    "windows windows7.0 windows8.0 windows10.0.18362.0 windows10.0.19041.0 windows10.0.22000.0 windows10.0.26100.0"
)
_RUNTIMES = (
    "linux-x64 linux-arm64 linux-musl-x64 win-x64 win-arm64 win-x86 osx-x64 osx-arm64 linux-arm linux-musl-arm64"
)
_SHARED = "AspNetCore.App AspNetCore.App WindowsDesktop.App WindowsDesktop.App.WPF WindowsDesktop.App.WindowsForms"
_SOMETIMES = {
    "SelfContained": 0.2,
    "PublishAot": 0.12,
    "PublishTrimmed": 0.15,
    "PublishReadyToRun": 0.15,
    "PublishSingleFile": 0.12,
    "IsTrimmable": 0.05,
    "IsAotCompatible": 0.05,
    "EnableSingleFileAnalyzer": 0.04,
}


def made(seed: int, count: int) -> list[dict[str, str]]:
    """Projects by their properties. `FrameworkReference` is one, without `Microsoft.`."""
    chance = random.Random(seed)
    return [_project(chance) for _ in range(count)]


def _project(chance: random.Random) -> dict[str, str]:
    framework = chance.choice([*_CORE.split() * 3, *_OLD.split(), *_FULL.split()])
    project = {"OutputType": chance.choice(["Exe", "Exe", "Library", "WinExe"])}
    if framework in _CORE and framework.startswith("net") and framework[3].isdigit() and chance.random() < 0.15:
        framework = f"{framework}-{chance.choice(_WINDOWS.split())}"
        project["EnableWindowsTargeting"] = "true"
    project["TargetFramework"] = framework
    if chance.random() < 0.4:
        project["RuntimeIdentifier"] = chance.choice(_RUNTIMES.split())
    if chance.random() < 0.3:
        project["RuntimeIdentifiers"] = ";".join(chance.sample(_RUNTIMES.split(), chance.randint(1, 3)))
    project |= {name: "true" for name, likely in _SOMETIMES.items() if chance.random() < likely}
    if chance.random() < 0.08:
        project["SelfContained"] = "false"
    if chance.random() < 0.07:
        project["UseAppHost"] = "false"
    if chance.random() < 0.25:
        project["FrameworkReference"] = chance.choice(_SHARED.split())
    if "Windows" in project.get("FrameworkReference", "") or chance.random() < 0.05:
        project["EnableWindowsTargeting"] = "true"
    return project


def implied_for(project: dict[str, str], sdk: SdkFacts) -> Implied:
    framework = find_framework(project["TargetFramework"])
    assert framework is not None
    shared = project.get("FrameworkReference")
    return implied(
        framework,
        sdk=sdk,
        self_contained=_stated(project, "SelfContained"),
        runtime=project.get("RuntimeIdentifier", ""),
        runtimes=project["RuntimeIdentifiers"].split(";") if "RuntimeIdentifiers" in project else (),
        aot="PublishAot" in project,
        trimmed="PublishTrimmed" in project,
        ready_to_run="PublishReadyToRun" in project,
        single_file="PublishSingleFile" in project,
        analysed="IsTrimmable" in project or "EnableSingleFileAnalyzer" in project,
        aot_compatible="IsAotCompatible" in project,
        output_exe=project["OutputType"] != "Library",
        uses_host=project.get("UseAppHost") != "false",
        windows_targeting=_stated(project, "EnableWindowsTargeting"),
        framework_references=[f"Microsoft.{shared}"] if shared else (),
    )


def _stated(project: dict[str, str], name: str) -> bool | None:
    return project[name] == "true" if name in project else None


def lines(added: Implied) -> set[str]:
    """Downloads as `Id [1.0.0]`, references as `Id 1.0.0`, with `private` if they are."""
    downloads = {f"{each.id} [{each.version.normalized}]".lower() for each in added.downloads}
    return downloads | {
        f"{each.id} {each.range.minimum}{' private' if each.is_private else ''}".lower()
        for each in added.references
        if each.range is not None
    }
