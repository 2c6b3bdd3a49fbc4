"""The settings of the policy: `[[policy.rule]]`. Their meaning is in `feeds.policy`; here is only their form."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator

from nugetproxy.config.values import Duration, Section
from nugetproxy.errors import InvalidPackageId, InvalidVersionRange
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.licences import wrong_entry
from nugetproxy.nuget.version_range import VersionRange

LONGEST_REASON: Final = 200
"""Characters of `because`: it is part of a status line and of headers."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_GLOB = re.compile(r"[\w.*-]{1,100}")

# Keys that select which versions a rule is about, and keys about the facts of a version. A block rule needs one of
# either, an allow rule as well.
_CONDITIONS: Final = (
    *("ids", "versions", "younger_than", "first_seen_within", "severity", "licences", "licences_except"),
    *("unsigned", "install_scripts", "looks_like", "owners"),
)


def parse_until(text: str) -> float:
    """A date, the end of that day in UTC; or a time, in UTC unless it states an offset. Seconds since the epoch.

    Raises ValueError.
    """
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        day = date.fromisoformat(text)
        return datetime.combine(day + timedelta(days=1), time(), UTC).timestamp()
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _written(given: object) -> object:
    # TOML has dates and times of its own.
    return given.isoformat() if isinstance(given, date) else given


def _checked_until(text: str) -> str:
    if text:
        try:
            parse_until(text)
        except (ValueError, OverflowError):
            raise ValueError('expected a date such as "2026-12-31", or a time such as "2026-12-31T08:00Z"') from None
    return text


def _checked_name(text: str) -> str:
    if text and not _NAME.fullmatch(text):
        raise ValueError("expected 1 to 64 of A-Z a-z 0-9 . _ - starting with a letter or digit")
    return text


def _checked_glob(text: str) -> str:
    if not _GLOB.fullmatch(text):
        raise ValueError('expected a package id, or one with *, such as "Contoso.*"')
    return text


def _checked_range(text: str) -> str:
    try:
        VersionRange.parse(text)
    except InvalidVersionRange as error:
        raise ValueError(f'expected a version range such as "[1.0,2.0)" or "(,1.0)": {error.why}') from None
    return text


def _checked_licence(text: str) -> str:
    if why := wrong_entry(text):
        raise ValueError(f'expected an SPDX identifier such as "MIT" or "GPL-3.0-only": {why}')
    return text


def _checked_reason(text: str) -> str:
    if len(text) > LONGEST_REASON or not text.isprintable():
        raise ValueError(f"expected one line of at most {LONGEST_REASON} characters")
    return text


RuleName = Annotated[str, AfterValidator(_checked_name)]
Range = Annotated[str, AfterValidator(_checked_range)]


def _checked_fingerprint(text: str) -> str:
    if not _FINGERPRINT.fullmatch(text):
        raise ValueError("expected the SHA-256 fingerprint of a certificate: 64 hexadecimal digits")
    return text.lower()


def _checked_id(text: str) -> str:
    try:
        PackageId.parse(text)
    except InvalidPackageId:
        raise ValueError('expected a package id such as "Newtonsoft.Json"') from None
    return text


KnownId = Annotated[str, AfterValidator(_checked_id)]
Fingerprint = Annotated[str, AfterValidator(_checked_fingerprint)]
Glob = Annotated[str, AfterValidator(_checked_glob)]
Licence = Annotated[str, AfterValidator(_checked_licence)]


class PolicyRuleSettings(Section):
    """One rule. A rule is about a version if all conditions that it names are met; an empty value names none."""

    name: RuleName = ""
    action: Literal["block", "allow"] = "block"
    ids: tuple[Glob, ...] = ()
    except_ids: tuple[Glob, ...] = ()
    versions: Range = ""
    younger_than: Duration = 0.0
    first_seen_within: Duration = 0.0
    severity: Literal["", "low", "moderate", "high", "critical"] = ""
    grace: Duration = 0.0
    licences: tuple[Licence, ...] = ()
    licences_except: tuple[Licence, ...] = ()
    unknown_licence: Literal["match", "ignore"] = "match"
    unsigned: bool = False
    install_scripts: bool = False
    looks_like: tuple[KnownId, ...] = ()
    owners: tuple[str, ...] = ()
    mode: Literal["enforce", "warn"] = "enforce"
    because: Annotated[str, AfterValidator(_checked_reason)] = ""
    until: Annotated[str, BeforeValidator(_written), AfterValidator(_checked_until)] = ""


class PolicySettings(Section):
    trusted_roots: str = ""
    repository_certificates: tuple[Fingerprint, ...] = ()
    rule: tuple[PolicyRuleSettings, ...] = ()


def problems_of_rules(policy: PolicySettings) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with rules whose values are valid by themselves: (path of the key, why)."""
    names: set[str] = set()
    for index, rule in enumerate(policy.rule):
        place = ("policy", "rule", index)
        if not rule.name:
            yield (*place, "name"), "is missing: refusals and commands name the rule"
        elif rule.name.lower() in names:
            yield (*place, "name"), f"{rule.name!r} is the name of an earlier rule; names must be unique"
        names.add(rule.name.lower())
        if "action" not in rule.model_fields_set:
            yield (*place, "action"), 'is missing: expected "block" or "allow"'
        if not any(getattr(rule, key) for key in _CONDITIONS):
            yield (*place, "ids"), f"is missing: a rule needs at least one of {', '.join(_CONDITIONS)}"
        if rule.action == "allow" and rule.mode == "warn":
            yield (*place, "mode"), '"warn" is for rules that block'
        if rule.grace and not rule.severity:
            yield (*place, "grace"), "needs severity: it delays what a new advisory does"
        if rule.action == "allow" and rule.licences_except:
            yield (*place, "licences_except"), "is for rules that block; use licences"
        elif rule.licences and rule.licences_except:
            yield (*place, "licences_except"), "cannot be combined with licences: name the licences in one of them"
