import asyncio

import pytest

from nugetproxy.mirroring.documents.coalescing import FlightsClosedError, SingleFlight


class Work:
    """Work that counts its runs and ends when told."""

    def __init__(self):
        self.runs = 0
        self.may_end = asyncio.Event()

    async def __call__(self):
        self.runs += 1
        await self.may_end.wait()
        return self.runs


@pytest.fixture
def work():
    return Work()


@pytest.fixture
async def flights():
    flights = SingleFlight()
    yield flights
    await flights.close()


async def turns(number=5):
    for _ in range(number):
        await asyncio.sleep(0)


async def test_fifty_callers_share_one_run(work):
    joined = []
    flights = SingleFlight(lambda: joined.append(1))
    askers = [asyncio.ensure_future(flights.run("key", work)) for _ in range(50)]
    await turns()
    work.may_end.set()

    assert await asyncio.gather(*askers) == [1] * 50
    assert (work.runs, len(joined)) == (1, 49)


async def test_different_keys_run_separately(flights, work):
    askers = [asyncio.ensure_future(flights.run(key, work)) for key in "abc"]
    await turns()
    work.may_end.set()
    await asyncio.gather(*askers)

    assert work.runs == 3


async def test_a_later_caller_starts_again(flights, work):
    work.may_end.set()

    assert [await flights.run("key", work), await flights.run("key", work)] == [1, 2]


async def test_a_cancelled_caller_does_not_affect_others(flights, work):
    leaver, stayer = (asyncio.ensure_future(flights.run("key", work)) for _ in range(2))
    await turns()
    leaver.cancel()
    await turns()
    work.may_end.set()

    assert await stayer == 1
    assert leaver.cancelled()


async def test_the_work_continues_after_all_callers_were_cancelled(flights, work):
    """
    Work that was started for one caller is available to the next.
    """
    leaver = asyncio.ensure_future(flights.run("key", work))
    await turns()
    leaver.cancel()
    await turns()
    assert "key" in flights
    asker = asyncio.ensure_future(flights.run("key", work))
    await turns()
    work.may_end.set()

    assert await asker == 1


async def test_a_failure_reaches_all_callers(flights):
    async def fail():
        await turns()
        raise ValueError("broken")

    results = await asyncio.gather(*(flights.run("key", fail) for _ in range(3)), return_exceptions=True)

    assert [str(result) for result in results] == ["broken"] * 3


async def test_a_failure_is_not_remembered(flights, work):
    async def fail():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await flights.run("key", fail)
    work.may_end.set()

    assert await flights.run("key", work) == 1


async def test_an_unawaited_failure_is_not_reported_by_asyncio(flights):
    """
    Warnings are errors here: a task whose exception is never retrieved would fail this test.
    """
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail():
        raise ValueError("broken")

    flights.start("key", fail)
    await turns()

    assert (reported, "key" in flights) == ([], False)


async def test_started_work_can_be_joined(flights, work):
    flights.start("key", work)
    flights.start("key", work)
    asker = asyncio.ensure_future(flights.run("key", work))
    await turns()
    work.may_end.set()

    assert (await asker, work.runs) == (1, 1)


async def test_closing_cancels_the_work_and_fails_the_callers(work):
    flights = SingleFlight()
    asker = asyncio.ensure_future(flights.run("key", work))
    await turns()
    await flights.close()

    with pytest.raises(FlightsClosedError):
        await asker
    with pytest.raises(FlightsClosedError):
        await flights.run("key", work)
    assert "key" not in flights


async def test_the_repr_shows_how_much_is_running(flights, work):
    flights.start("key", work)

    assert repr(flights) == "<SingleFlight: 1 running>"
