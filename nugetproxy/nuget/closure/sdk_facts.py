"""The facts about one version of the .NET SDK that a closure depends on: what it bundles, and which packs it knows.

What follows from them is in `sdk.py`, how an installed SDK is read in `sdk_folder.py`. The shipped tables are written
by `scripts/sdk-facts`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final

import orjson

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.nuget.version import NuGetVersion

DEFAULT_HOST: Final = "linux-x64"
_CORE: Final = "microsoft.netcore.app.ref"
_DESKTOP: Final = "microsoft.windowsdesktop.app.ref"
_HIGHEST_PATCH: Final = 32_767


@dataclass(frozen=True, slots=True)
class Known:
    """A pack that the SDK knows for one target framework.

    `kind` is the name of the item without `Known` and `Pack`: `FrameworkReference`, `AppHost`, `Crossgen2`,
    `ILCompiler`, `ILLink`. `pattern` is the name of the pack with `**RID**` in place of one of `runtimes`. Of framework
    references, `pack` and `pack_version` are the targeting pack, and `version` is that of the runtime pack.
    """

    kind: str
    name: str
    framework: Framework
    version: str
    pattern: str = ""
    runtimes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    pack: str = ""
    pack_version: str = ""
    runtime_name: str = ""
    is_windows_only: bool = False
    native_pattern: str = ""


@dataclass(frozen=True, slots=True)
class ImplicitVersion:
    """The version of a package that projects for an old framework reference without one."""

    name: str
    framework: Framework
    default: str
    latest: str


@dataclass(frozen=True, slots=True)
class WindowsSdk:
    """The version of `Microsoft.Windows.SDK.NET.Ref` for a platform version, from a version of .NET on."""

    platform: str
    version: str
    since: Framework


@dataclass(frozen=True, slots=True)
class SdkFacts:
    """One version of the SDK, on one kind of machine. `host` is the runtime identifier of that machine.

    `bundled` are the packs in its folder, as lower id and version. `prune_data` are the packages of a framework, by
    its name and that of the framework reference (`net10.0 Microsoft.NETCore.App`), where the shipped table lacks them.
    """

    version: str
    host: str = DEFAULT_HOST
    known: tuple[Known, ...] = ()
    implicit: tuple[ImplicitVersion, ...] = ()
    windows: tuple[WindowsSdk, ...] = ()
    bundled: frozenset[tuple[str, str]] = frozenset()
    reference_assemblies: str = "1.0.3"
    fsharp_core: str = ""
    prune_data: Mapping[str, Mapping[str, NuGetVersion]] = field(default_factory=dict)

    def bundles(self, package_id: str, version: str) -> bool:
        """Whether the pack comes with the SDK. Host packs are those of the machine it runs on."""
        lower = lower_invariant(package_id)
        if lower == _DESKTOP and self.host.startswith("win"):
            lower = _CORE  # Windows has both.
        return (lower, version) in self.bundled or (lower.replace(self.host, "**rid**"), version) in self.bundled

    def packages_in(self, framework: Framework, references: Iterable[str]) -> dict[str, NuGetVersion]:
        """Lower ids of the packages that a framework contains, with the highest version that it stands for.

        `references` are the names of shared frameworks (`Microsoft.AspNetCore.App`).
        """
        bare = Framework(framework.identifier, framework.version)
        found: dict[str, NuGetVersion] = {}
        for reference in references or ("",):
            key = f"{bare.short} {reference}".strip()
            listed = self.prune_data.get(key) or _shipped_prune_data().get(key, {})
            for package, version in listed.items():
                if package not in found or found[package] < version:
                    found[package] = version
        return found


def covering_patches(version: NuGetVersion) -> NuGetVersion:
    """A framework that contains a version of a package is taken to contain all its patches, except of a prerelease."""
    return version if version.is_prerelease else NuGetVersion(version.major, version.minor, _HIGHEST_PATCH, 0)


def shipped_facts(version: str = "", host: str = DEFAULT_HOST) -> SdkFacts:
    """The facts shipped here for a version of the SDK; by default the newest.

    Raises:
        InvalidRequest: nothing is known about this version; the message names those that are, and the alternative.
    """
    known = _shipped_versions()
    if version and version not in known:
        raise InvalidRequest(
            f"nothing is known about SDK {version}; known: {', '.join(known)}. "
            "For another version, give the directory of an installed SDK"
        )
    return facts_from(_shipped(version or known[-1]), host)


def facts_from(table: Mapping[str, Any], host: str) -> SdkFacts:
    """The facts in a table as `scripts/sdk-facts` writes it."""
    runtimes = [tuple(each.split()) for each in table["runtimes"]]
    return SdkFacts(
        version=table["version"],
        host=host,
        known=tuple(_known(item, runtimes) for item in table["known"]),
        implicit=tuple(
            ImplicitVersion(name, framework, default, latest)
            for name, text, default, latest in table["implicit"]
            if (framework := find_framework(text)) is not None
        ),
        windows=tuple(
            WindowsSdk(platform, package, since)
            for platform, package, text in table["windows"]
            if (since := find_framework(text)) is not None
        ),
        bundled=frozenset((lower_invariant(name), version) for name, version in table["bundled"]),
        reference_assemblies=table["referenceAssemblies"],
        fsharp_core=table.get("fsharpCore", ""),
    )


def _known(item: Mapping[str, Any], runtimes: Sequence[tuple[str, ...]]) -> Known:
    framework = find_framework(item["framework"])
    assert framework is not None
    return Known(
        item["kind"],
        item["name"],
        framework,
        item["version"],
        item.get("pattern", ""),
        runtimes[item["runtimes"]] if "runtimes" in item else (),
        tuple(item.get("excluded", ())),
        item.get("pack", ""),
        item.get("packVersion", ""),
        item.get("runtimeName", ""),
        item.get("windowsOnly", False),
        item.get("nativePattern", ""),
    )


@cache
def _shipped_versions() -> tuple[str, ...]:
    names = (each.name for each in (resources.files(__package__) / "data").iterdir())
    versions = [name[len("sdk-") : -len(".json")] for name in names if name.startswith("sdk-")]
    return tuple(sorted(versions, key=NuGetVersion.parse))


@cache
def _shipped(version: str) -> Mapping[str, Any]:
    table: dict[str, Any] = orjson.loads((resources.files(__package__) / "data" / f"sdk-{version}.json").read_bytes())
    return table


@cache
def _shipped_prune_data() -> dict[str, dict[str, NuGetVersion]]:
    """A section begins with its name, and with that of the section from which it differs in the lines that follow."""
    found: dict[str, dict[str, NuGetVersion]] = {}
    section: dict[str, NuGetVersion] = {}
    for line in (resources.files(__package__) / "data" / "prune.txt").read_text("ascii").splitlines():
        if line.startswith("["):
            name, _, base = line.strip("[]").partition(" < ")
            section = found[name] = dict(found.get(base, {}))
        elif line.startswith("-"):
            del section[line[1:]]
        elif line and not line.startswith("#"):
            package, _, version = line.partition(" ")
            section[package] = NuGetVersion.parse(version)
    return found
