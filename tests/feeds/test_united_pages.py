"""Pages over hosted, protected and mirrored together, compared with a plain list: all rows once, one total."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nugetproxy.accounts.reservations import ProtectedPrefixes
from nugetproxy.feeds.base import Feed
from nugetproxy.feeds.mapped import Mapped, MappedSource
from nugetproxy.feeds.overlay import Overlay
from nugetproxy.feeds.paging import FIRST, SMALL
from nugetproxy.feeds.protected import Protected
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from tests.feeds.scripted import ScriptedFeed

ONE = ["1.0.0"]
Page = tuple[int | None, Sequence[str]]
Ask = Callable[[Feed, int, int], Awaitable[Page]]


@dataclass(frozen=True)
class Case:
    """The ids of both halves; an upstream's id is identified by its position there.

    `doubles` are also hosted: `merged` of them are merged, and `unfound` of them are not found by hosted searches.
    `protected` are look-alikes that must not be visible.
    """

    upstream: int
    hosted: int = 0
    doubles: frozenset[int] = frozenset()
    merged: frozenset[int] = frozenset()
    unfound: frozenset[int] = frozenset()
    protected: frozenset[int] = frozenset()

    def id_of(self, place: int) -> str:
        return f"Contoso.{place}" if place in self.protected else f"Public.{place}"

    @property
    def shared(self) -> list[int]:
        return [place for place in sorted(self.doubles - self.protected) if place < self.upstream]

    @property
    def dropped(self) -> list[int]:
        kept = {place for place in self.shared if place in self.merged and place in self.unfound}
        places = set(self.shared) - kept | self.protected
        return sorted(place for place in places if place < self.upstream)

    @property
    def united(self) -> list[str]:
        """Everything that must be visible, in order."""
        ours = [f"Ours.{number}" for number in range(self.hosted)]
        ours += [self.id_of(place) for place in self.shared if place not in self.unfound]
        return ours + [self.id_of(place) for place in range(self.upstream) if place not in self.dropped]

    def feed(self) -> Overlay:
        below = ScriptedFeed("below", {self.id_of(place): ONE for place in range(self.upstream)})
        names = [f"Ours.{number}" for number in range(self.hosted)] + [self.id_of(place) for place in self.shared]
        hosted = ScriptedFeed("hosted", dict.fromkeys(names, ONE), burnt=["never.seen"])
        hosted.hidden_from_search = frozenset(self.id_of(place) for place in self.unfound)
        merged = frozenset(self.id_of(place).lower() for place in self.merged)

        async def prefixes() -> ProtectedPrefixes:
            return ProtectedPrefixes(frozenset({"contoso."}))

        ignored: Callable[[str], None] = lambda _: None  # noqa: E731
        return Overlay(hosted, Protected(prefixes, below, ignored, ignored), merged.__contains__)


places = st.frozensets(st.integers(0, 140), max_size=12)
cases = st.builds(
    Case,
    upstream=st.integers(0, 140) | st.sampled_from([29, 30, 31, 99, 100, 101]),
    hosted=st.integers(0, 45),
    doubles=places,
    merged=places,
    unfound=places,
    protected=places,
)


async def searched(feed: Feed, skip: int, take: int) -> Page:
    page = (await feed.search(SearchQuery(skip=skip, take=take))).value
    return page.total, [hit.id for hit in page.hits]


async def completed(feed: Feed, skip: int, take: int) -> Page:
    page = (await feed.complete(CompletionQuery(text="", skip=skip, take=take))).value
    return page.total, page.values


async def all_pages(feed: Feed, ask: Ask, take: int, end: int) -> tuple[list[str], set[int | None]]:
    """The rows of all pages in sequence, up to `end` and beyond, and every total that they state."""
    shown: list[str] = []
    totals = {(await ask(feed, 0, 0))[0]}
    for skip in range(0, end + take + 1, take):
        total, ids = await ask(feed, skip, take)
        assert len(ids) == take or skip + take >= end, "a page before the end is full"
        totals.add(total)
        shown += ids
    return shown, totals


@pytest.mark.parametrize("ask", [searched, completed])
@settings(max_examples=40, deadline=None)
@given(case=cases, take=st.sampled_from([3, 7, 20, 30, 31, 100, 1000]))
@example(case=Case(upstream=40, hosted=20), take=20)
@example(case=Case(upstream=140, doubles=frozenset({139})), take=20)
@example(case=Case(upstream=140, doubles=frozenset({29, 30}), protected=frozenset({0})), take=30)
@example(case=Case(upstream=60, doubles=frozenset(range(50))), take=7)
@example(case=Case(upstream=120, protected=frozenset(range(0, 120, 2))), take=20)
@example(case=Case(0), take=20)
def test_pages_of_any_size_are_slices_of_one_list_with_one_total(ask: Ask, case: Case, take: int) -> None:
    """
    The total counts the visible rows: exactly if the upstream finds at most a hundred; otherwise it may include rows
    that are hidden after the upstream's first thirty.
    """
    if ask is completed and case.unfound:
        case = Case(case.upstream, case.hosted, case.doubles, case.merged, protected=case.protected)
    shown, totals = asyncio.run(all_pages(case.feed(), ask, take, len(case.united)))
    assert shown == case.united
    (total,) = totals
    hidden_deep = 0 if case.upstream <= SMALL else sum(place >= FIRST for place in case.dropped)
    assert total is not None
    assert len(case.united) <= total <= len(case.united) + hidden_deep


async def test_a_merged_id_far_down_among_hosted_ids_is_shown_once() -> None:
    """
    The hosted feed returns at most a thousand hits per answer, and this one comes after them.
    """
    case = Case(upstream=5, hosted=1200, doubles=frozenset({3}), merged=frozenset({3}))
    for ask in (searched, completed):
        shown, totals = await all_pages(case.feed(), ask, 600, 1205)
        assert shown == case.united
        assert totals == {1205}


@settings(max_examples=40, deadline=None)
@given(
    each=st.lists(st.lists(st.integers(0, 200), unique=True, max_size=140), min_size=1, max_size=3),
    take=st.sampled_from([3, 20, 31, 100]),
)
def test_pages_over_several_upstreams_are_slices_of_one_list(each: list[list[int]], take: int) -> None:
    feeds = [ScriptedFeed(str(place), {f"P.{number}": ONE for number in ids}) for place, ids in enumerate(each)]
    mapped = Mapped([MappedSource(feed.name, feed, ("*",)) for feed in feeds])
    there = {f"P.{number}" for ids in each for number in ids}
    for ask in (searched, completed):
        shown, totals = asyncio.run(all_pages(mapped, ask, take, len(there)))
        assert sorted(shown) == sorted(there)
        (total,) = totals
        assert total is not None
        assert total >= len(there)
        if all(len(ids) <= SMALL for ids in each):
            assert total == len(there)
