"""Fetches, evicts and verifies in a circle until it is killed: `care_worker.py DATA URL COUNT`."""

import asyncio
import sys
from pathlib import Path

from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.mirroring.kept.last_use import LastUse
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.runtime.assembly import assemble
from nugetproxy.services import Services
from tests.flows.mirror import settings_for


async def main(data: str, url: str, count: int) -> None:
    LastUse.is_recent = lambda *_: False  # type: ignore[method-assign]
    config = settings_for(Path(data), [{"name": "up", "service_index": url}])
    async with assemble(config, what="test") as services:
        assert services.care is not None
        await fetch(services, count)
        print("begun", flush=True)
        while True:
            await services.care.eviction.free(200_000)
            await asyncio.gather(services.care.verification.verify(2e9), fetch(services, count))


async def fetch(services: Services, count: int) -> None:
    for number in range(count):
        answer = await services.feed.content(PackageIdentity.parse(f"P{number}", "1.0.0"), Part.NUPKG)
        if not isinstance(answer.value, LocalFile | SmallContent):
            async for _ in answer.value.chunks():
                pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
