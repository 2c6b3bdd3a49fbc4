"""The headers of a response that describe the cache: Cache-Status (RFC 9211), Age and Cache-Control."""

import math
import re
import sys
from dataclasses import replace

from nugetproxy.httpcache.outcome import Outcome, Provenance

CACHE_NAME = "nugetproxy"

_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*")

_VERDICTS = {
    Outcome.HIT: "; hit",
    Outcome.STALE: "; hit",
    Outcome.REFRESHED: "; fwd=stale",
    Outcome.MISS: "; fwd=uri-miss",
}


def live_headers(provenance: Provenance) -> tuple[tuple[str, str], ...]:
    """Age and Cache-Status: the headers that change while a response waits to be sent again."""
    status = cache_status(provenance)
    if provenance.outcome not in _VERDICTS:
        return (("Cache-Status", status),)
    return ("Age", str(max(0, int(provenance.age)))), ("Cache-Status", status)


class AgingLines:
    """The same two headers as lines, for a response that is sent many times."""

    __slots__ = ("_age", "_before", "_behind", "_fresh_for", "_has_age", "_has_ttl")

    def __init__(self, provenance: Provenance, *, has_ttl: bool = True) -> None:
        """`has_ttl`: as for a document; False: as for a file."""
        shown = provenance if has_ttl else replace(provenance, fresh_for=0.0)
        status = cache_status(shown)
        ttl = f"; ttl={math.floor(shown.fresh_for)}"
        self._has_age = provenance.outcome in _VERDICTS
        self._has_ttl = self._has_age and bool(shown.fresh_for or shown.outcome is Outcome.STALE)
        before, _, behind = status.partition(ttl) if self._has_ttl else (status, "", "")
        self._before = sys.intern(f"Cache-Status: {before}")
        self._behind = sys.intern(f"{behind}\r\n")
        self._age = provenance.age
        self._fresh_for = shown.fresh_for

    def at(self, waited: float) -> str:
        """The lines after this many seconds."""
        ttl = f"; ttl={math.floor(self._fresh_for - waited)}" if self._has_ttl else ""
        if not self._has_age:
            return f"{self._before}{self._behind}"
        return f"Age: {max(0, int(self._age + waited))}\r\n{self._before}{ttl}{self._behind}"


def file_headers(provenance: Provenance) -> tuple[tuple[str, str], ...]:
    """As `live_headers` for a kept package: its bytes never change, so there is no time to live."""
    return live_headers(replace(provenance, fresh_for=0.0))


def cache_status(provenance: Provenance) -> str:
    """The Cache-Status field. A negative ttl says how long a stale response has been stale."""
    parts = [CACHE_NAME]
    verdict = _VERDICTS.get(provenance.outcome)
    if verdict is None:  # nothing was looked up: we generated it, or there is nothing
        return f"{CACHE_NAME}; detail={_detail(provenance.detail) or provenance.outcome.value}"
    parts.append(verdict)
    if provenance.fresh_for or provenance.outcome is Outcome.STALE:
        parts.append(f"; ttl={math.floor(provenance.fresh_for)}")
    if provenance.stored and provenance.outcome in (Outcome.MISS, Outcome.REFRESHED):
        parts.append("; stored")
    if detail := _detail(provenance.detail):
        parts.append(f"; detail={detail}")
    return "".join(parts)


def cache_control(provenance: Provenance, max_age: int | None, *, is_private: bool = False) -> str:
    """How long caches between us and the client may keep a response; `is_private`: only the client's own cache may.

    `max_age` is in seconds from now; None means as long as we consider it fresh. Our Age is added, because the next
    cache subtracts it again.
    """
    who = "private" if is_private else "public"
    if max_age is None:
        fresh_for = min(provenance.fresh_for, provenance.valid_for)
        if provenance.outcome is Outcome.STALE or fresh_for <= 0:
            return "private, no-cache" if is_private else "no-cache"
        return f"{who}, max-age={math.floor(max(0.0, provenance.age) + fresh_for)}"
    lasts = math.floor(min(max_age, max(0.0, provenance.valid_for)))
    return f"{who}, max-age={math.floor(max(0.0, provenance.age)) + lasts}"


def _detail(text: str) -> str:
    """`text` if it is a token; untrusted text never gets into the field."""
    return text if _TOKEN.fullmatch(text) else ""
