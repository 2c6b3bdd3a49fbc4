"""Upstream clients for tests: impatient, and of the fake upstream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nugetproxy.config import UpstreamSettings
from nugetproxy.mirroring.faults import Pacing
from nugetproxy.mirroring.upstream import UpstreamClient
from tests.fakes.upstream import FakeUpstream

QUICK = Pacing(first_pause=0.005, longest_pause=0.02, spacing=0.0, overdue=0.03)


@asynccontextmanager
async def a_client(upstream: FakeUpstream, *, offline: bool = False, **settings: Any) -> AsyncIterator[UpstreamClient]:
    given: dict[str, Any] = {
        "name": "fake", "service_index": upstream.url, "head_timeout": 0.2, "read_timeout": 0.2, "breaker_failures": 50,
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
