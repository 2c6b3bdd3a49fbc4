"""When the next poll is, after what the last one did."""

import asyncio

import pytest
from structlog.testing import capture_logs

from nugetproxy.errors import UpstreamUnavailable
from nugetproxy.mirroring.catalog.schedule import Schedule
from nugetproxy.storage.leases import Leases


class Follower:
    name = "up"
    url = "https://upstream.test/catalog/index.json"

    def __init__(self, *outcomes) -> None:
        self.outcomes = list(outcomes)
        self.polls = self.forgotten = 0
        self.polled = asyncio.Event()

    async def poll(self) -> bool:
        self.polls += 1
        self.polled.set()
        outcome = self.outcomes.pop(0) if self.outcomes else True
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def forget_round(self) -> None:
        self.forgotten += 1


DOWN = UpstreamUnavailable("up", "answered 500")


@pytest.mark.parametrize(
    ("outcomes", "pauses"),
    [
        ([True, True], [60, 60]),
        ([False, False, True], [1, 1, 60]),
        ([DOWN] * 6, [60, 120, 240, 480, 900, 900]),
        ([DOWN, DOWN, True, DOWN], [60, 120, 60, 60]),
        ([ValueError("a bug"), True], [60, 60]),
        ([TimeoutError()], [60]),
    ],
)
async def test_the_pause_after_each_poll(outcomes, pauses):
    schedule = Schedule(Follower(*outcomes), 60.0)

    assert pauses == [await schedule.poll() for _ in outcomes]


async def test_a_failure_is_logged_once_and_its_end_too():
    schedule = Schedule(Follower(DOWN, DOWN, True, True), 60.0)
    with capture_logs() as logs:
        for _ in range(4):
            await schedule.poll()

    assert ["catalog_failed", "catalog_recovered"] == [each["event"] for each in logs]
    assert 2 == logs[1]["polls_failed"]


async def test_a_round_that_cannot_be_finished_is_given_up():
    follower = Follower(*[DOWN] * 6)
    schedule = Schedule(follower, 60.0)
    for _ in range(6):
        await schedule.poll()

    assert 2 == follower.forgotten


async def test_one_process_follows_and_another_takes_over(tmp_path):
    one, other = Follower(), Follower()
    first = asyncio.create_task(Schedule(one, 0.02).run(Leases(tmp_path)))
    await one.polled.wait()
    second = asyncio.create_task(Schedule(other, 0.02).run(Leases(tmp_path)))
    await asyncio.sleep(0.1)
    assert 0 == other.polls
    first.cancel()
    async with asyncio.timeout(5):
        await other.polled.wait()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
