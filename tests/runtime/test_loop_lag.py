"""Lag of the event loop: always measured, and logged with what ran if it is long."""

import asyncio
import threading
import time

import pytest
from structlog.testing import capture_logs

from nugetproxy.executors.threads import ThreadExecutor
from nugetproxy.runtime import loop_lag
from nugetproxy.runtime.loop_lag import LoopLag


def hold_the_loop(seconds: float) -> None:
    time.sleep(seconds)


async def measured(lags: list[float], count: int) -> None:
    async with asyncio.timeout(20):
        while len(lags) < count:
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "EVERY", 0.01)


async def test_it_is_measured_again_and_again() -> None:
    lags: list[float] = []
    async with LoopLag(lags.append, late=60):
        await measured(lags, 3)
        assert min(lags) >= 0
        before = len(lags)
        hold_the_loop(0.2)
        await measured(lags, before + 2)
    assert max(lags) >= 0.15
    ended = len(lags)
    await asyncio.sleep(0.05)
    assert len(lags) == ended


async def test_what_ran_is_logged_and_nothing_of_what_it_held() -> None:
    lags: list[float] = []
    with capture_logs() as events:
        async with LoopLag(lags.append, late=0.1):
            await measured(lags, 1)
            hold_the_loop(0.5)
            await measured(lags, len(lags) + 2)
    [event] = [each for each in events if each["event"] == "loop_lagged" and each["seconds"] >= 0.4]
    assert event["log_level"] == "warning"
    assert event["at"][0].startswith("tests.runtime.test_loop_lag:hold_the_loop:")
    assert "0.5" not in "".join(event["at"])


async def test_threads_that_are_at_work_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lags: list[float] = []
    executor, begun, go_on = ThreadExecutor("heavy", 2), threading.Event(), threading.Event()
    await executor.run(int)  # leaves a thread that waits

    def work() -> None:
        begun.set()
        go_on.wait(10)

    with capture_logs() as events:
        async with LoopLag(lags.append, late=0.1):
            running = asyncio.create_task(executor.run(work))
            while not begun.is_set():
                await asyncio.sleep(0.001)
            await measured(lags, 1)
            hold_the_loop(0.5)
            await measured(lags, len(lags) + 2)
            go_on.set()
            await running
    event = next(each for each in events if each["event"] == "loop_lagged" and each["seconds"] >= 0.4)
    assert [each.partition("_")[0] for each in event["beside"] if each.startswith("heavy")] == ["heavy"]


async def test_one_line_says_how_often_it_was() -> None:
    lags: list[float] = []
    with capture_logs() as events:
        async with LoopLag(lags.append, late=0.1) as lag:
            for _ in range(3):
                await measured(lags, len(lags) + 1)
                hold_the_loop(0.3)
            await measured(lags, len(lags) + 2)
            lag._logged -= loop_lag.LOGGED_EVERY
            hold_the_loop(0.3)
            await measured(lags, len(lags) + 2)
    told = [each["unlogged"] for each in events if each["event"] == "loop_lagged"]
    assert (told[0], len(told)) == (0, 2)
    assert told[1] >= 2


async def test_a_loop_that_does_not_come_back_is_reported_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "STUCK", 0.2)
    lags: list[float] = []
    with capture_logs() as events:
        async with LoopLag(lags.append, late=0.1):
            await measured(lags, 1)
            hold_the_loop(0.6)
            stuck = [each for each in events if each["event"] == "loop_stuck"]
            await measured(lags, len(lags) + 2)
    assert len(stuck) == 1  # once, while it was stuck
    assert stuck[0]["at"][0].startswith("tests.runtime.test_loop_lag:hold_the_loop:")
