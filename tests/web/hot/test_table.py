"""The hot table: what is found, for how long, and within which limits."""

import os
import time
from pathlib import Path

import pytest

from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.conditional import Whole
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.storage.revisions import ALL, ANY
from nugetproxy.web.hot.answer import ENTRY_BYTES, HotAnswer, HotVariant
from nugetproxy.web.hot.open_files import RECHECK_SECONDS
from nugetproxy.web.hot.table import ROUTES, HotTable
from nugetproxy.web.http.compression import Codings
from tests.web.lanes import HIT, JSON_HEADERS, hot_json

HOST = b"http://a"


def found(table: HotTable, target: str, now: float | None = None, host: bytes = HOST) -> HotAnswer | None:
    return table.find(target.encode(), host, time.monotonic() if now is None else now)


def test_an_offered_answer_is_found():
    table = HotTable(1_000_000)
    answer = hot_json()
    table.offer("/a?q=1", None, answer)

    assert found(table, "/a?q=1") is answer
    assert found(table, "/a") is None
    assert found(table, "/A?q=1") is None


def test_an_answer_for_a_host_is_for_that_host():
    table = HotTable(1_000_000)
    answer = hot_json()
    table.offer("/a", "http://a", answer)

    assert found(table, "/a") is answer
    assert found(table, "/a", host=b"https://a") is None
    assert found(table, "/a", host=b"http://b") is None


def test_a_target_followed_by_a_host_is_not_the_key_of_another():
    table = HotTable(1_000_000)
    table.offer("/a", "http://a", hot_json())

    assert table.find(b"/a http://a", b"http://b", 0.0) is None
    assert table.find(b"/a\nhttp://a", b"http://b", 0.0) is None
    assert table.find(b"/a", b"http://a http://b", 0.0) is None


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

    assert found(table, "/a", now + 9.9) is not None
    assert found(table, "/a", now + 10) is None
    assert (len(table), table.held_bytes) == (0, 0)


def test_what_has_expired_is_not_kept():
    table = HotTable(1_000_000)
    table.offer("/a", None, hot_json(expires=time.monotonic()))

    assert len(table) == 0


def test_the_least_recently_found_leaves_first():
    table = HotTable(int(3 * (len("/a") + 1000 + ENTRY_BYTES) / (1 - ROUTES)) + 1)
    for name in "abc":
        table.offer(f"/{name}", None, hot_json(b"x" * 1000))
    found(table, "/a")
    for _ in range(2):
        table.offer("/d", None, hot_json(b"x" * 1000))

    assert [found(table, target) is not None for target in ("/a", "/b", "/c", "/d")] == [
        True,
        False,
        True,
        True,
    ]


def test_the_table_is_bounded_by_bytes():
    table = HotTable(100_000)
    for number in range(100):
        for _ in range(2):
            table.offer(f"/{number}", None, hot_json(b"x" * 5_000, b"y" * 500))

    assert table.held_bytes <= 100_000
    assert table.held_bytes == sum(len(key) + answer.size for key, answer in table._documents.answers.items())


def test_a_long_target_counts_towards_the_limit():
    table = HotTable(int(100_000 / (1 - ROUTES)))
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

    assert found(table, "/a") is newer
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
    variant = HotVariant(JSON_HEADERS, b"{}")
    answer = HotAnswer("versions", told, variant, since=100.0)
    head = answer.head(variant, Whole(), "Date: today\r\n", 110.5).decode()

    assert head.split("\r\n") == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        'ETag: "e"',
        "Content-Length: 2",
        "Age: 15",
        "Cache-Status: nugetproxy; hit; ttl=49",
        "Date: today",
        "X-Request-Id: ",
    ]


def package(path: Path, size: int | None = None) -> HotAnswer:
    file = LocalFile(path, path.stat().st_size if size is None else size, 0, "e")
    return HotAnswer("nupkg", HIT, HotVariant(JSON_HEADERS, file))


def test_a_package_is_kept_without_its_bytes(tmp_path):
    (tmp_path / "f").write_bytes(os.urandom(3_000_000))
    table = HotTable(1_000_000)
    table.offer("/f", None, package(tmp_path / "f"))

    assert found(table, "/f") is not None
    assert table.held_bytes == len("/f") + ENTRY_BYTES


def test_a_file_of_another_size_does_not_become_hot(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(10_000_000)
    table.offer("/f", None, package(tmp_path / "f", size=4))

    assert len(table) == 0


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_file_that_changed_is_noticed(tmp_path, change):
    """
    Mirrored files never change, but an operator may take one away.
    """
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(10_000_000)
    table.offer("/f", None, package(tmp_path / "f"))
    if change == "removed":
        (tmp_path / "f").unlink()
    else:
        (tmp_path / "g").write_bytes(b"xyz")
        (tmp_path / "g").rename(tmp_path / "f")
    now = time.monotonic()

    assert found(table, "/f", now) is not None
    assert found(table, "/f", now + RECHECK_SECONDS + 1) is None


def test_a_file_that_stays_is_found_on(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(10_000_000)
    table.offer("/f", None, package(tmp_path / "f"))

    assert found(table, "/f", time.monotonic() + RECHECK_SECONDS + 1) is not None


def test_packages_evict_no_documents(tmp_path):
    """
    A mirror has more packages than memory for them; the documents that every restore needs stay.
    """
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(100_000)
    table.offer("/document", None, hot_json())
    for number in range(200):
        for _ in range(2):
            table.offer(f"/{number}", None, package(tmp_path / "f"))

    assert found(table, "/document") is not None
    assert table.held_bytes <= ENTRY_BYTES * 2 + 100_000 * ROUTES


def test_one_pass_over_everything_evicts_nothing():
    """
    A crawler or a prewarm asks for each document once.
    """
    table = HotTable(100_000)
    used = [f"/used/{number}" for number in range(20)]
    for target in used:
        table.offer(target, None, hot_json(b"x" * 500))
    for number in range(1000):
        table.offer(f"/once/{number}", None, hot_json(b"x" * 500))

    assert all(found(table, target) for target in used)


def test_an_answer_requested_twice_evicts_one_requested_once():
    table = HotTable(100_000)
    for number in range(200):
        table.offer(f"/{number}", None, hot_json(b"x" * 500))
    for _ in range(2):
        table.offer("/again", None, hot_json(b"x" * 500))

    assert found(table, "/again") is not None


def form(body: bytes, digest: str, *, is_gzip: bool) -> HotAnswer:
    made = HotVariant(JSON_HEADERS, body)
    plain, zipped = (None, made) if is_gzip else (made, None)
    return HotAnswer("versions", HIT, plain, zipped, is_negotiated=True, digest=digest)


def bodies(answer: HotAnswer | None) -> list[object]:
    assert answer is not None
    variants = (answer.variant_for(codings) for codings in (Codings.GZIP, Codings.NO_GZIP))
    return [None if variant is None else variant.body for variant in variants]


def test_only_the_form_that_was_asked_for_is_kept():
    table = HotTable(100_000)
    table.offer("/a", None, form(b"packed", "d", is_gzip=True))

    assert bodies(found(table, "/a")) == [b"packed", None]


def test_two_forms_of_one_document_are_one_answer():
    table = HotTable(100_000)
    table.offer("/a", None, form(b"packed", "d", is_gzip=True))
    table.offer("/a", None, form(b"plain", "d", is_gzip=False))

    assert bodies(found(table, "/a")) == [b"packed", b"plain"]


def test_forms_of_two_documents_are_not_mixed():
    table = HotTable(100_000)
    table.offer("/a", None, form(b"packed", "old", is_gzip=True))
    table.offer("/a", None, form(b"plain", "new", is_gzip=False))

    assert bodies(found(table, "/a")) == [None, b"plain"]


async def test_closing_leaves_nothing(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    table = HotTable(10_000_000)
    table.offer("/f", None, package(tmp_path / "f"))
    table.offer("/a", None, hot_json())
    await table.close()

    assert (len(table), table.held_bytes) == (0, 0)


def test_a_change_makes_everything_forgotten():
    """
    What was kept before a push, a revocation or the loss of an upstream is not found after it.
    """
    changes = [0]
    table = HotTable(100_000, lambda: changes[0])
    table.offer("/x", None, hot_json(), seen=0)
    assert found(table, "/x") is not None

    changes[0] = 1
    assert found(table, "/x") is None
    assert table.held_bytes == 0


def test_an_answer_made_before_a_change_is_not_kept():
    """
    A handler that read its data before the change may offer after it: its answer is old.
    """
    changes = [0]
    table = HotTable(100_000, lambda: changes[0])
    changes[0] = 1
    table.offer("/x", None, hot_json(), seen=0)

    assert found(table, "/x") is None


def test_an_answer_that_we_renew_is_renewed_by_one_request():
    table = HotTable(1_000_000)
    now = time.monotonic()
    answer = hot_json(expires=now + 10, grace=2.0)
    table.offer("/a", None, answer)

    assert [found(table, "/a", now + later) is answer for later in (9, 10, 10.1, 11.9)] == [True, False, True, True]
    assert found(table, "/a", now + 12) is None
    assert found(table, "/a", now + 12) is None


def test_an_answer_that_nobody_asked_for_in_time_is_not_used_after_its_end():
    table = HotTable(1_000_000)
    now = time.monotonic()
    table.offer("/a", None, hot_json(expires=now + 10, grace=2.0))

    assert [found(table, "/a", now + later) for later in (12, 12.1)] == [None, None]


def test_an_answer_being_renewed_is_outdated_by_a_change():
    packages = {ANY: 0, ALL: 0}
    table = HotTable(1_000_000, epoch=lambda: packages[ALL], packages=packages)
    now = time.monotonic()
    table.offer("/a", None, hot_json(expires=now + 10, grace=2.0))
    found(table, "/a", now + 10)
    packages[ANY] += 1

    assert found(table, "/a", now + 10.1) is None
