"""What clients may be told: the values that things had while a request ran, and the digest of every package ever made.

Everything changes while requests run, so a request is judged by all the values that were possible meanwhile.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")

Package = tuple[str, str]
"""The lower-case id and version."""


class Possible(Generic[T]):
    """A value that changes. While a change is being made, the old and the new one are both possible."""

    def __init__(self, value: T) -> None:
        self.now = value
        self._values: list[tuple[float, T]] = [(inf, value)]  # until when each was possible

    def change(self, value: T) -> None:
        """From now on `value` is possible, too."""
        self.now = value
        self._values.append((inf, value))

    def settle(self) -> None:
        """From now on only the newest value is possible."""
        moment = time.monotonic()
        self._values = [(min(end, moment), value) for end, value in self._values[:-1] if end > moment - 120]
        self._values.append((inf, self.now))

    def since(self, moment: float) -> list[T]:
        """What was possible at any time since `moment` (of time.monotonic)."""
        return [value for end, value in self._values if end >= moment]


@dataclass(frozen=True)
class Policy:
    """The rules and exceptions in effect."""

    range: tuple[str, ...]
    """Versions of risky ids that begin with one of these are withheld."""
    allowed: frozenset[Package] = frozenset()
    licensed: frozenset[Package] = frozenset()
    """Withheld by their licence."""

    def withholds(self, package: Package) -> bool:
        if not package[0].startswith("risky.") or package in self.allowed:
            return False
        return package in self.licensed or package[1].startswith(self.range)


@dataclass
class Truth:
    """Shared by all actors of a soak."""

    lists: dict[str, Possible[frozenset[str]]] = field(default_factory=dict)
    """The versions by lower-case id, mirrored and hosted."""
    digests: dict[Package, str] = field(default_factory=dict)
    """SHA-256 of every package that ever existed."""
    policy: Possible[Policy] = field(default_factory=lambda: Possible(Policy(())))
    upstream_trouble: Possible[bool] = field(default_factory=lambda: Possible(False))
    server_trouble: Possible[bool] = field(default_factory=lambda: Possible(False))
    """While a worker is being killed."""
    findings: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def found(self, what: str) -> None:
        self.findings.append(what)
        print(f"FOUND at {datetime.now(UTC):%H:%M:%S.%f}: {what}", flush=True)

    def is_hosted(self, lower_id: str) -> bool:
        return lower_id.startswith("contoso.")

    def may_fail(self, lower_id: str, since: float) -> bool:
        """Whether requests about this id since then may have failed for a reason."""
        troubled = any(self.server_trouble.since(since))
        return troubled or (not self.is_hosted(lower_id) and any(self.upstream_trouble.since(since)))

    def judge_list(self, lower_id: str, versions: set[str], since: float, where: str) -> None:
        """A list that was requested at `since` and has just arrived."""
        states, policies = self.lists[lower_id].since(since), self.policy.since(since)
        for version in versions - frozenset().union(*states):
            self.found(f"{where}: {lower_id} {version} is listed, but nobody has it")
        for version in frozenset.intersection(*states) - versions:
            if not any(policy.withholds((lower_id, version)) for policy in policies):
                self.found(f"{where}: {lower_id} {version} is missing from a list")
        self.judge_shown(lower_id, versions, since, where)

    def judge_shown(self, lower_id: str, versions: set[str], since: float, where: str) -> None:
        """Whatever was shown must not have been withheld all the time."""
        for version in versions:
            if all(policy.withholds((lower_id, version)) for policy in self.policy.since(since)):
                self.found(f"{where}: {lower_id} {version} is withheld, but shown")

    def judge_refusal(self, package: Package, status: int, reason: str, since: float) -> None:
        """An answer to a download that is not its bytes."""
        lower_id, version = package
        self.counts[f"status {status}"] += 1
        was_absent = any(version not in state for state in self.lists[lower_id].since(since))
        if status == 403 and any(policy.withholds(package) for policy in self.policy.since(since)):
            return
        if was_absent and (status == 404 or (status == 403 and lower_id.startswith("risky."))):
            return  # without an entry in the registration, its licence is unknown
        if status in (502, 503, 504) and self.may_fail(lower_id, since):
            return
        self.found(f"{lower_id} {version} was answered with {status} {reason}")
