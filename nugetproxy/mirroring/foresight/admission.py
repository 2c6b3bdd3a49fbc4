"""Which fetch ahead may begin now: only what takes nothing away from a client that waits.

Pure but for what it reads of the upstreams.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Protocol

from nugetproxy.mirroring.upstream.pace import Speed

MOST_AT_UNKNOWN_SPEED: Final = 4
"""Packages that are fetched ahead from one upstream at the same time until it is known to be fast."""


class AheadUpstream(Protocol):
    """What is needed of an UpstreamClient here."""

    @property
    def name(self) -> str: ...

    @property
    def is_calm(self) -> bool: ...

    @property
    def speed(self) -> Speed: ...

    def most_ahead(self, *, large: bool) -> int: ...

    def room(self, *, large: bool) -> int: ...


class Verdict(Enum):
    BEGIN = "begin"
    WAIT = "wait"
    DROP = "drop"


class Admission:
    """Counts what is fetched ahead, by upstream. `has_disk` tells whether mirrored content may still be kept."""

    def __init__(self, has_disk: Callable[[], bool]) -> None:
        self._has_disk = has_disk
        self._running: Counter[tuple[str, bool]] = Counter()

    def judge(self, upstreams: Sequence[AheadUpstream], *, large: bool) -> Verdict:
        """`upstreams` are those that may be asked; none means that nobody may be. `large` is a package."""
        if not upstreams or not all(upstream.is_calm for upstream in upstreams):
            return Verdict.DROP
        if large and any(upstream.speed is Speed.SLOW for upstream in upstreams):
            # Bandwidth is what clients wait for: a body fetched ahead would only take their share.
            return Verdict.DROP
        if not all(self._has_room(upstream, large=large) for upstream in upstreams):
            return Verdict.WAIT
        if large and not self._has_disk():
            return Verdict.DROP
        return Verdict.BEGIN

    def begin(self, upstreams: Sequence[AheadUpstream], *, large: bool) -> None:
        """A fetch begins. That of a package counts among all fetches and among those of packages."""
        self._running.update(_counted(upstreams, large=large))

    def end(self, upstreams: Sequence[AheadUpstream], *, large: bool) -> None:
        """A fetch has ended."""
        self._running.subtract(_counted(upstreams, large=large))

    def _has_room(self, upstream: AheadUpstream, *, large: bool) -> bool:
        running, running_packages = self._running[upstream.name, False], self._running[upstream.name, True]
        # What has begun may not have been sent yet, so it is left room whether or not it was.
        if running >= min(upstream.most_ahead(large=False), upstream.room(large=False)):
            return False
        if not large:
            return True
        most = min(upstream.most_ahead(large=True), upstream.room(large=True))
        if upstream.speed is Speed.UNKNOWN:
            most = min(most, MOST_AT_UNKNOWN_SPEED)
        return running_packages < most


def _counted(upstreams: Sequence[AheadUpstream], *, large: bool) -> list[tuple[str, bool]]:
    return [(upstream.name, is_large) for upstream in upstreams for is_large in {False, large}]
