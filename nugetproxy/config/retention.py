"""The settings of retention: `[[hosting.retention]]`, and only their form: `hosting.retention` has their meaning."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from nugetproxy.config.policy import Glob, Range, RuleName
from nugetproxy.config.values import Section, parse_duration


def _as_text(given: object) -> object:
    # TOML has dates of its own.
    return given.isoformat() if type(given) is date else given


def _checked_since(text: str) -> str:
    if text and not _is_date(text) and not _is_duration(text):
        raise ValueError('expected a duration such as "180d", or a date such as "2026-01-31"')
    return text


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_duration(text: str) -> bool:
    try:
        return parse_duration(text) >= 1.0
    except ValueError:
        return False


class RetentionRuleSettings(Section):
    """One rule. Empty values are no condition."""

    name: RuleName = ""
    action: Literal["unlist", "delete", "keep"] = "unlist"
    ids: tuple[Glob, ...] = ()
    versions: Range = ""
    keep_prereleases: int = Field(default=0, ge=0)
    unused_since: Annotated[str, BeforeValidator(_as_text), AfterValidator(_checked_since)] = ""


def problems_of_retention(
    rules: Sequence[RetentionRuleSettings],
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with rules whose values are valid by themselves: (path of the key, why)."""
    names: set[str] = set()
    for index, rule in enumerate(rules):
        place = ("hosting", "retention", index)
        if not rule.name:
            yield (*place, "name"), "is missing: the audit log names the rule"
        elif rule.name.lower() in names:
            yield (*place, "name"), f"{rule.name!r} is the name of an earlier rule; names must be unique"
        names.add(rule.name.lower())
        if "action" not in rule.model_fields_set:
            yield (*place, "action"), 'is missing: expected "unlist", "delete" or "keep"'
        has_condition = bool(rule.keep_prereleases or rule.unused_since)
        if rule.action == "keep" and has_condition:
            yield (*place, "action"), '"keep" protects by ids and versions: remove keep_prereleases and unused_since'
        elif rule.action != "keep" and not has_condition:
            yield (*place, "keep_prereleases"), "is missing: set it, or unused_since, or both"
