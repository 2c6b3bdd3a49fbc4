"""Rules: which versions one is about. Pure.

A rule is about a version if all conditions that it names are met. A condition about an unknown fact is neither met nor
failed: then the rule cannot be evaluated, and says which fact it lacks. `verdicts` says what follows for a version.
Times and durations are in seconds; times since the epoch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from nugetproxy.config import PolicyRuleSettings, parse_until
from nugetproxy.feeds.policy.facts import Facts, Severity
from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.licences import LicenceList, Standing, when_allowed, when_denied
from nugetproxy.nuget.typosquats import KnownIds
from nugetproxy.nuget.version_range import ANY_VERSION, VersionRange

NO_LICENCES: Final = LicenceList(())
NO_IDS: Final = KnownIds(())


class Met(Enum):
    """Whether a condition, or all conditions of a rule, are met."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    LATER = "later"
    """Only the package file tells, which has not been read."""


@dataclass(frozen=True, slots=True)
class Match:
    """The result of one rule for one version.

    `why` completes "it ..."; `since` is when the rule began to match, `until` when it will stop if nothing else
    changes, None if unknown. `changes` is the next moment at which the result may differ for the passing of time alone.
    """

    met: Met
    why: str = ""
    since: float | None = None
    until: float | None = None
    changes: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be evaluated. The fields are those of `PolicyRuleSettings`."""

    name: str
    is_block: bool = True
    ids: tuple[str, ...] = ()
    except_ids: tuple[str, ...] = ()
    versions: VersionRange = ANY_VERSION
    younger_than: float = 0.0
    first_seen_within: float = 0.0
    severity: Severity | None = None
    grace: float = 0.0
    licences: LicenceList = NO_LICENCES
    licences_except: LicenceList = NO_LICENCES
    unknown_licence_matches: bool = True
    unsigned: bool = False
    install_scripts: bool = False
    looks_like: KnownIds = NO_IDS
    owners: frozenset[str] = frozenset()
    is_enforced: bool = True
    because: str = ""
    until: float | None = None

    @property
    def needs_registration(self) -> bool:
        """Whether it is about facts that the registration of the id states."""
        is_about_licences = bool(self.licences.entries or self.licences_except.entries)
        return bool(self.younger_than) or self.severity is not None or is_about_licences

    @property
    def needs_facts(self) -> bool:
        """Whether it is about more than ids and versions."""
        of_id = bool(self.first_seen_within or self.owners)
        return self.needs_registration or self.needs_file or of_id

    @property
    def needs_file(self) -> bool:
        """Whether it is about facts that only the package file tells."""
        return self.unsigned or self.install_scripts

    def may_match(self, lower_id: str, now: float) -> bool:
        """Whether it can be about any version of an id, as far as the id and the time tell."""
        if self.until is not None and now >= self.until:
            return False
        if self.ids and not any_glob_matches(self.ids, lower_id):
            return False
        if any_glob_matches(self.except_ids, lower_id):
            return False
        return not self.looks_like or bool(self.looks_like.resembled_by(lower_id))


def rule_of(settings: PolicyRuleSettings) -> Rule:
    """The rule that valid settings describe."""
    return Rule(
        name=settings.name,
        is_block=settings.action == "block",
        ids=settings.ids,
        except_ids=settings.except_ids,
        versions=VersionRange.parse(settings.versions),
        younger_than=settings.younger_than,
        first_seen_within=settings.first_seen_within,
        severity=Severity[settings.severity.upper()] if settings.severity else None,
        grace=settings.grace,
        licences=LicenceList(settings.licences),
        licences_except=LicenceList(settings.licences_except),
        unknown_licence_matches=settings.unknown_licence == "match",
        unsigned=settings.unsigned,
        install_scripts=settings.install_scripts,
        looks_like=KnownIds(settings.looks_like),
        owners=frozenset(name.lower() for name in settings.owners),
        is_enforced=settings.mode == "enforce",
        because=settings.because,
        until=parse_until(settings.until) if settings.until else None,
    )


def match(rule: Rule, facts: Facts, now: float, *, has_file: bool = False) -> Match:
    """Whether a rule is about a version at a time. `has_file`: the package file was read, as far as it can be."""
    if not rule.may_match(facts.id.lower, now):
        return _NO
    return match_version(rule, facts, now, has_file=has_file)


def match_version(rule: Rule, facts: Facts, now: float, *, has_file: bool = False) -> Match:
    """As `match`, for a rule that may match the id: an id can have thousands of versions."""
    if rule.versions is not ANY_VERSION and not rule.versions.satisfies(facts.version):
        return _NO
    results: list[Match] = []
    doubt: Match | None = None
    for result in _conditions(rule, facts, now, has_file=has_file):
        if result.met is Met.NO:
            return result  # whatever the others are
        if result.met is not Met.YES and (doubt is None or doubt.met is Met.LATER):
            doubt = result
        results.append(result)
    changes = _earliest((rule.until, *(result.changes for result in results)))
    if doubt is not None:
        return Match(doubt.met, doubt.why, changes=changes)
    return Match(
        Met.YES,
        " and ".join(result.why for result in results) or "has an id and version that the rule names",
        _latest(result.since for result in results),
        _earliest((rule.until, *(result.until for result in results))),
        changes,
    )


_NO: Final = Match(Met.NO)


def _conditions(rule: Rule, facts: Facts, now: float, *, has_file: bool) -> Iterator[Match]:
    """The conditions about facts, in a fixed order."""
    if rule.looks_like:
        # The others are ruled out by `Rule.may_match`.
        resembled = rule.looks_like.resembled_by(facts.id.lower)
        yield Match(Met.YES, f"has an id that can be mistaken for {' or '.join(resembled[:3])}")
    if rule.younger_than:
        yield _younger(facts, rule.younger_than, now)
    if rule.first_seen_within:
        yield _seen_within(facts, rule.first_seen_within, now)
    if rule.severity is not None:
        yield _vulnerable(facts, rule.severity, rule.grace, now)
    if rule.licences.entries or rule.licences_except.entries:
        yield _licensed(facts, rule)
    if rule.owners:
        yield _owned(facts, rule.owners)
    if rule.needs_file:
        yield from _of_file(rule, facts, has_file=has_file)


def _younger(facts: Facts, seconds: float, now: float) -> Match:
    if facts.is_kept or facts.is_pinned:
        return _NO
    began = facts.published if facts.published is not None else facts.first_seen
    if began is None:
        return Match(Met.UNKNOWN, "states no time of publication")
    over = began + seconds
    if now >= over:
        return _NO
    stated = "was published" if facts.published is not None else "states no time of publication and was first seen"
    return Match(Met.YES, f"{stated} less than {_duration(seconds)} ago", began, over, over)


def _seen_within(facts: Facts, seconds: float, now: float) -> Match:
    if facts.is_kept or facts.is_pinned:
        return _NO
    if facts.id_first_seen is None:
        return Match(Met.UNKNOWN, "has no record of when its id was first seen here")
    over = facts.id_first_seen + seconds
    if now >= over:
        return _NO
    return Match(
        Met.YES, f"has an id first seen here less than {_duration(seconds)} ago", facts.id_first_seen, over, over
    )


def _vulnerable(facts: Facts, severity: Severity, grace: float, now: float) -> Match:
    if facts.advisories is None:
        return Match(Met.UNKNOWN, "has no readable list of known vulnerabilities")
    severe = [each for each in facts.advisories if each.severity >= severity]
    # An advisory without a date may be old: it has no grace.
    starts = {each: (each.published or 0.0) + (grace if each.published is not None else 0.0) for each in severe}
    due = [each for each in severe if starts[each] <= now]
    if not due:
        return Match(Met.NO, changes=_earliest(starts.values()))
    worst = max(due, key=lambda each: each.severity)
    since = min(starts[each] for each in due) or None
    return Match(Met.YES, f"has a known vulnerability of severity {worst.severity.name.lower()} ({worst.url})", since)


def _licensed(facts: Facts, rule: Rule) -> Match:
    licence = facts.licence
    if licence is None:
        return Match(Met.UNKNOWN, "has no readable licence")
    why = f"has the licence {licence.stated[:100]}"
    if not rule.is_block:
        standing = when_allowed(licence, rule.licences)
        return Match(Met.YES, why) if standing is Standing.PERMITTED else _NO
    if rule.licences.entries:
        standing = when_denied(licence, rule.licences)
    else:
        standing = when_allowed(licence, rule.licences_except)
    if standing is Standing.DENIED:
        return Match(Met.YES, why)
    if standing is Standing.UNKNOWN and rule.unknown_licence_matches:
        return Match(Met.UNKNOWN, f"has an unknown licence: {licence.why_unknown or licence.stated[:100]}")
    return _NO


def _owned(facts: Facts, owners: frozenset[str]) -> Match:
    known = facts.package.owners if facts.package is not None and facts.package.owners else facts.owners
    if known is None:
        return Match(Met.UNKNOWN, "has unknown owners")
    named = sorted(owners & {name.lower() for name in known})
    return Match(Met.YES, f"is owned by {', '.join(named)}") if named else _NO


def _of_file(rule: Rule, facts: Facts, *, has_file: bool) -> Iterator[Match]:
    known = facts.package
    if known is None:
        yield Match(Met.UNKNOWN if has_file else Met.LATER, "could not be read to check its signature and contents")
        return
    if rule.unsigned:
        is_valid = known.signature.is_valid
        yield _NO if is_valid else Match(Met.YES, known.why or "has no valid signature")
    if rule.install_scripts:
        named = ", ".join(sorted(known.scripts)[:3])
        yield Match(Met.YES, f"contains {named}") if known.scripts else _NO


def _earliest(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _latest(times: Iterable[float | None]) -> float | None:
    return max((time for time in times if time is not None), default=None)


def _duration(seconds: float) -> str:
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit and seconds % unit == 0:
            count = round(seconds / unit)
            return f"{count} {name}{'s' if count != 1 else ''}"
    return f"{seconds:g} seconds"
