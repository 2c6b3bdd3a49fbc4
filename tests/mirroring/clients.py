"""Upstream clients for tests: with short timeouts, for the fake upstream."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nugetproxy.config import UpstreamSettings
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.mirroring.upstream.connections import Connections
from nugetproxy.mirroring.upstream.faults import Pacing
from tests.fakes.upstream import FakeUpstream

QUICK = Pacing(first_pause=0.005, longest_pause=0.02, spacing=0.0, overdue=0.03)


@asynccontextmanager
async def a_client(upstream: FakeUpstream, *, offline: bool = False, **settings: Any) -> AsyncIterator[UpstreamClient]:
    given: dict[str, Any] = {
        "name": "fake", "service_index": upstream.url, "head_timeout": 1.0, "read_timeout": 1.0, "breaker_failures": 50,
    }  # fmt: skip
    environ = settings.pop("environ", {})
    pacing = settings.pop("pacing", QUICK)
    client = UpstreamClient(
        UpstreamSettings(**given | settings),
        user_agent="nugetproxy/0 (a caching mirror)",
        offline=offline,
        environ=environ,
        pacing=pacing,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def skipping(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Call the result with seconds: for all connections created from now on, this much time has passed."""
    skipped = 0.0
    made = Connections.__init__

    def with_clock(self: Connections, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs, clock=lambda: time.monotonic() + skipped)

    monkeypatch.setattr(Connections, "__init__", with_clock)

    def skip(seconds: float) -> None:
        nonlocal skipped
        skipped += seconds

    return skip
