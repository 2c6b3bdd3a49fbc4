"""The clock of the server's machine is set forth and back, by minutes and by months, while clients restore."""

import asyncio
import json
import struct
import time
import urllib.error
from datetime import UTC, datetime
from pathlib import Path

from tests.fakes.catalog import FakeCatalog
from tests.fakes.gallery import Document
from tests.serving import Server

HOUR, DAY = 3600.0, 86400.0
SETTINGS = """
[[mirroring.upstream]]
name = "up"
service_index = "{url}"
[mirroring]
budget = "200 KB"
catalog_poll = "1s"
[mirroring.freshness.versions]
fresh = "1s"
stale_while_revalidate = "0s"
[mirroring.freshness.registration]
fresh = "1s"
stale_while_revalidate = "0s"
[[policy.rule]]
name = "cooling-off"
action = "block"
ids = ["Cooled.*"]
younger_than = "7d"
"""


class Clock:
    """Of the server's processes; 0 is the true time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)

    @property
    def environ(self) -> dict[str, str]:
        return {"PYTHONPATH": str(Path(__file__).parent / "shifted_clock"), "SHIFTED_CLOCK": str(self._file)}

    def set(self, seconds: float) -> None:
        # In place: the processes have mapped this very file.
        with self._file.open("r+b" if self._file.exists() else "wb") as opened:
            opened.write(struct.pack("d", seconds))


def days_ago(days: float) -> str:
    return datetime.fromtimestamp(time.time() - days * DAY, UTC).isoformat()


def listed(server: Server, lower_id: str) -> list[str]:
    try:
        return list(json.loads(server.get(f"/v3/flatcontainer/{lower_id}/index.json"))["versions"])
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return []


def package(server: Server, lower_id: str, version: str) -> bytes:
    return server.get(f"/v3/flatcontainer/{lower_id}/{version}/{lower_id}.{version}.nupkg")


async def until_listed(server: Server, lower_id: str, version: str) -> None:
    async with asyncio.timeout(15):
        while version not in await asyncio.to_thread(listed, server, lower_id):
            await asyncio.sleep(0.1)


async def test_a_clock_that_is_set_serves_nothing_wrong_and_loses_nothing(upstream, tmp_path):
    upstream.add_package("Cooled.Used", "1.0.0", published=days_ago(60))
    upstream.add_package("Cooled.Used", "2.0.0", published=days_ago(1))
    upstream.add_package("Cooled.Unused", "1.0.0", published=days_ago(60))
    plain = [upstream.add_package(f"Plain{number}", "1.0.0", padding=20_000) for number in range(5)]
    catalog = FakeCatalog(upstream.base)
    catalog.add(time.time() - 30, "Somebody.Else")

    def publish(version: str) -> None:
        upstream.add_package("Plain0", version)
        catalog.add(time.time(), "Plain0", version)
        for url, body in catalog.documents().items():
            upstream.gallery.extra[url.removeprefix(upstream.base)] = Document(body)

    clock = Clock(tmp_path)
    server = Server(
        tmp_path / "data", "--workers", "2", config=SETTINGS.format(url=upstream.url), environ=clock.environ
    )
    data = tmp_path / "data"
    publish("1.0.1")
    await asyncio.to_thread(server.start)
    try:
        assert await asyncio.to_thread(listed, server, "cooled.used") == ["1.0.0"]
        await asyncio.to_thread(package, server, "cooled.used", "1.0.0")
        for each in plain:
            assert await asyncio.to_thread(package, server, each.lid, "1.0.0") == each.nupkg
        async with asyncio.timeout(10):
            while len(kept := sorted(data.rglob("mirror/**/*.nupkg"))) < 6:
                await asyncio.sleep(0.05)

        for number, seconds in enumerate((3 * HOUR, -3 * HOUR, -90 * DAY, 400 * DAY, 0.0), start=2):
            clock.set(seconds)
            publish(f"1.0.{number}")
            await until_listed(server, "plain0", f"1.0.{number}")
            used = await asyncio.to_thread(listed, server, "cooled.used")
            unused = await asyncio.to_thread(listed, server, "cooled.unused")
            # Too young by this clock is withheld, also what is not published yet. What is in use stays visible.
            assert (seconds, used) == (seconds, ["1.0.0", "2.0.0"] if seconds > 7 * DAY else ["1.0.0"])
            assert (seconds, unused) == (seconds, [] if seconds < -53 * DAY else ["1.0.0"])
            for each in plain:
                assert await asyncio.to_thread(package, server, each.lid, "1.0.0") == each.nupkg
        assert sorted(data.rglob("mirror/**/*.nupkg")) == kept
        assert [upstream.requests_for(f"*/{each.lid}.1.0.0.nupkg") for each in plain] == [1] * 5

        # Over its budget now: only as much goes as must, whatever the times of use say.
        clock.set(-90 * DAY)
        for number in range(5, 10):
            more = upstream.add_package(f"Plain{number}", "1.0.0", padding=20_000)
            assert await asyncio.to_thread(package, server, more.lid, "1.0.0") == more.nupkg
        clock.set(0)
    finally:
        assert await asyncio.to_thread(server.stop) == 0
    assert "Traceback" not in server.log
    size = sum(path.stat().st_size for path in data.rglob("mirror/**/*.nupkg"))
    assert 100_000 < size
