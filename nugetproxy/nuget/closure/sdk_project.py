"""A project as the rules of the SDK see it: what it states, and what the SDK derives from that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from nugetproxy.nuget.closure.runtimes import sdk_graph
from nugetproxy.nuget.closure.sdk_facts import Known, SdkFacts
from nugetproxy.nuget.framework import Framework

WITHOUT_HOST: Final = ("ios", "tvos", "maccatalyst", "android", "browser", "wasi")
"""Runtime identifiers that begin so have no host."""


@dataclass(frozen=True, slots=True)
class SdkProject:
    """The arguments of `implied`, and what the SDK derives from them."""

    framework: Framework
    sdk: SdkFacts
    self_contained: bool | None
    stated_runtime: str
    stated_runtimes: tuple[str, ...]
    aot: bool
    trimmed: bool
    ready_to_run: bool
    single_file: bool
    analysed: bool
    aot_compatible: bool
    output_exe: bool
    uses_host: bool
    windows_targeting: bool
    web_assets: bool
    transitive: bool
    framework_references: tuple[str, ...]

    @property
    def is_self_contained(self) -> bool:
        if self.self_contained is not None:
            return self.self_contained
        # Until .NET 7, a runtime identifier was enough.
        is_old = self.framework.identifier == ".NETCoreApp" and self.framework.version < (8, 0, 0, 0)
        return is_old and self.output_exe and bool(self.stated_runtime)

    @property
    def runtime(self) -> str:
        if not self.stated_runtime and self.is_self_contained and self.output_exe:
            return self.sdk.host
        return self.stated_runtime

    @property
    def published_runtime(self) -> str:
        """The runtime identifier that publishing needs when none is stated."""
        publishes = self.ready_to_run or self.trimmed or self.single_file or self.aot
        return self.sdk.host if publishes and self.output_exe and not self.runtime else ""

    @property
    def runtimes(self) -> tuple[str, ...]:
        all_of_them = (*self.stated_runtimes, self.published_runtime)
        return tuple(dict.fromkeys(each for each in all_of_them if each))

    @property
    def runs_on(self) -> tuple[str, ...]:
        """The runtime identifiers whose runtime packs are needed."""
        is_deployed = self.is_self_contained or self.ready_to_run or self.needs_linker
        return tuple(dict.fromkeys((*((self.runtime,) if is_deployed and self.runtime else ()), *self.runtimes)))

    @property
    def needs_linker(self) -> bool:
        analyses_single_file = self.single_file and self.framework.version >= (6, 0, 0, 0)
        return self.aot or self.trimmed or self.analysed or self.aot_compatible or analyses_single_file

    @property
    def has_host(self) -> bool:
        return self.output_exe and self.uses_host and not self.runtime.startswith(WITHOUT_HOST)

    def knows(self, kind: str) -> Iterator[Known]:
        return (each for each in self.sdk.known if each.kind == kind and self.is_for(each.framework))

    def best(self, runtime: str, offered: Sequence[str], excluded: Sequence[str] = ()) -> str:
        """The nearest of the offered runtime identifiers; empty when there is none."""
        for each in sdk_graph(self.framework).expanded(runtime):
            if each in offered:
                return each
            if each in excluded:
                return ""
        return ""

    def is_for(self, known: Framework) -> bool:
        """Whether what the SDK knows for a framework is meant for that of the project, whatever its platform."""
        return known.identifier == self.framework.identifier and known.version == self.framework.version
