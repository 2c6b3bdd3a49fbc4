"""Registrations of many versions: pages are fetched ahead, once each, and requested again if they changed."""

import asyncio
import json
from typing import Any

import pytest

from tests.fakes.faults import status
from tests.fakes.gallery import Document
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running

OURS = "/v3/registration-gz-semver2/big"
THEIRS = "/v3/registration5-gz-semver2/big"


@pytest.fixture
def big(upstream: FakeUpstream) -> FakeUpstream:
    """`Big` with 200 versions: four pages. `Other` with one."""
    upstream.add_package("Other", "1.0.0")
    for number in range(200):
        upstream.add_package("Big", f"1.0.{number}")
    return upstream


def commit(upstream: FakeUpstream, name: str, *pages: int) -> None:
    """Write commits into the index and the pages with these numbers, as nuget.org does."""
    index = _document(upstream, f"{THEIRS}/index.json")
    for number, head in enumerate(index["items"]):
        path = head["@id"].removeprefix(upstream.base)
        page = _document(upstream, path)
        if number in pages or "commitId" not in page:
            page |= {"commitId": name, "commitTimeStamp": f"2026-01-01T00:00:00.{name}Z"}
        head |= {key: page[key] for key in ("commitId", "commitTimeStamp")}
        _put(upstream, path, page)
    _put(upstream, f"{THEIRS}/index.json", index)


def _document(upstream: FakeUpstream, path: str) -> Any:
    found = upstream.gallery.find(path)
    assert found is not None
    return json.loads(found.body)


def _put(upstream: FakeUpstream, path: str, document: Any) -> None:
    upstream.gallery.extra[path] = Document(json.dumps(document).encode())


async def read_all(mirror: Any) -> list[Any]:
    """As a client does: the index, then page after page."""
    index = await mirror.json(f"{OURS}/index.json")
    return [await mirror.json(page["@id"].removeprefix(mirror.base)) for page in index["items"]]


async def settled(upstream: FakeUpstream, pattern: str, count: int) -> None:
    async with asyncio.timeout(5):
        while upstream.requests_for(pattern) < count:
            await asyncio.sleep(0.005)


async def test_an_index_sets_its_pages_under_way(big, tmp_path):
    async with running(tmp_path, big) as mirror:
        await mirror.get(f"{OURS}/index.json")
        await settled(big, f"{THEIRS}/page/*", 4)


async def test_reading_one_after_another_costs_one_request_a_page(big, tmp_path):
    async with running(tmp_path, big) as mirror:
        pages = await read_all(mirror)
    assert [page["count"] for page in pages] == [64, 64, 64, 8]
    assert big.requests_for(f"{THEIRS}/page/*") == 4
    assert big.requests_for(f"{THEIRS}/index.json") == 1


async def test_a_page_sets_the_next_ones_under_way(big, tmp_path):
    """
    A client that has the index from before reads its pages only; those before them stay unread.
    """
    async with running(tmp_path, big) as mirror:
        page = await mirror.json(f"{OURS}/page/1.0.64/1.0.127.json")
        await settled(big, f"{THEIRS}/page/*", 3)
        await mirror.json(f"{OURS}/page/1.0.128/1.0.191.json")
        await mirror.json(f"{OURS}/page/1.0.192/1.0.199.json")
    assert page["count"] == 64
    assert big.requests_for(f"{THEIRS}/page/*") == 3
    assert big.requests_for(f"{THEIRS}/page/1.0.0/*") == 0


async def test_many_readers_cost_no_more(big, tmp_path):
    async with running(tmp_path, big) as mirror:
        read = await asyncio.gather(*(read_all(mirror) for _ in range(10)))
    assert all(pages == read[0] for pages in read)
    assert big.requests_for(f"{THEIRS}/page/*") == 4


async def test_old_hives_cost_the_same_pages(big, tmp_path):
    async with running(tmp_path, big) as mirror:
        plain = await mirror.json("/v3/registration/big/index.json")
        await read_all(mirror)
    assert sum(page["count"] for page in plain["items"]) == 200
    assert big.requests_for(f"{THEIRS}/page/*") == 4


class TestCommits:
    async def test_a_page_of_the_named_commit_is_not_asked_for(self, big, tmp_path, later):
        """
        Long past its freshness: the index confirms it.
        """
        commit(big, "001")
        async with running(tmp_path, big) as mirror:
            await read_all(mirror)
            later(7200.0)
            await read_all(mirror)
        assert big.requests_for(f"{THEIRS}/page/*") == 4
        assert big.requests_for(f"{THEIRS}/index.json") == 2

    async def test_a_page_of_another_commit_is_asked_for_however_fresh(self, big, tmp_path, later):
        """
        Our copy of the page is fresh for an hour; a newer index overrides that.
        """
        commit(big, "001")
        async with running(tmp_path, big) as mirror:
            await mirror.json(f"{OURS}/index.json")
            later(3000.0)
            await mirror.json(f"{OURS}/page/1.0.0/1.0.63.json")
            await settled(big, f"{THEIRS}/page/*", 4)
            big.gallery.change("Big", "1.0.5", listed=False)
            del big.gallery.extra[f"{THEIRS}/page/1.0.0/1.0.63.json"], big.gallery.extra[f"{THEIRS}/index.json"]
            commit(big, "002", 0)
            later(700.0)
            page = (await read_all(mirror))[0]
        assert page["items"][5]["catalogEntry"]["listed"] is False
        assert big.requests_for(f"{THEIRS}/page/1.0.0/*") == 2
        assert big.requests_for(f"{THEIRS}/page/*") == 5

    async def test_an_upstream_whose_commits_never_agree_is_not_asked_more(self, big, tmp_path, later):
        commit(big, "001")
        index = _document(big, f"{THEIRS}/index.json")
        for page in index["items"]:
            page["commitId"] = "another"
        _put(big, f"{THEIRS}/index.json", index)
        async with running(tmp_path, big) as mirror:
            for _ in range(3):
                await read_all(mirror)
                later(5.0)
        assert big.requests_for(f"{THEIRS}/page/*") == 4


class TestHealing:
    async def test_an_index_whose_page_vanished_is_asked_for_once_more(self, big, tmp_path, later):
        """
        With one more version the last page has another name: a client with our old index still gets its versions.
        """
        async with running(tmp_path, big) as mirror:
            async with asyncio.timeout(5):
                big.fault(f"{THEIRS}/page/*", status(404))
                await mirror.json(f"{OURS}/index.json")
                await settled(big, f"{THEIRS}/page/*", 4)
            big.heal()
            later(20.0)
            big.add_package("Big", "1.0.200")
            last = await mirror.json(f"{OURS}/page/1.0.192/1.0.199.json")
        assert last["count"] == 8
        assert big.requests_for(f"{THEIRS}/index.json") == 2

    async def test_an_index_that_names_a_page_for_ever_gone_is_nonsense(self, big, tmp_path):
        _put(big, f"{THEIRS}/index.json", _document(big, f"{THEIRS}/index.json"))
        for number in range(200):
            big.gallery.remove("Big", f"1.0.{number}")
        async with running(tmp_path, big) as mirror:
            answer = await mirror.get(f"{OURS}/page/1.0.0/1.0.63.json")
        assert answer.status == 502
        assert "lists a page that does not exist" in answer.reason


class TestOfAnotherId:
    """
    A cache in between that mixes its entries up does not poison ours.
    """

    async def test_an_index_is_refused(self, big, tmp_path):
        other = big.gallery.find(f"{THEIRS}/index.json".replace("big", "other"))
        big.fault(f"{THEIRS}/index.json", status(200, body=other.body))
        async with running(tmp_path, big, upstream_settings={"patience": 0.1}) as mirror:
            refused = await mirror.get(f"{OURS}/index.json")
            assert (refused.status, "it belongs to Other" in refused.reason) == (502, True)
            big.heal()
            assert (await mirror.get(f"{OURS}/index.json")).status == 200

    async def test_a_page_is_refused(self, big, tmp_path):
        page = _document(big, f"{THEIRS}/index.json".replace("big", "other"))["items"][0]
        big.fault(f"{THEIRS}/page/*", status(200, body=json.dumps(page).encode()))
        async with running(tmp_path, big, upstream_settings={"patience": 0.1}) as mirror:
            assert (await mirror.get(f"{OURS}/1.0.0.json")).status == 502

    async def test_what_is_kept_stays(self, big, tmp_path, later):
        other = big.gallery.find(f"{THEIRS}/index.json".replace("big", "other"))
        async with running(tmp_path, big, upstream_settings={"patience": 0.1}) as mirror:
            kept = await mirror.get(f"{OURS}/index.json")
            later(4000.0)
            big.fault(f"{THEIRS}/index.json", status(200, body=other.body))
            assert (await mirror.get(f"{OURS}/index.json")).body == kept.body
