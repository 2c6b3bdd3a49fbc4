"""The hot table: what is found, for how long, and within which bounds."""

import asyncio
import mmap
import os
import threading
import time
from pathlib import Path

import pytest

from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.web.hot import files
from nugetproxy.web.hot import table as hot
from nugetproxy.web.hot.table import ENTRY_BYTES, HotAnswer, HotTable, HotVariant
from nugetproxy.web.http.cache_headers import live_headers
from tests.web.lanes import HIT, JSON_HEADERS, hot_json

HOST = b"http://a"


def test_an_offered_answer_is_found():
    table = HotTable(1_000_000)
    answer = hot_json()
    table.offer("/a?q=1", None, answer)

    assert table.find(b"/a?q=1", HOST) is answer
    assert table.find(b"/a", HOST) is None
    assert table.find(b"/A?q=1", HOST) is None


def test_an_answer_for_a_host_is_for_that_host():
    table = HotTable(1_000_000)
    answer = hot_json()
    table.offer("/a", "http://a", answer)

    assert table.find(b"/a", b"http://a") is answer
    assert table.find(b"/a", b"https://a") is None
    assert table.find(b"/a", b"http://b") is None


def test_a_target_with_a_host_behind_it_is_no_key_of_another():
    table = HotTable(1_000_000)
    table.offer("/a", "http://a", hot_json())

    assert table.find(b"/a http://a", b"http://b") is None
    assert table.find(b"/a\nhttp://a", b"http://b") is None
    assert table.find(b"/a", b"http://a http://b") is None


@pytest.mark.parametrize("target", ["/a b", "/a\tb", "/a\x00", "/a\x7f", "/é", "a", "", "*", "http://a/a"])
def test_only_plain_targets_are_kept(target):
    table = HotTable(1_000_000)
    table.offer(target, None, hot_json())
    table.offer(target, "http://a", hot_json())

    assert len(table) == 0


def test_an_answer_expires():
    table = HotTable(1_000_000)
    now = time.monotonic()
    table.offer("/a", None, hot_json(expires=now + 10))

    assert table.find(b"/a", HOST, now + 9.9) is not None
    assert table.find(b"/a", HOST, now + 10) is None
    assert (len(table), table.held_bytes) == (0, 0)


def test_what_has_expired_is_not_kept():
    table = HotTable(1_000_000)
    table.offer("/a", None, hot_json(expires=time.monotonic()))

    assert len(table) == 0


def test_the_least_recently_found_leaves_first():
    table = HotTable(3 * (len("/a") + 1000 + ENTRY_BYTES))
    for name in "abc":
        table.offer(f"/{name}", None, hot_json(b"x" * 1000))
    table.find(b"/a", HOST)
    table.offer("/d", None, hot_json(b"x" * 1000))

    assert [table.find(target, HOST) is not None for target in (b"/a", b"/b", b"/c", b"/d")] == [
        True,
        False,
        True,
        True,
    ]


def test_the_table_is_bounded_by_bytes():
    table = HotTable(100_000)
    for number in range(100):
        table.offer(f"/{number}", None, hot_json(b"x" * 5_000, b"y" * 500))

    assert table.held_bytes <= 100_000
    assert table.held_bytes == sum(len(key) + answer.size for key, answer in table._answers.items())


def test_a_long_target_takes_its_part_of_the_bound():
    table = HotTable(100_000)
    for number in range(10):
        table.offer(f"/query?q={'x' * 20_000}{number}", None, hot_json())

    assert len(table) == 4


def test_an_answer_that_would_fill_the_table_is_not_kept():
    table = HotTable(100_000)
    table.offer("/a", None, hot_json(b"x" * 60_000))

    assert len(table) == 0


def test_a_new_answer_takes_the_place_of_the_old():
    table = HotTable(100_000)
    table.offer("/a", None, hot_json(b"old"))
    newer = hot_json(b"newer")
    table.offer("/a", None, newer)

    assert table.find(b"/a", HOST) is newer
    assert table.held_bytes == len("/a") + newer.size


@pytest.mark.parametrize("target", ["/é", "/\udcff"])
def test_a_target_that_is_not_ascii_is_not_kept(target):
    table = HotTable(100_000)
    table.offer(target, None, hot_json())

    assert len(table) == 0


def test_an_answer_can_be_discarded():
    table = HotTable(100_000)
    table.offer("/a", None, hot_json())
    table.discard("/a", None)
    table.discard("/never", None)

    assert (len(table), table.held_bytes) == (0, 0)


def test_a_head_ages():
    """
    Age grows and the ttl shrinks while an answer waits.
    """
    told = Provenance(Outcome.HIT, age=5.0, fresh_for=60.0)
    answer = HotAnswer("versions", told, HotVariant(JSON_HEADERS, b"{}"), None, live_headers, since=100.0)
    head = answer.render(answer.identity, 1_700_000_000, 110.5).decode()

    assert head.split("\r\n") == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        'ETag: "e"',
        "Age: 15",
        "Cache-Status: nugetproxy; hit; ttl=49",
        "Content-Length: 2",
        "Date: Tue, 14 Nov 2023 22:13:20 GMT",
        "",
    ]


async def hot_file(table: HotTable, path: Path, size: int | None = None) -> None:
    file = LocalFile(path, path.stat().st_size if size is None else size, 0, "e")
    table.offer("/f", None, HotAnswer("nupkg", HIT, HotVariant(JSON_HEADERS, file)))
    await asyncio.gather(*table._loading)


@pytest.mark.parametrize(("size", "kind"), [(0, bytes), (1000, bytes), (2_000_000, mmap.mmap)])
async def test_a_file_is_in_memory_before_it_can_be_found(tmp_path, size, kind):
    body = os.urandom(size)
    (tmp_path / "f").write_bytes(body)
    table = HotTable(10_000_000)
    file = LocalFile(tmp_path / "f", size, 0, "e")
    table.offer("/f", None, HotAnswer("nupkg", HIT, HotVariant(JSON_HEADERS, file)))
    at_once = table.find(b"/f", HOST)
    await asyncio.gather(*table._loading)
    found = table.find(b"/f", HOST)

    assert at_once is None
    assert found is not None
    assert isinstance(found.identity.body, kind)
    assert found.identity.body[:] == body
    await table.close()


async def test_a_file_of_another_size_does_not_become_hot(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(10_000_000)
    await hot_file(table, tmp_path / "f", size=4)

    assert len(table) == 0
    await table.close()


@pytest.mark.parametrize("change", ["removed", "replaced"])
async def test_a_file_that_changed_is_noticed(tmp_path, change):
    """
    Mirrored files never change, but an operator may take one away.
    """
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(10_000_000)
    await hot_file(table, tmp_path / "f")
    if change == "removed":
        (tmp_path / "f").unlink()
    else:
        (tmp_path / "g").write_bytes(b"xyz")
        (tmp_path / "g").rename(tmp_path / "f")
    now = time.monotonic()

    assert table.find(b"/f", HOST, now) is not None
    assert table.find(b"/f", HOST, now + files.RECHECK_SECONDS + 1) is None
    await table.close()


async def test_a_file_that_stays_is_found_on(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(10_000_000)
    await hot_file(table, tmp_path / "f")

    assert table.find(b"/f", HOST, time.monotonic() + files.RECHECK_SECONDS + 1) is not None
    await table.close()


async def test_files_being_read_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(hot, "MAX_LOADING", 2)
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(10_000_000)
    for number in range(5):
        file = LocalFile(tmp_path / "f", 3, 0, "e")
        table.offer(f"/{number}", None, HotAnswer("nupkg", HIT, HotVariant(JSON_HEADERS, file)))

    assert len(table._loading) == 2
    await table.close()


async def test_a_file_read_for_a_forgotten_answer_is_not_kept_for_a_new_one(tmp_path, monkeypatch):
    """
    What a prefix now protects must not come back under the name of what is pushed at that very moment.
    """
    reading, go_on, read = threading.Event(), threading.Event(), files.read_file

    def slow(file: LocalFile):
        reading.set()
        go_on.wait(10)
        return read(file)

    monkeypatch.setattr(hot, "read_file", slow)
    changes = [0]
    table = HotTable(1_000_000, lambda: changes[0])
    (tmp_path / "f").write_bytes(b"abc")
    file = LocalFile(tmp_path / "f", 3, 0, "e")
    old, new = (HotAnswer("nupkg", HIT, HotVariant(JSON_HEADERS, file)) for _ in range(2))
    table.offer("/f", None, old)
    await asyncio.to_thread(reading.wait, 10)
    changes[0] = 1
    table.offer("/f", None, new)
    go_on.set()
    await asyncio.gather(*table._loading)

    assert table.find(b"/f", HOST) is new
    await table.close()


async def test_closing_leaves_nothing(tmp_path):
    (tmp_path / "f").write_bytes(os.urandom(2_000_000))
    table = HotTable(10_000_000)
    file = LocalFile(tmp_path / "f", 2_000_000, 0, "e")
    table.offer("/f", None, HotAnswer("nupkg", HIT, HotVariant(JSON_HEADERS, file)))
    table.offer("/a", None, hot_json())
    await table.close()

    assert (len(table), table.held_bytes) == (0, 0)


def test_a_change_makes_everything_forgotten():
    """
    What was kept before a push, a revocation or an upstream's death is not found after it.
    """
    changes = [0]
    table = HotTable(100_000, lambda: changes[0])
    table.offer("/x", None, hot_json(), seen=0)
    assert table.find(b"/x", b"http://a") is not None

    changes[0] = 1
    assert table.find(b"/x", b"http://a") is None
    assert table.held_bytes == 0


def test_an_answer_made_before_a_change_is_not_kept():
    """
    A handler that looked before the change may offer after it: what it made is old.
    """
    changes = [0]
    table = HotTable(100_000, lambda: changes[0])
    changes[0] = 1
    table.offer("/x", None, hot_json(), seen=0)

    assert table.find(b"/x", b"http://a") is None
