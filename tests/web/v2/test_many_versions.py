"""Very large and very many versions in the V2 feed."""

from dataclasses import replace

import pytest
from yarl import URL

from tests.fakes.feed import a_leaf
from tests.web.feeds_read import read
from tests.web.serving import serving

BASE = "/api/v2"


# --- versions that are too large --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/FindPackagesById()?id='alpha.lib'", "/Packages()?$filter=Id%20eq%20'Alpha.Lib'"])
async def test_a_version_that_does_not_fit_is_left_out(feed, path):
    feed.packages["alpha.lib"][0] = replace(feed.packages["alpha.lib"][0], fits=False)
    async with serving(feed) as client:
        shown = await read(client, BASE + path)

    assert shown.entries == ["Alpha.Lib 1.1.0"]


@pytest.mark.parametrize(
    ("path", "known_of"),
    [
        ("/FindPackagesById()?id='alpha.lib'", "each version of Alpha.Lib"),
        ("/Packages(Id='Alpha.Lib',Version='1.0.0')", "Alpha.Lib 1.0.0"),
    ],
)
async def test_without_any_other_it_is_an_error_and_not_empty(feed, path, known_of):
    feed.packages["alpha.lib"] = [replace(leaf, fits=False) for leaf in feed.packages["alpha.lib"]]
    async with serving(feed) as client, client.get(BASE + path) as answer:
        assert answer.status == 500
        assert answer.reason == f"the metadata of {known_of} is larger than the limit of 262144 bytes"


# --- very many versions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/Packages()?$filter=Id%20eq%20'a'%20or%20Id%20eq%20'b'",
        "/GetUpdates()?packageIds='a|b'&versions='0.1|0.1'&includeAllVersions=true",
    ],
)
async def test_ids_of_too_many_versions_together_are_refused(feed, path, monkeypatch):
    """
    Fifty ids of thousands of versions each would be gigabytes in memory.
    """
    feed.packages |= {
        name: [replace(a_leaf(name, f"1.{each}.0"), size=100) for each in range(10)] for name in ("a", "b")
    }
    async with serving(feed) as client:
        assert len((await read(client, BASE + path)).entries) == 20
        monkeypatch.setattr("nugetproxy.web.v2.gathering.LARGEST_GATHERED", 1_500)
        async with client.get(URL(BASE + path, encoded=True)) as answer:
            assert (answer.status, "ask for fewer of them at a time" in (answer.reason or "")) == (400, True)


async def test_a_single_id_may_have_any_number_of_versions(feed, monkeypatch):
    monkeypatch.setattr("nugetproxy.web.v2.gathering.LARGEST_GATHERED", 100)
    feed.packages["a"] = [replace(a_leaf("a", f"1.{each}.0"), size=100) for each in range(10)]
    async with serving(feed) as client:
        assert len((await read(client, f"{BASE}/FindPackagesById()?id='a'")).entries) == 10


async def test_the_highest_updates_of_many_ids_are_not_too_much(feed, monkeypatch):
    monkeypatch.setattr("nugetproxy.web.v2.gathering.LARGEST_GATHERED", 100)
    feed.packages |= {name: [replace(a_leaf(name, "1.0.0"), size=1_000)] for name in ("a", "b")}
    async with serving(feed) as client:
        found = await read(client, f"{BASE}/GetUpdates()?packageIds='a|b'&versions='0.1|0.1'")
    assert found.entries == ["a 1.0.0", "b 1.0.0"]


async def test_a_filter_on_very_many_versions_uses_the_newest(feed, monkeypatch):
    for name in ("Beta.One", "Beta.Two"):
        for each in range(5):
            feed.add(name, f"1.{each}.0", tags="many")
    monkeypatch.setattr("nugetproxy.web.v2.searching.MOST_ROWS", 6)
    async with serving(feed) as client:
        found = await read(client, f"{BASE}/Search()?searchTerm='beta'&$filter=Version%20ne%20'9.0'")

    assert found.entries == [f"{name} 1.{each}.0" for name in ("Beta.One", "Beta.Two") for each in (2, 3, 4)]
