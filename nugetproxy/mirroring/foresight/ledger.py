"""What was fetched ahead and whether clients came for it: counted, and bounded in bytes.

The time is an argument; nothing is fetched from here.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nugetproxy.metrics import FORESIGHT_FETCHED, FORESIGHT_USED, FORESIGHT_WASTED_BYTES

MOST_BYTES_AHEAD: Final = 128_000_000
"""Bytes of packages, fetched ahead or on their way, that no client has asked for yet; no further one is begun then."""

WASTED_AFTER: Final = 120.0
"""Seconds after which nobody is expected to come for a package."""

_MOST_ENTRIES: Final = 20_000


class Kind(StrEnum):
    VERSIONS = "versions"
    PACKAGE = "package"


@dataclass(slots=True)
class _Entry:
    kind: Kind
    since: float
    size: int = 0
    has_landed: bool = False
    is_used: bool = False


class Ledger:
    """One entry for each fetch ahead, from its begin until a client asks for it or nobody is expected to."""

    def __init__(self) -> None:
        self._entries: OrderedDict[object, _Entry] = OrderedDict()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Ledger: {len(self._entries)} ahead, {self._bytes} bytes>"

    @property
    def bytes_ahead(self) -> int:
        """As bounded by `MOST_BYTES_AHEAD`."""
        return self._bytes

    def begin(self, key: object, kind: Kind, now: float) -> bool:
        """A fetch begins. False if the same was fetched ahead a moment ago."""
        self._write_off(now)
        if key in self._entries:
            return False
        self._entries[key] = _Entry(kind, now)
        return True

    def announce(self, key: object, size: int) -> None:
        """The size of what is on its way is known, in bytes."""
        entry = self._entries.get(key)
        if entry is not None and not entry.is_used:
            self._bytes += size - entry.size
            entry.size = size

    def land(self, key: object) -> None:
        """It was fetched."""
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.has_landed = True
        FORESIGHT_FETCHED.labels(entry.kind).inc()
        if entry.is_used:
            FORESIGHT_USED.labels(entry.kind).inc()
            del self._entries[key]

    def drop(self, key: object) -> None:
        """It was kept already, or the fetch failed: nothing was fetched ahead."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size

    def use(self, key: object) -> None:
        """A client asks for it."""
        entry = self._entries.get(key)
        if entry is None or entry.is_used:
            return
        self._bytes -= entry.size
        entry.is_used, entry.size = True, 0
        if entry.has_landed:
            FORESIGHT_USED.labels(entry.kind).inc()
            del self._entries[key]

    def _write_off(self, now: float) -> None:
        """Give up on what nobody came for in time."""
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if entry.since > now - WASTED_AFTER and len(self._entries) < _MOST_ENTRIES:
                return
            FORESIGHT_WASTED_BYTES.inc(entry.size)
            self.drop(key)
