"""The log behind the catalog, as a mirror reads it."""

import asyncio
import json
from typing import Any

import pytest

from nugetproxy.hosting.events import HostedEvents
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.times import stamp_in_url, ticks_in_url
from nugetproxy.protocol.v3.catalog import (
    write_catalog_deletion,
    write_catalog_index,
    write_catalog_page,
)
from nugetproxy.protocol.v3.deprecation import Deprecation
from tests.hosting.house import House
from tests.protocol.writing import write_catalog_details

LINKS = Links("https://ours.example")
ONE = PackageIdentity.parse("contoso.utils", "1.0.0")
HERE = "192.0.2.1"


class Follower:
    """A mirror that keeps a cursor and reads only documents (docs/api/catalog-resource)."""

    def __init__(self, events: HostedEvents) -> None:
        self._events = events
        self.cursor = "1970-01-01T00:00:00.0000000Z"
        self.seen: list[tuple[str, str]] = []

    async def follow(self) -> None:
        index = json.loads(write_catalog_index(await self._events.pages(), await self._events.times(), LINKS))
        for page in sorted(index["items"], key=lambda page: str(page["commitTimeStamp"])):
            if page["commitTimeStamp"] > self.cursor:
                await self._read(int(page["@id"].removesuffix(".json").rpartition("page")[2]))

    async def _read(self, number: int) -> None:
        page = json.loads(write_catalog_page(number, await self._events.page(number), LINKS))
        for item in sorted(page["items"], key=lambda item: str(item["commitTimeStamp"])):
            if item["commitTimeStamp"] > self.cursor:
                self.cursor = item["commitTimeStamp"]
                self.seen.append((item["@type"].removeprefix("nuget:Package"), item["nuget:version"]))


def small_pages(house: House) -> HostedEvents:
    return HostedEvents(house.database, page_size=3)


async def push(house: House, *versions: str) -> None:
    alice = await house.actor()
    for version in versions:
        await house.push(alice, version=version)


@pytest.mark.parametrize(
    ("pushes", "counts"), [(0, []), (1, [1]), (2, [2]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])]
)
async def test_pages_are_filled_one_after_another(house: House, pushes: int, counts: list[int]) -> None:
    await push(house, *(f"{number}.0.0" for number in range(1, pushes + 1)))
    events = small_pages(house)
    assert [page.count for page in await events.pages()] == counts
    assert [len(await events.page(page.number)) for page in await events.pages()] == counts
    assert await events.page(len(counts)) == ()


async def test_a_full_page_is_frozen(house: House) -> None:
    await push(house, "1.0.0", "2.0.0", "3.0.0")
    events = small_pages(house)
    before = write_catalog_page(0, await events.page(0), LINKS)
    row = (await events.pages())[0]
    await push(house, "4.0.0")
    await house.publish.unlist(await house.actor(), ONE, address=HERE)
    assert write_catalog_page(0, await events.page(0), LINKS) == before
    assert (await events.pages())[0] == row


async def test_a_mirror_follows_every_event_once_in_order(house: House) -> None:
    follower = Follower(small_pages(house))
    alice, root = await house.actor(), await house.actor("root", administrator=True)
    await follower.follow()
    await push(house, "1.0.0", "2.0.0")
    await follower.follow()
    await house.publish.unlist(alice, ONE, address=HERE)
    await push(house, "3.0.0", "4.0.0", "5.0.0", "6.0.0")
    await follower.follow()
    await house.publish.delete(root, ONE, address=HERE)
    await follower.follow()
    await follower.follow()
    expected = ["1.0.0", "2.0.0", "1.0.0", "3.0.0", "4.0.0", "5.0.0", "6.0.0"]
    assert follower.seen == [*(("Details", version) for version in expected), ("Delete", "1.0.0")]


async def test_a_mirror_that_reads_while_others_push_misses_nothing(house: House, other: House) -> None:
    follower = Follower(small_pages(house))
    alice = await house.actor()

    async def push_some(place: House, name: str) -> None:
        for number in range(1, 21):
            await place.push(alice, version=f"{number}.0.0-{name}")

    pushing = asyncio.gather(push_some(house, "a"), push_some(other, "b"))
    while not pushing.done():
        await follower.follow()
        await asyncio.sleep(0.001)
    await pushing
    await follower.follow()
    assert follower.seen == [("Details", item.version) for item in await house.events.after(0, 100)]
    assert len(follower.seen) == 40


async def test_a_leaf_describes_the_version_at_that_moment(house: House) -> None:
    alice = await house.actor()
    await push(house, "1.0.0")
    await house.publish.unlist(alice, ONE, address=HERE)
    await house.publish.deprecate(alice, ONE.id, [ONE.version], Deprecation(("Other",), "m"), address=HERE)
    await house.publish.delete(await house.actor("root", administrator=True), ONE, address=HERE)
    leaves = [await leaf_of(house, item.stamp) for item in await house.events.after(0, 10)]
    assert [(leaf.get("listed"), "deprecation" in leaf) for leaf in leaves] == [
        (True, False),
        (False, False),
        (False, True),
        (None, False),
    ]
    assert [leaf["@type"][0] for leaf in leaves] == ["PackageDetails"] * 3 + ["PackageDelete"]
    assert len({leaf.get("packageHash") for leaf in leaves[:3]}) == 1
    assert leaves[0]["packageEntries"][0]["fullName"] == "Contoso.Utils.nuspec"
    assert leaves[0]["created"] == leaves[2]["created"] < leaves[1]["lastEdited"] < leaves[2]["lastEdited"]


async def leaf_of(house: House, stamp: int) -> dict[str, Any]:
    """As a handler creates it, from the stamp in the leaf's URL."""
    ticks = ticks_in_url(stamp_in_url(stamp))
    assert ticks is not None
    found = await house.events.find(ticks)
    assert found is not None
    if found.details is None:
        body = write_catalog_deletion(found.item, found.verbatim_version, LINKS)
    else:
        body = write_catalog_details(found.item, found.details, LINKS)
    document: dict[str, Any] = json.loads(body)
    return document


async def test_an_unknown_stamp_names_nothing(house: House) -> None:
    await push(house, "1.0.0")
    [item] = await house.events.after(0, 1)
    assert await house.events.find(item.stamp + 1) is None


async def test_the_index_knows_when_things_last_happened(house: House) -> None:
    await push(house, "1.0.0", "2.0.0")
    times = await house.events.times()
    assert times.created == times.edited is not None
    assert times.deleted is None
    await house.publish.unlist(await house.actor(), ONE, address=HERE)
    await house.publish.delete(await house.actor("root", administrator=True), ONE, address=HERE)
    after = await house.events.times()
    assert after.created == times.created
    assert after.edited is not None
    assert after.deleted is not None
    assert times.created is not None
    assert times.created < after.edited < after.deleted
