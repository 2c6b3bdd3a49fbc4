"""Whether upstreams still offer what may be evicted: what cannot be fetched again stays."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.identity import PackageIdentity

StillOffered = Callable[[PackageIdentity], Awaitable[bool | None]]
"""Whether an upstream has a version now; None if it cannot be asked."""

# In seconds. Waiting for a distant upstream or a slow disk keeps no client from being served.
_LONGEST_REST: Final = 0.02
# An upstream that could not be asked about so many ids in a row is not asked again in this run. One that is down costs
# nothing (its breaker is open), but one that hangs does.
_MOST_UNKNOWN: Final = 10


class Candidate(Protocol):
    """A package that may be evicted."""

    @property
    def upstream(self) -> str: ...

    @property
    def lower_id(self) -> str: ...

    @property
    def lower_version(self) -> str: ...


class Asking:
    """What the upstreams said during one run. `asks` is False if they are not to be asked; `rest` is in seconds for
    each second of asking."""

    def __init__(self, upstreams: Mapping[str, StillOffered], *, asks: bool = True, rest: float) -> None:
        self.asks = asks
        self._rest = rest
        self._upstreams = upstreams
        self._unknown: dict[str, set[str]] = {}

    async def is_offered(self, package: Candidate) -> bool | None:
        """None if it is not known. True if nobody is to be asked."""
        if not self.asks:
            return True
        ask, unknown = self._upstreams.get(package.upstream), self._unknown.setdefault(package.upstream, set())
        if ask is None or package.lower_id in unknown or len(unknown) >= _MOST_UNKNOWN:
            return None
        try:
            identity = PackageIdentity.parse(package.lower_id, package.lower_version)
        except InvalidRequest:
            return None  # a folder created by hand
        began = time.monotonic()
        offered = await ask(identity)
        await asyncio.sleep(pause(self._rest, began))
        if offered is None:
            unknown.add(package.lower_id)
        else:
            unknown.clear()
        return offered


def pause(rest: float, began: float) -> float:
    """Seconds to rest after a step that began then, at `rest` seconds for each second of it."""
    return min(_LONGEST_REST, rest * (time.monotonic() - began))
