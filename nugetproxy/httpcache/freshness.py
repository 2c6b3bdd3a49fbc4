"""How long each kind of document may be served without revalidation, and how old a copy is.

The rules come from the settings; the current time is always an argument.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from nugetproxy.httpcache.stored import StoredResponse

# Seconds. A copy confirmed further in the future was written before the clock was set back, and its age is unknown.
# Without this limit it would count as fresh until the clock catches up, perhaps for years.
CLOCK_SKEW = 60.0


POLLS = 3.0
"""Intervals after the beginning of a complete poll for which the catalog counts as followed."""


class DocumentKind(StrEnum):
    """The kinds of documents; each has its own rule in the settings, under this name."""

    SERVICE_INDEX = "service_index"
    VERSIONS = "versions"
    REGISTRATION = "registration"
    REGISTRATION_PAGE = "registration_page"
    CATALOG_ENTRY = "catalog_entry"
    PART = "part"
    SEARCH = "search"
    VULNERABILITIES = "vulnerabilities"
    SIGNATURES = "signatures"


FOLLOWED = frozenset({DocumentKind.VERSIONS, DocumentKind.REGISTRATION})
"""Kinds that a catalog covers: one document for each id, whose URL follows from the id. Registration pages need no
longer life: while the index names the commit of the kept page, it is served without revalidation."""

NAMED_BY_UPSTREAM = frozenset({DocumentKind.SERVICE_INDEX, DocumentKind.VULNERABILITIES, DocumentKind.SIGNATURES})
"""Kinds that the upstream or the configuration refers to, so they must exist. "Does not exist" is a failure for them:
without these documents clients fail every restore, or skip the audit."""


@dataclass(frozen=True, slots=True)
class FreshnessRule:
    """All in seconds since the upstream last confirmed the copy."""

    fresh: float
    """How long a copy is served without revalidation."""
    stale_while_revalidate: float
    """How long after `fresh` it is served immediately and refreshed in the background."""
    stale_if_error: float
    """Up to this age it is served if the upstream fails or is late."""
    absent: float
    """How long a "does not exist" is cached."""
    patience: float
    """How long a request waits for a refresh before it gets the stale copy."""
    followed: float = 0.0
    """How long a copy is served without revalidation while the upstream's catalog is followed."""
    followed_until: float = -math.inf
    """When that ends, in seconds since the epoch: until then, a change that the catalog names has expired the copy."""


def followed_until(polled: float | None, interval: float, now: float) -> float:
    """How long the catalog's silence about a document may be trusted, in seconds since the epoch.

    `polled` is when the last poll that read the catalog to its end began. A few polls may fail before documents are
    revalidated as without a catalog. A poll in the future was recorded before the clock was set back, and proves
    nothing.
    """
    if polled is None or polled > now + CLOCK_SKEW:
        return -math.inf
    return polled + POLLS * interval


def age(stored: StoredResponse, now: float) -> float:
    """Seconds since the upstream last confirmed the copy; never negative, even if the clock was set back."""
    return max(0.0, now - stored.confirmed)


def remaining(stored: StoredResponse, rule: FreshnessRule, now: float) -> float:
    """Seconds for which the copy stays fresh; zero or less if it must be revalidated."""
    if not _has_trusted_age(stored, now):
        return 0.0
    if stored.is_absence:
        return rule.absent - age(stored, now)
    followed = min(rule.followed - age(stored, now), rule.followed_until - now)
    return max(rule.fresh - age(stored, now), followed)


def is_fresh(stored: StoredResponse, rule: FreshnessRule, now: float) -> bool:
    """Whether the copy may be served without revalidation."""
    return remaining(stored, rule, now) > 0


def may_be_revalidated_behind(stored: StoredResponse, rule: FreshnessRule, now: float) -> bool:
    """Whether a stale copy is recent enough to be served while it is refreshed in the background."""
    return _has_trusted_age(stored, now) and age(stored, now) < rule.fresh + rule.stale_while_revalidate


def may_stand_in(stored: StoredResponse, rule: FreshnessRule, now: float) -> bool:
    """Whether the copy may be served when the upstream fails or is late.

    Never for an absence: "does not exist" is final to clients, and the document may exist by now.
    """
    return not stored.is_absence and age(stored, now) <= useful_seconds(stored, rule)


def useful_seconds(stored: StoredResponse, rule: FreshnessRule) -> float:
    """How long after a confirmation the copy may be served online at most, in any state of the upstream."""
    if stored.is_absence:
        return rule.absent
    return max(rule.stale_if_error, rule.fresh + rule.stale_while_revalidate)


def _has_trusted_age(stored: StoredResponse, now: float) -> bool:
    return not stored.expired and stored.confirmed <= now + CLOCK_SKEW
