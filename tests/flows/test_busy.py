"""While all expensive work is stuck, cheap requests are answered: health, metrics, stored content."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from nugetproxy.executors import threads
from nugetproxy.executors.threads import ThreadExecutor
from tests.flows.private_feed import opened_with_lane

EXPENSIVE = (
    threads.INSPECTION,
    threads.PASSWORDS,
    threads.RENDERING,
    threads.COMPRESSION,
    threads.SEARCHES,
    threads.PACKAGES,
    threads.UPKEEP,
    threads.COMMITS,
)


@asynccontextmanager
async def occupied(executors: Iterable[ThreadExecutor]) -> AsyncIterator[None]:
    """Every thread of these pools is taken, and more wait."""
    go_on = threading.Event()
    held = [asyncio.create_task(each.run(go_on.wait, 60)) for each in executors for _ in range(12)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        go_on.set()
        await asyncio.gather(*held)


async def test_what_is_cheap_is_answered(upstream, tmp_path):
    upstream.add_package("Contoso.Kept", "1.0.0")
    async with opened_with_lane(tmp_path, upstream, feed={"protected_prefixes": ["Ours."]}) as house:
        assert (await house.push("Ours.Utils")).status == 201
        kept = ("/v3/flatcontainer/contoso.kept/index.json", "/v3/registration-gz-semver2/contoso.kept/index.json",
                "/v3/flatcontainer/contoso.kept/1.0.0/contoso.kept.1.0.0.nupkg")  # fmt: skip
        for path in kept:
            assert (await house.get(path)).status == 200
        ours = [path.replace("contoso.kept", "ours.utils") for path in kept]
        async with occupied(EXPENSIVE), asyncio.timeout(10):
            for path in ("/health/live", "/health/ready", "/metrics", "/v3/index.json", *kept, *ours):
                assert (await house.get(path)).status == 200, path
            # Not from the hot table either: another spelling of the address is another entry.
            assert (await house.get(kept[2] + "?again", {"Accept-Encoding": "gzip"})).status == 200
            assert (await house.push(key="")).status == 401
