"""Which hosted versions the rules of `hosting.retention` retire. Pure; `retiring` acts on it.

A version is retired by the first rule that concerns it and all of whose conditions are met, unless a rule that keeps
concerns it: those come first, wherever they are in the list.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange


class Action(StrEnum):
    """What a rule does with the versions that it is about."""

    UNLIST = "unlist"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Version:
    """One hosted version. `pushed` in unix microseconds, `size` in bytes."""

    identity: PackageIdentity
    listed: bool
    pushed: int
    downloads: int
    size: int = 0

    @property
    def version(self) -> NuGetVersion:
        return self.identity.version


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `ids` are globs; none for all. A rule that retires has at least one of the two conditions.

    `keep_prereleases`: only prereleases, except the newest so many of each id, by the time of their push. Versions that
    are unlisted already do not count where the rule unlists. 0 is no condition.
    `unused_since` (unix microseconds): only versions pushed before then and never downloaded. None is no condition.
    """

    name: str
    action: Action
    ids: tuple[str, ...] = ()
    versions: VersionRange | None = None
    keep_prereleases: int = 0
    unused_since: int | None = None

    def concerns(self, identity: PackageIdentity) -> bool:
        """Whether its ids and versions include this one."""
        if self.ids and not any_glob_matches(self.ids, identity.lower_id):
            return False
        return self.versions is None or self.versions.satisfies(identity.version)


@dataclass(frozen=True, slots=True)
class Retirement:
    """A version that a rule retires."""

    version: Version
    rule: Rule


def retirements(versions: Iterable[Version], rules: Sequence[Rule]) -> tuple[Retirement, ...]:
    """What the rules retire of one id, in ascending order of versions."""
    ascending = sorted(versions, key=lambda each: each.version)
    keeping = [rule for rule in rules if rule.action is Action.KEEP]
    retired: dict[NuGetVersion, Retirement] = {}
    for rule in rules:
        if rule.action is Action.KEEP:
            continue
        for each in _met(rule, ascending):
            if each.version not in retired and not any(kept.concerns(each.identity) for kept in keeping):
                retired[each.version] = Retirement(each, rule)
    return tuple(retired[each.version] for each in ascending if each.version in retired)


def _met(rule: Rule, versions: Sequence[Version]) -> list[Version]:
    """The versions that meet the conditions of a rule, and that it would change."""
    there = [each for each in versions if each.listed or rule.action is Action.DELETE]
    met = [each for each in there if rule.concerns(each.identity)]
    if rule.keep_prereleases:
        prereleases = sorted((each for each in there if each.version.is_prerelease), key=_age, reverse=True)
        old = {each.version for each in prereleases[rule.keep_prereleases :]}
        met = [each for each in met if each.version in old]
    if rule.unused_since is not None:
        met = [each for each in met if each.pushed < rule.unused_since and not each.downloads]
    return met if rule.keep_prereleases or rule.unused_since is not None else []


def _age(version: Version) -> tuple[int, NuGetVersion]:
    return version.pushed, version.version
