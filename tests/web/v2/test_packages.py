"""Packages at the addresses of the V2 feed."""

import pytest

from nugetproxy.feeds.base import LocalFile, Part
from nugetproxy.web.hot.table import HotTable
from tests.fakes.feed import Growing
from tests.web.catalogue import CatalogueFeed
from tests.web.serving import serving, status_of

BASE = "/api/v2"
PACKAGE = b"PK\x03\x04 and so on"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.nupkg"
    path.write_bytes(PACKAGE)
    return LocalFile(path, len(PACKAGE), 1_700_000_000, "etag")


@pytest.mark.parametrize("path", ["/package/alpha.lib/1.1.0", "/package/Alpha.Lib/1.1", "/package/ALPHA.LIB"])
async def test_a_package_is_served_directly(feed, file, path):
    feed.contents[Part.NUPKG] = file
    async with serving(feed) as client, client.get(BASE + path) as answer:
        assert (answer.status, await answer.read()) == (200, PACKAGE)


async def test_parts_of_a_package_are_served(feed, file):
    feed.contents[Part.NUPKG] = file
    async with serving(feed) as client:
        answer = await client.get(f"{BASE}/package/alpha.lib/1.1.0", headers={"Range": "bytes=2-4"})

        assert (answer.status, await answer.read()) == (206, PACKAGE[2:5])


async def test_a_package_that_is_still_arriving_is_served(feed):
    feed.contents[Part.NUPKG] = Growing([PACKAGE[:3], PACKAGE[3:]])
    async with serving(feed) as client, client.get(f"{BASE}/package/alpha.lib/1.1.0") as answer:
        assert await answer.read() == PACKAGE


@pytest.mark.parametrize(
    ("expected", "versions"),
    [
        ("1.1.0", {"1.0.0": True, "1.1.0": True, "2.0.0-rc": True}),
        ("1.0.0", {"1.0.0": True, "1.1.0": False}),
        ("1.1.0", {"1.1.0": False, "2.0.0-rc": True}),
        ("2.0.0-rc", {"2.0.0-beta": True, "2.0.0-rc": True}),
    ],
)
async def test_the_newest_package_is_stable_and_listed_if_there_is_one(expected, versions):
    feed = CatalogueFeed()
    for version, listed in versions.items():
        feed.add("A", version, listed=listed)
    async with serving(feed) as client:
        await status_of(client, f"{BASE}/package/A")

    assert [str(package.version) for method, (package, _) in _contents(feed)] == [expected]


async def test_the_newest_package_is_another_tomorrow(feed, file, monkeypatch):
    """
    Caches may keep its bytes forever under the URL of its version, under this one only while it is the newest.
    """
    feed.contents[Part.NUPKG] = file
    table, offered, ages = HotTable(1024 * 1024), [], []
    monkeypatch.setattr(HotTable, "offer", lambda _, target, *__: offered.append(target))
    async with serving(feed, hot=table) as client:
        for path in ("/package/alpha.lib", "/package/alpha.lib/1.1.0"):
            async with client.get(BASE + path) as answer:
                assert (answer.status, await answer.read()) == (200, PACKAGE)
                ages.append(int(answer.headers["Cache-Control"].partition("max-age=")[2]))

    assert ages == [20 + 40, 20 + 3600]  # 20 s of each have passed
    assert offered == [f"{BASE}/package/alpha.lib/1.1.0"]


def _contents(feed):
    return [each for each in feed.asked if each[0] == "content"]
