"""Read the facts about an SDK from the directory in which it is installed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lxml import etree

from nugetproxy.errors import InvalidRequest, InvalidVersion
from nugetproxy.nuget.closure.sdk_facts import DEFAULT_HOST, SdkFacts, covering_patches, facts_from, shipped_facts
from nugetproxy.nuget.elements import local_name
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.nuget.version import NuGetVersion

_BUNDLED_VERSIONS: Final = "Microsoft.NETCoreSdk.BundledVersions.props"
_HOST: Final = "NETCoreSdkPortableRuntimeIdentifier"
_LARGEST: Final = 16 * 1024 * 1024
_REFERENCE_ASSEMBLIES: Final = re.compile(
    r"<MicrosoftNETFrameworkReferenceAssembliesLatestPackageVersion>([0-9.]+)</", re.ASCII
)
_FSHARP_CORE: Final = re.compile(r"FSharp\.Core\.(\d[^/]*)\.nupkg", re.ASCII)
_KINDS: Final = {
    "KnownFrameworkReference": "FrameworkReference LatestRuntimeFrameworkVersion RuntimePack",
    "KnownAppHostPack": "AppHost AppHostPackVersion AppHost",
    "KnownCrossgen2Pack": "Crossgen2 Crossgen2PackVersion Crossgen2",
    "KnownILCompilerPack": "ILCompiler ILCompilerPackVersion ILCompiler",
    "KnownILLinkPack": "ILLink ILLinkPackVersion ILLink",
}
"""Of each kind of item: our name, the attribute with the version of the pack, the prefix of its other attributes."""


def find_facts(text: str, host: str = "") -> SdkFacts:
    """The facts about the SDK that a user names: a version (`10.0.401`), or the directory of an installed one.

    Raises:
        InvalidRequest: as `shipped_facts`, or the directory has no SDK that can be read.
    """
    if "/" in text or "\\" in text or (text and Path(text).is_dir()):
        return folder_facts(Path(text), host)
    return shipped_facts(text, host or DEFAULT_HOST)


def folder_facts(folder: Path, host: str = "") -> SdkFacts:
    """The facts in the directory of one SDK (`dotnet/sdk/10.0.401`), or of the newest below a root (`dotnet`).

    Raises:
        InvalidRequest: there is none, or it cannot be read.
    """
    sdk = sdk_folder(folder)
    try:
        return _with_prune_data(sdk, facts_from(read_table(sdk), host or _host(sdk)))
    except (OSError, UnicodeDecodeError, etree.XMLSyntaxError, KeyError, InvalidVersion) as error:
        raise InvalidRequest(f"{sdk}: the SDK cannot be read: {error}") from error


def read_table(sdk: Path) -> dict[str, Any]:
    """What the files of an SDK say, in the form of the shipped tables."""
    root = _root(sdk / _BUNDLED_VERSIONS)
    properties = {local_name(each): (each.text or "").strip() for each in root.iter() if len(each) == 0}
    runtimes: dict[str, int] = {}
    known, implicit, windows = [], [], []
    for item in root.iter():
        name, attributes = local_name(item), {str(key): str(value) for key, value in item.attrib.items()}
        if name in _KINDS and not attributes.get("RuntimePackLabels"):
            known.append(_known(name, attributes, runtimes))
        elif name == "ImplicitPackageReferenceVersion":
            framework = f"netcoreapp{attributes['TargetFrameworkVersion']}"
            implicit.append(
                [attributes["Include"], framework, attributes["DefaultVersion"], attributes["LatestVersion"]]
            )
        elif name == "WindowsSdkSupportedTargetPlatformVersion" and "WindowsSdkPackageVersion" in attributes:
            since = f"net{attributes['MinimumNETVersion']}"
            windows.append([attributes["Include"], attributes["WindowsSdkPackageVersion"], since])
    return {
        "version": properties["NETCoreSdkVersion"],
        "bundled": sorted(_bundled(sdk, _host(sdk))),
        "referenceAssemblies": _reference_assemblies(sdk / "Sdks/Microsoft.NET.Sdk/targets/Microsoft.NET.Sdk.props"),
        "fsharpCore": _fsharp_core(sdk),
        "implicit": implicit,
        "windows": windows,
        "runtimes": list(runtimes),
        "known": known,
    }


def _known(name: str, attributes: Mapping[str, str], lists: dict[str, int]) -> dict[str, Any]:
    kind, version, prefix = _KINDS[name].split()
    pattern = attributes.get(f"{prefix}NamePatterns") or attributes.get(f"{prefix}PackNamePattern")
    runtimes = attributes.get(f"{prefix}RuntimeIdentifiers")
    found: dict[str, Any] = {
        "kind": kind,
        "name": attributes["Include"],
        "framework": attributes["TargetFramework"],
        "version": attributes.get(version, ""),
    }
    if pattern:
        found["pattern"] = pattern
    if runtimes:
        found["runtimes"] = lists.setdefault(" ".join(runtimes.split(";")), len(lists))
    excluded = attributes.get("RuntimePackExcludedRuntimeIdentifiers") or attributes.get("ExcludedRuntimeIdentifiers")
    if excluded:
        found["excluded"] = excluded.split(";")
    if kind == "FrameworkReference":
        found["pack"] = attributes["TargetingPackName"]
        found["packVersion"] = attributes["TargetingPackVersion"]
        found["runtimeName"] = attributes.get("RuntimeFrameworkName", "")
        found["windowsOnly"] = attributes.get("IsWindowsOnly", "").lower() == "true"
    if attributes.get("ILCompilerRuntimePackNamePattern"):
        found["nativePattern"] = attributes["ILCompilerRuntimePackNamePattern"]
    return found


def _bundled(sdk: Path, host: str) -> Iterator[tuple[str, str]]:
    """The packs beside the SDK. Those of its host are named for any host: another one has its own."""
    for pack in sdk.glob("../../packs/*/*"):
        if pack.is_dir():
            yield pack.parent.name.replace(host, "**RID**"), pack.name


def _with_prune_data(sdk: Path, facts: SdkFacts) -> SdkFacts:
    """The lists of newer frameworks are files; those up to .NET 9 are compiled into the SDK, and shipped here."""
    found: dict[str, dict[str, NuGetVersion]] = {}
    for file in sdk.glob("PrunePackageData/*/*/PackageOverrides.txt"):
        found[f"net{file.parent.parent.name} {file.parent.name}"] = _overrides(file)
    for file in sdk.glob("../../packs/*.App.Ref/*/data/PackageOverrides.txt"):
        pack = file.parent.parent
        numbers = pack.name.split(".")
        if int(numbers[0]) >= 10:
            found.setdefault(f"net{numbers[0]}.{numbers[1]} {pack.parent.name.removesuffix('.Ref')}", _overrides(file))
    return replace(facts, prune_data=found)


def _overrides(file: Path) -> dict[str, NuGetVersion]:
    lines = (line.strip().partition("|") for line in file.read_text("utf-8-sig").splitlines())
    return {lower_invariant(name): covering_patches(NuGetVersion.parse(text)) for name, _, text in lines if text}


def sdk_folder(folder: Path) -> Path:
    """The directory of the SDK itself; raises InvalidRequest if there is none."""
    if (folder / _BUNDLED_VERSIONS).is_file():
        return folder
    found = [each.parent for each in folder.glob(f"sdk/*/{_BUNDLED_VERSIONS}")]
    if not found:
        raise InvalidRequest(f"{folder}: no .NET SDK there; expected {_BUNDLED_VERSIONS} in it or in sdk/VERSION below")
    return max(found, key=lambda each: NuGetVersion.parse(each.name))


def _host(sdk: Path) -> str:
    root = _root(sdk / _BUNDLED_VERSIONS)
    return next(
        (each.text or "" for each in root.iter() if local_name(each) == "NETCoreSdkPortableRuntimeIdentifier"), ""
    )


def _root(file: Path) -> etree._Element:
    data = file.read_bytes()
    if len(data) > _LARGEST:
        raise OSError(f"{file.name} has {len(data)} bytes, more than {_LARGEST}")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    return etree.fromstring(data, parser)


def _reference_assemblies(file: Path) -> str:
    found = _REFERENCE_ASSEMBLIES.search(file.read_text("utf-8-sig"))
    return found[1] if found else SdkFacts("").reference_assemblies


def _fsharp_core(sdk: Path) -> str:
    names = (each.name for each in sorted(sdk.glob("FSharp/library-packs/*.nupkg")))
    return next((found[1] for name in names if (found := _FSHARP_CORE.fullmatch(name))), "")
