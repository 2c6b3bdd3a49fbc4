"""The rules of `hosting.retention` at a moment, from the settings: for the daily job and for the command."""

from collections.abc import Sequence
from datetime import UTC, datetime

from nugetproxy.accounts.model import SECOND
from nugetproxy.config import RetentionRuleSettings, parse_duration
from nugetproxy.hosting.retention import Action, Rule
from nugetproxy.nuget.version_range import VersionRange


def rules_at(settings: Sequence[RetentionRuleSettings], now: float) -> tuple[Rule, ...]:
    """The rules at this moment (unix seconds). The settings have been checked."""
    return tuple(
        Rule(
            each.name,
            Action(each.action),
            tuple(each.ids),
            VersionRange.parse(each.versions) if each.versions else None,
            each.keep_prereleases,
            _moment(each.unused_since, now) if each.unused_since else None,
        )
        for each in settings
    )


def _moment(text: str, now: float) -> int:
    """A date, or a duration before `now`, in unix microseconds."""
    try:
        seconds = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        seconds = now - parse_duration(text)
    return round(seconds * SECOND)
