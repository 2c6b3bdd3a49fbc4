"""How long each kind of document may be served without asking, and how old a copy is.

The rules themselves come from the settings; the time is an argument everywhere.
"""

from dataclasses import dataclass
from enum import StrEnum

from nugetproxy.httpcache.stored import StoredResponse

# A copy that was confirmed later than this many seconds from now was written by a clock that has since been set back.
# Its true age is unknown; without this limit it would count as fresh until the clock catches up, perhaps in years.
CLOCK_SKEW = 60.0


class DocumentKind(StrEnum):
    """What a document is to NuGet; each kind has its own rule in the settings, under this name."""

    SERVICE_INDEX = "service_index"
    VERSIONS = "versions"
    REGISTRATION = "registration"
    REGISTRATION_PAGE = "registration_page"
    CATALOG_ENTRY = "catalog_entry"
    PART = "part"
    SEARCH = "search"
    VULNERABILITIES = "vulnerabilities"
    SIGNATURES = "signatures"


NAMED_BY_UPSTREAM = frozenset({DocumentKind.SERVICE_INDEX, DocumentKind.VULNERABILITIES, DocumentKind.SIGNATURES})
"""Kinds of which the upstream, or who configured it, says that they exist. "Does not exist" is then a fault like any
other: without these documents clients fail every restore, or audit none."""


@dataclass(frozen=True, slots=True)
class FreshnessRule:
    """All in seconds, counted from when the upstream last vouched for the copy."""

    fresh: float
    """So long a copy is served without asking."""
    stale_while_revalidate: float
    """So long after `fresh` it is served at once and refreshed behind."""
    stale_if_error: float
    """Up to this age it is served when the upstream fails or is late."""
    absent: float
    """So long a "does not exist" is believed."""
    patience: float
    """So long an asker waits for a refresh before the stale copy is served."""


def age(stored: StoredResponse, now: float) -> float:
    """Seconds since the upstream last vouched for the copy; never negative, whatever the clock did."""
    return max(0.0, now - stored.confirmed)


def remaining(stored: StoredResponse, rule: FreshnessRule, now: float) -> float:
    """Seconds for which the copy stays fresh; zero or less when it must be asked about."""
    if not _has_trusted_age(stored, now):
        return 0.0
    return (rule.absent if stored.is_absence else rule.fresh) - age(stored, now)


def is_fresh(stored: StoredResponse, rule: FreshnessRule, now: float) -> bool:
    """Whether the copy may be served without asking."""
    return remaining(stored, rule, now) > 0


def may_be_revalidated_behind(stored: StoredResponse, rule: FreshnessRule, now: float) -> bool:
    """Whether a stale copy is young enough to be served at once while it is refreshed for the next asker."""
    return _has_trusted_age(stored, now) and age(stored, now) < rule.fresh + rule.stale_while_revalidate


def may_stand_in(stored: StoredResponse, rule: FreshnessRule, now: float) -> bool:
    """Whether the copy may be served instead of the answer of an upstream that fails or is late.

    An absence never: "does not exist" is final to clients, and by now it may exist.
    """
    return not stored.is_absence and age(stored, now) <= useful_seconds(stored, rule)


def useful_seconds(stored: StoredResponse, rule: FreshnessRule) -> float:
    """How long after a confirmation the copy may be served online, whatever happens to the upstream."""
    if stored.is_absence:
        return rule.absent
    return max(rule.stale_if_error, rule.fresh + rule.stale_while_revalidate)


def _has_trusted_age(stored: StoredResponse, now: float) -> bool:
    return not stored.expired and stored.confirmed <= now + CLOCK_SKEW
