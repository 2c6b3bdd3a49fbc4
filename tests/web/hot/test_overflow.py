"""Documents that do not fit into memory: found on disk, unchanged, and never after something newer."""

import asyncio
import os
import random
import time

import pytest

from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.web.hot import overflow as module
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.hot.overflow import BATCH, LARGEST, SLOTS, SMALLEST_FILE, Overflow
from nugetproxy.web.hot.table import HotTable
from tests.web.lanes import JSON_HEADERS, hot_json


@pytest.fixture
async def overflow(tmp_path):
    made = Overflow(tmp_path, SMALLEST_FILE)
    yield made
    await made.close()


async def written(overflow: Overflow) -> None:
    while overflow._writing is not None:
        await overflow._writing


def told(answer: HotAnswer | None) -> object:
    if answer is None:
        return None
    forms = [None if form is None else (form.described(), form.body) for form in (answer.identity, answer.gzip)]
    names = ("resource", "provenance", "is_negotiated", "has_ttl", "expires", "needs_reader", "gzip_unasked", "digest")
    return forms, [getattr(answer, name) for name in (*names, "since")]


@pytest.mark.parametrize("key", [b"/a?q=1", (b"/a", b"http://host:1")])
@pytest.mark.parametrize("is_written", [False, True])
async def test_an_answer_is_found_as_it_was(overflow, key, is_written):
    answer = HotAnswer(
        "registration",
        Provenance(Outcome.STALE, 5.5, -1.0, True, "why"),
        None,
        HotVariant((*JSON_HEADERS, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")), os.urandom(3000)),
        is_negotiated=True,
        expires=12.5,
        needs_reader=True,
        gzip_unasked=True,
        digest="d",
        since=3.25,
    )
    overflow.put(key, answer)
    if is_written:
        overflow._write()
        await written(overflow)

    assert told(overflow.find(key)) == told(answer)
    assert overflow.find(b"/other") is None


async def test_both_forms_are_found(overflow):
    answer = hot_json(b"plain", b"packed")
    overflow.put(b"/a", answer)

    assert told(overflow.find(b"/a")) == told(answer)


@pytest.mark.parametrize("size", [0, 1, 20_000, LARGEST])
async def test_bodies_of_any_size(overflow, size):
    answer = hot_json(os.urandom(size))
    overflow.put(b"/a", answer)
    overflow._write()
    await written(overflow)

    assert told(overflow.find(b"/a")) == told(answer)


async def test_a_body_that_is_too_large_is_not_kept(overflow):
    overflow.put(b"/a", hot_json(bytes(LARGEST + 1)))

    assert overflow.find(b"/a") is None


async def test_while_a_batch_is_written_it_is_found_too(overflow, monkeypatch):
    go_on = asyncio.Event()

    class Slow:
        async def run(self, work, *args):
            await go_on.wait()
            work(*args)

    monkeypatch.setattr(module, "DISK", Slow())
    answer = hot_json(os.urandom(5000))
    overflow.put(b"/a", answer)
    overflow._write()
    during = told(overflow.find(b"/a"))
    go_on.set()
    await written(overflow)

    assert during == told(answer) == told(overflow.find(b"/a"))


async def test_documents_faster_than_the_disk_are_not_kept(overflow, monkeypatch):
    never = asyncio.Event()

    class Stuck:
        async def run(self, work, *args):
            await never.wait()

    monkeypatch.setattr(module, "DISK", Stuck())
    for number in range(40):
        overflow.put(b"/%d" % number, hot_json(bytes(100_000)))

    assert len(overflow._gathered) + len(overflow._flying) < 3 * BATCH
    never.set()


async def test_overwriting_the_file_gives_right_answers_or_none(overflow):
    """
    The file is overwritten from its start: lost answers are not found, and answers are never mixed.
    """
    chosen = random.Random(1)
    expected: dict[bytes, bytes] = {}
    found = wrong = 0
    for _ in range(600):
        key = b"/%d" % chosen.randrange(150)
        expected[key] = chosen.randbytes(chosen.randrange(60_000))
        overflow.put(key, hot_json(expected[key]))
        await written(overflow)
        asked = b"/%d" % chosen.randrange(150)
        answer = overflow.find(asked)
        if answer is not None and answer.identity is not None:
            found += 1
            wrong += answer.identity.body != expected[asked]

    assert wrong == 0
    assert found > 100


async def test_what_is_forgotten_or_cleared_is_not_found(overflow):
    for key in (b"/a", b"/b"):
        overflow.put(key, hot_json())
    overflow.forget(b"/a")
    after_forgetting = [overflow.find(key) is not None for key in (b"/a", b"/b")]
    overflow.clear()

    assert after_forgetting == [False, True]
    assert overflow.find(b"/b") is None


async def test_answers_outside_the_page_cache_are_not_found(overflow, monkeypatch):
    overflow.put(b"/a", hot_json(os.urandom(5000)))
    overflow._write()
    await written(overflow)

    def preadv(*_):
        raise BlockingIOError

    monkeypatch.setattr(os, "preadv", preadv)

    assert overflow.find(b"/a") is None


async def test_a_full_disk_ends_it(overflow, monkeypatch):
    def pwrite(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", pwrite)
    overflow.put(b"/a", hot_json())
    overflow._write()
    await written(overflow)
    overflow.put(b"/b", hot_json())

    assert [overflow.find(key) for key in (b"/a", b"/b")] == [None, None]


async def test_it_leaves_no_file(tmp_path):
    overflow = Overflow(tmp_path, SMALLEST_FILE)
    overflow.put(b"/a", hot_json())
    overflow._write()
    names = list(tmp_path.iterdir())
    await overflow.close()

    assert names == []


# --- behind the table ---


def find(table: HotTable, target: str) -> HotAnswer | None:
    return table.find(target.encode(), b"http://a", time.monotonic())


async def test_answers_evicted_from_memory_are_found_on_disk(overflow):
    table = HotTable(100_000, overflow=overflow)
    # Of two targets in one slot only the newer would be found; which ones share a slot differs from run to run.
    targets = {hash(target.encode()) % SLOTS: target for target in (f"/{number}" for number in range(200))}
    bodies = {target: os.urandom(2000) for target in targets.values()}
    for target, body in bodies.items():
        table.offer(target, None, hot_json(body))

    for target, body in bodies.items():
        answer = find(table, target)
        assert answer is not None
        assert answer.identity is not None
        assert answer.identity.body == body
    assert table.held_bytes <= 100_000


async def test_what_has_expired_is_not_found_on_disk(overflow):
    table = HotTable(1000, overflow=overflow)
    table.offer("/a", None, hot_json(expires=time.monotonic() + 60))

    assert table.find(b"/a", b"http://a", time.monotonic()) is not None
    assert table.find(b"/a", b"http://a", time.monotonic() + 61) is None


async def test_an_older_answer_never_comes_back(overflow):
    """
    The newer one is too large to be kept: then neither is found.
    """
    table = HotTable(1000, overflow=overflow)
    table.offer("/a", None, hot_json(b"old"))
    table.offer("/a", None, hot_json(bytes(LARGEST + 1)))

    assert find(table, "/a") is None


async def test_a_change_makes_what_is_on_disk_forgotten(overflow):
    changes = [0]
    table = HotTable(1000, lambda: changes[0], overflow)
    table.offer("/a", None, hot_json())
    changes[0] = 1

    assert find(table, "/a") is None


async def test_an_answer_for_one_host_is_not_found_for_another(overflow):
    table = HotTable(1000, overflow=overflow)
    table.offer("/a", "http://a", hot_json())

    assert table.find(b"/a", b"http://b", time.monotonic()) is None
    assert table.find(b"/a http://a", b"http://a", time.monotonic()) is None
    assert find(table, "/a") is not None


async def test_what_was_found_here_is_not_written_again(overflow):
    """
    Unless its record would soon be overwritten.
    """
    overflow.put(b"/a", hot_json(b"a" * 1000))
    found = overflow.find(b"/a")
    assert found is not None
    before = len(overflow._gathered)
    for _ in range(3):
        overflow.put(b"/a", found)
    assert len(overflow._gathered) == before

    body = os.urandom(100_000)
    for number in range(SMALLEST_FILE // len(body) - 5):
        overflow.put(b"/%d" % number, hot_json(body))
        await written(overflow)
    position = found.position
    overflow.put(b"/a", found)
    assert found.position > position
    assert told(overflow.find(b"/a")) == told(found)


async def test_what_another_answer_displaced_is_written_again(overflow):
    overflow.put(b"/a", hot_json(b"a"))
    found = overflow.find(b"/a")
    assert found is not None
    overflow.forget(b"/a")
    overflow.put(b"/a", found)
    assert told(overflow.find(b"/a")) == told(found)
