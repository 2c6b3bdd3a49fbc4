"""Verdicts: what the rules together say about the versions of an id. Pure.

Precedence: an exception made for one version (`nugetproxy policy allow`) wins over everything; a rule that allows wins
over all rules that block; of those that block and are enforced, the first in the order of the settings is named. A rule
that blocks and cannot be evaluated withholds; a rule that allows and cannot be evaluated does not allow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from nugetproxy.feeds.policy.facts import Facts
from nugetproxy.feeds.policy.rules import Match, Met, Rule, match_version
from nugetproxy.nuget.version import NuGetVersion


class State(StrEnum):
    VISIBLE = "visible"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Exemption:
    """One version that somebody allowed, until a time (seconds since the epoch)."""

    until: float
    because: str
    by: str


Exemptions = Mapping[NuGetVersion, Exemption]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one version. The times are in seconds since the epoch, None if unknown.

    `rule` is the rule that withholds it, or that allows it although another would withhold it; `why` completes
    "it ...". `is_evaluated` is false if the rule withholds it only because a fact is unknown. `warnings` are rules of
    mode "warn" that it matches, with the reasons. `needs_file`: it is visible until the package file has been read.
    `changes` is when time alone may change the verdict.
    """

    state: State = State.VISIBLE
    rule: str = ""
    why: str = ""
    because: str = ""
    since: float | None = None
    until: float | None = None
    is_evaluated: bool = True
    exemption: Exemption | None = None
    warnings: tuple[tuple[str, str], ...] = ()
    needs_file: bool = False
    changes: float | None = None

    @property
    def is_withheld(self) -> bool:
        return self.state is State.WITHHELD


VISIBLE: Final = Verdict()


def judge(
    facts: Facts, rules: Iterable[Rule], exemption: Exemption | None, now: float, *, has_file: bool = False
) -> Verdict:
    """The verdict on one version alone, by rules that may match its id.

    `has_file`: its package file was read, as far as it can be.
    """
    if exemption is not None and now < exemption.until:
        return Verdict(because=exemption.because, exemption=exemption, until=exemption.until, changes=exemption.until)
    every = ((rule, match_version(rule, facts, now, has_file=has_file)) for rule in rules)
    results = [(rule, found) for rule, found in every if found.met is not Met.NO or found.changes is not None]
    if not results:
        return VISIBLE
    changes = min((found.changes for _, found in results if found.changes is not None), default=None)
    allowing = next((each for each in results if not each[0].is_block and each[1].met is Met.YES), None)
    if allowing is not None:
        rule, found = allowing
        return Verdict(rule=rule.name, why=found.why, because=rule.because, until=found.until, changes=changes)
    blocking = [each for each in results if each[0].is_block and each[1].met in (Met.YES, Met.UNKNOWN)]
    warnings = tuple((rule.name, found.why) for rule, found in blocking if not rule.is_enforced)
    enforced = [each for each in blocking if each[0].is_enforced]
    if not enforced:
        needs_file = any(rule.is_block and found.met is Met.LATER for rule, found in results)
        return Verdict(warnings=warnings, needs_file=needs_file, changes=changes)
    rule, found = next((each for each in enforced if each[1].met is Met.YES), enforced[0])
    return Verdict(
        State.WITHHELD,
        rule.name,
        found.why,
        rule.because,
        found.since if found.since is not None else facts.first_seen,
        # Another rule may withhold it for longer.
        _last_end(each[1] for each in enforced),
        found.met is Met.YES,
        warnings=warnings,
        changes=changes,
    )


def judge_all(
    versions: Sequence[Facts], rules: Sequence[Rule], exemptions: Exemptions, now: float
) -> dict[NuGetVersion, Verdict]:
    """The verdicts on all versions of an id.

    A version that only its age withholds is visible if it fixes something: an advisory that the newest visible version
    has, and it has not.
    """
    verdicts = {each.version: judge(each, rules, exemptions.get(each.version), now) for each in versions}
    others = [rule for rule in rules if not rule.younger_than]
    if len(others) == len(rules):
        return verdicts
    visible = [each for each in versions if not verdicts[each.version].is_withheld]
    newest = max(visible, key=lambda each: each.version, default=None)
    if newest is None or not newest.advisories:
        return verdicts
    for each in versions:
        if each.version > newest.version and verdicts[each.version].is_withheld and _fixes(each, newest):
            without_age = judge(each, others, None, now)
            if not without_age.is_withheld:
                why = f"fixes a known vulnerability of {newest.version}"
                verdicts[each.version] = replace(without_age, why=why, changes=verdicts[each.version].changes)
    return verdicts


def _fixes(facts: Facts, newest: Facts) -> bool:
    if facts.advisories is None or newest.advisories is None:
        return False
    left = {each.url for each in facts.advisories}
    return any(each.url not in left for each in newest.advisories)


def _last_end(matches: Iterable[Match]) -> float | None:
    ends = [each.until for each in matches]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None
