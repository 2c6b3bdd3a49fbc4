"""Pages from which rows are dropped: the requests, the remaining rows, and the stated total."""

from collections.abc import Sequence

import pytest

from nugetproxy.feeds.paging import Found, Rows, first_rows


class Service:
    """Rows by number. `told`: the total it states, "right" for the correct one; `most`: maximum rows per response."""

    def __init__(self, rows: Sequence[str], *, told: int | str | None = "right", most: int = 1000) -> None:
        self.rows = rows
        self.told = told
        self.most = most
        self.asked: list[tuple[int, int]] = []

    async def ask(self, skip: int, take: int) -> Rows[str]:
        self.asked.append((skip, take))
        total = len(self.rows) if isinstance(self.told, str) else self.told
        return Rows(tuple(self.rows[skip : skip + min(take, self.most)]), total)

    async def found(self, wanted: int, *dropped: str) -> Found[str]:
        async def keep(rows: Sequence[str]) -> list[str]:
            return [row for row in rows if row not in dropped]

        return await first_rows(self.ask, keep, str.lower, wanted)


def numbers(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("rows", "wanted", "asked"),
    [
        (0, 20, [(0, 30)]),
        (20, 20, [(0, 30)]),
        (30, 20, [(0, 30)]),
        (40, 20, [(0, 30), (30, 70)]),
        (101, 20, [(0, 30)]),
        (101, 31, [(0, 30), (30, 70)]),
        (5000, 0, [(0, 30)]),
        (5000, 150, [(0, 30), (30, 70), (100, 200)]),
    ],
)
async def test_request_boundaries_do_not_depend_on_what_is_wanted(rows, wanted, asked) -> None:
    service = Service(numbers(rows))
    found = await service.found(wanted)
    assert service.asked == asked
    assert found.rows[:wanted] == tuple(numbers(rows)[:wanted])


@pytest.mark.parametrize("wanted", [0, 1, 20, 30, 31, 99, 100, 1000])
@pytest.mark.parametrize("place", [0, 1, 28, 29, 30, 31, 98, 99])
async def test_a_hundred_rows_are_counted_exactly_on_every_page(wanted, place) -> None:
    assert (await Service(numbers(100)).found(wanted, f"r{place}")).total == 99


@pytest.mark.parametrize("wanted", [0, 1, 20, 30, 31, 100, 101, 1000])
@pytest.mark.parametrize(("place", "total"), [(0, 100), (29, 100), (30, 101), (100, 101)])
async def test_with_more_rows_those_dropped_after_the_first_thirty_are_counted(wanted, place, total) -> None:
    assert (await Service(numbers(101)).found(wanted, f"r{place}")).total == total


@pytest.mark.parametrize("wanted", [0, 20, 60, 500])
async def test_a_service_that_returns_fewer_rows_than_requested_is_read_further(wanted) -> None:
    found = await Service(numbers(70), most=20).found(wanted, "r25", "r65")
    assert found.rows[:wanted] == tuple(row for row in numbers(70) if row not in ("r25", "r65"))[:wanted]
    assert found.total == 68


async def test_a_service_without_paging_is_asked_once() -> None:
    class Static(Service):
        async def ask(self, skip: int, take: int) -> Rows[str]:
            self.asked.append((skip, take))
            return Rows(tuple(self.rows), len(self.rows))

    service = Static(numbers(400))
    found = await service.found(350, "r200")
    assert (len(service.asked), len(found.rows), found.total) == (1, 399, 399)


async def test_a_row_that_moved_between_two_requests_is_shown_once() -> None:
    rows = numbers(60)
    rows[30] = "R29"
    found = await Service(rows).found(60)
    assert found.rows == tuple(row for row in rows if row != "R29")
    assert found.total == 59


@pytest.mark.parametrize(("told", "wanted", "total"), [(None, 20, 30), (None, 200, 250), (10, 20, 30), (10, 100, 100)])
async def test_a_missing_or_too_small_total_is_at_least_the_number_of_rows_found(told, wanted, total) -> None:
    found = await Service(numbers(250), told=told).found(wanted)
    assert found.total == total
    assert found.rows[:wanted] == tuple(numbers(250)[:wanted])


async def test_no_service_is_asked_forever() -> None:
    service = Service(numbers(5000), most=1)
    await service.found(4000)
    assert len(service.asked) == 12
