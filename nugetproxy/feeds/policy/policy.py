"""The policy of a server: its rules, and what they are evaluated with."""

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nugetproxy.feeds.policy.facts import PackageFacts
from nugetproxy.feeds.policy.memory import PolicyMemory
from nugetproxy.feeds.policy.rules import Rule
from nugetproxy.feeds.policy.trust import NOBODY, ConfiguredTrust
from nugetproxy.feeds.policy.verdicts import Exemptions
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.signature_verification import SignatureTrust
from nugetproxy.nuget.version import NuGetVersion


class Observer(Protocol):
    """Is told what the policy does. Called often: must return immediately."""

    def refused(self, package: PackageIdentity, rule: str) -> None:
        """A download was refused."""

    def hidden(self, rule: str, count: int) -> None:
        """That many versions were left out of a list."""

    def warned(self, package_id: PackageId, rule: str, count: int) -> None:
        """A rule that only warns is about that many versions of a list."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules, and what they are evaluated with.

    `revision` differs after any change of exceptions; `exemptions(lower_id)` returns those of an id. `kept` returns the
    versions of an id that are on our disk. `inspect` reads a package file in another thread; it raises NugetproxyError
    or OSError. `trust` is added to what the feed publishes.
    """

    rules: tuple[Rule, ...]
    memory: PolicyMemory
    revision: Callable[[], int]
    exemptions: Callable[[str], Awaitable[Exemptions]]
    kept: Callable[[PackageId], Collection[NuGetVersion]]
    inspect: Callable[[Path, SignatureTrust], Awaitable[PackageFacts]]
    observer: Observer
    trust: ConfiguredTrust = NOBODY
    clock: Callable[[], float] = time.time
