"""The background job: when it evicts, when it waits, and what it reports."""

from contextlib import closing

import pytest
from structlog.testing import capture_logs

from nugetproxy.mirroring.care import upkeep as module
from nugetproxy.mirroring.care.budget import Disk
from nugetproxy.mirroring.care.eviction import Eviction
from nugetproxy.mirroring.care.leases import EVICTION
from nugetproxy.mirroring.care.upkeep import Upkeep
from nugetproxy.mirroring.kept.inventory import open_ledger
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.reserve import NO_RESERVE
from tests.mirroring.care.packages import Mirror

NOW = 10_000_000


class Case:
    """A mirror of ten packages of 1,000 bytes with a budget of 5,000."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.offered: bool | None = True
        self.in_use = False
        self.asked = 0
        leases = Leases(mirror.data / "locks")
        self.eviction = Eviction(mirror.files, mirror.blobs, leases, {"up": self._offers},
                                 in_use=lambda _: self.in_use, clock=lambda: NOW)  # fmt: skip
        self.upkeep = Upkeep(mirror.data, 5_000, NO_RESERVE, mirror.inventory, mirror.files, self.eviction, leases,
                             clock=lambda: NOW)  # fmt: skip

    async def _offers(self, _package) -> bool | None:
        self.asked += 1
        return self.offered

    async def look(self) -> int:
        """The number of packages left."""
        await self.upkeep.look()
        return len(self.mirror.names())


@pytest.fixture
async def case(tmp_path):
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        mirror = Mirror(tmp_path, database)
        for number in range(10):
            await mirror.keep(f"p{number}", used=number)
        yield Case(mirror)


async def test_down_to_the_low_watermark_and_no_further(case):
    assert await case.look() == 4
    assert await case.look() == 4


async def test_a_disk_whose_space_is_freed_later_does_not_empty_the_mirror(case, monkeypatch):
    """
    Files that are still open take their space after they were evicted.
    """
    monkeypatch.setattr(module, "disk_of", lambda *_: Disk(total=10**6, free=20_000, reserve=20_000))
    case.upkeep._budget = 100_000
    assert await case.look() == 5
    assert await case.look() == 5


async def test_one_process_evicts(case):
    async with Leases(case.mirror.data / "locks").hold(EVICTION):
        assert await case.look() == 10


async def test_what_is_in_use_goes_at_the_next_look(case):
    case.in_use = True
    assert await case.look() == 10
    case.in_use = False
    assert await case.look() == 4


async def test_a_budget_that_cannot_be_met_is_reported_once_and_tried_again_later(case, monkeypatch):
    case.offered = None
    with capture_logs() as lines:
        assert await case.look() == 10
        asked = case.asked
        assert await case.look() == 10
        assert case.asked == asked
        monkeypatch.setattr(case.upkeep, "_not_before", 0.0)
        assert await case.look() == 10
        assert case.asked > asked
    assert [line["event"] for line in lines] == ["mirror_over_budget"]
    assert lines[0]["unknown"] == 10


async def test_the_forecast_counts_what_was_stored_in_a_week(case, monkeypatch):
    for number in range(7):
        await case.mirror.keep(f"new{number}", used=NOW - 1)
    monkeypatch.setattr(module, "disk_of", lambda *_: Disk(total=10**6, free=100_000, reserve=0))
    case.upkeep._budget = None

    assert await case.upkeep.forecast() == 100
