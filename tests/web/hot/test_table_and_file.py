"""The hot table over the file of answers: evicted answers are found again, outdated ones never."""

import os
import time

import pytest

from nugetproxy.feeds.base import HOSTED, LocalFile
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.storage.revisions import ALL, ANY
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.hot.answer_file import LARGEST
from nugetproxy.web.hot.records import name_of
from nugetproxy.web.hot.table import HotTable
from tests.web.hot.answer_files import written
from tests.web.lanes import JSON_HEADERS, hot_json


def find(table: HotTable, target: str) -> HotAnswer | None:
    return table.find(target.encode(), b"http://a", time.monotonic())


async def test_answers_evicted_from_memory_are_found_on_disk(answers):
    table = HotTable(100_000, file=answers)
    bodies = {f"/{number}": os.urandom(2000) for number in range(200)}
    for target, body in bodies.items():
        table.offer(target, None, hot_json(body))

    for target, body in bodies.items():
        answer = find(table, target)
        assert answer is not None
        assert answer.identity is not None
        assert answer.identity.body == body
    assert table.held_bytes <= 100_000


async def test_what_has_expired_is_not_found_on_disk(answers):
    table = HotTable(1000, file=answers)
    now = time.monotonic()
    table.offer("/a", None, hot_json(expires=now + 60))

    assert table.find(b"/a", b"http://a", time.monotonic()) is not None
    assert table.find(b"/a", b"http://a", now + 61) is None
    assert table.find(b"/a", b"http://a", now - 5) is None  # from before a boot, by a clock that started again


async def test_an_older_answer_never_comes_back(answers, another):
    """The newer one is too large to be kept: then neither is found."""
    table = HotTable(1000, file=answers)
    table.offer("/a", None, hot_json(b"old"))
    await written(answers)
    table.offer("/a", None, hot_json(bytes(LARGEST + 1)))

    assert find(table, "/a") is None
    assert find(HotTable(1000, file=another), "/a") is None


@pytest.mark.parametrize("changed", [ALL, 1, ANY])
async def test_a_change_makes_outdated_what_depends_on_it(answers, another, changed):
    packages = {ANY: 0, ALL: 0, 1: 0, 2: 0}
    tables = [HotTable(100_000, epoch=lambda: packages[ALL], packages=packages, file=f) for f in (answers, another)]
    groups = {"/one": 1, "/two": 2, "/search": ANY}
    for target, group in groups.items():
        tables[0].offer(target, None, hot_json(group=group))
    await written(answers)
    before = [[find(table, target) is not None for target in groups] for table in tables]
    packages[changed] += 1

    after = [[find(table, target) is not None for target in groups] for table in tables]
    assert before == [[True] * 3] * 2
    assert after == [[changed not in (ALL, group) for group in groups.values()]] * 2


async def test_what_another_worker_renewed_is_not_rendered_again(answers, another):
    tables = [HotTable(100_000, file=file) for file in (answers, another)]
    now = time.monotonic()
    tables[0].offer("/a", None, hot_json(b"old", expires=now + 10))
    await written(answers)
    tables[1].offer("/a", None, hot_json(b"new", expires=now + 20))
    await written(another)

    found = [tables[0].find(b"/a", b"http://a", now + later) for later in (5, 15, 25)]

    assert [None if each is None or each.identity is None else each.identity.body for each in found] == [
        b"old",
        b"new",
        None,
    ]


async def test_an_answer_made_during_a_change_is_not_kept(answers):
    changes = [0]
    table = HotTable(100_000, lambda: changes[0], epoch=lambda: 0, file=answers)
    changes[0] = 1
    table.offer("/a", None, hot_json(), seen=0)
    table.offer("/b", None, hot_json(), seen=1)

    assert [find(table, target) is not None for target in ("/a", "/b")] == [False, True]


@pytest.mark.parametrize(
    ("provenance", "is_shared"),
    [
        (Provenance(Outcome.HIT), True),
        (Provenance(Outcome.HIT, detail=HOSTED), True),
        (Provenance(Outcome.HIT, detail="offline"), True),
        (Provenance(Outcome.HIT, detail="upstream-away"), False),
        (Provenance(Outcome.STALE), False),
        (Provenance(Outcome.OWN), False),
    ],
)
async def test_only_what_holds_in_every_process_is_shared(answers, another, provenance, is_shared):
    table = HotTable(100_000, file=answers)
    table.offer("/a", None, HotAnswer("versions", provenance, HotVariant(JSON_HEADERS, b"{}")))
    await written(answers)

    assert find(table, "/a") is not None
    assert (find(HotTable(100_000, file=another), "/a") is not None) is is_shared


async def test_queries_that_clients_make_up_do_not_push_out_the_others(answers):
    table = HotTable(100_000, file=answers)
    for number in range(300):
        table.offer(f"/query?q={number}", None, hot_json(os.urandom(1000)))
    table.offer("/a", None, hot_json())

    assert len(answers._gathered) < 10
    assert find(table, "/a") is not None


async def test_downloads_are_counted_by_every_worker(answers, another):
    counted: list[str] = []
    table = HotTable(100_000, file=answers)
    table.offer("/a", None, hot_json(count="id/1.0", counted=lambda: None))
    await written(answers)
    other = HotTable(100_000, file=another, counting=lambda count: lambda: counted.append(count))
    answer = find(other, "/a")
    assert answer is not None
    assert answer.counted is not None
    answer.counted()

    assert counted == ["id/1.0"]


async def test_the_two_forms_of_a_document_are_united(answers, another):
    one, other = (HotTable(100_000, file=file) for file in (answers, another))
    plain, zipped = HotVariant(JSON_HEADERS, b"plain"), HotVariant((), b"zip")
    one.offer("/a", None, HotAnswer("v", Provenance(Outcome.HIT), plain, None, True, digest="d"))
    await written(answers)
    other.offer("/a", None, HotAnswer("v", Provenance(Outcome.HIT), None, zipped, True, digest="d"))
    await written(another)

    answer = answers.find(b"/a")
    assert answer is not None
    assert answer.identity is not None
    assert answer.gzip is not None


async def test_an_answer_for_one_host_is_not_found_for_another(answers):
    table = HotTable(1000, file=answers)
    table.offer("/a", "http://a", hot_json())

    assert table.find(b"/a", b"http://b", time.monotonic()) is None
    assert table.find(b"/a http://a", b"http://a", time.monotonic()) is None
    assert find(table, "/a") is not None


def test_a_key_with_a_host_is_written_as_no_target_could_be():
    assert name_of((b"/a", b"http://host")) == b"/a http://host"  # no target has a space


async def test_a_package_is_found_as_a_route(answers, another, tmp_path):
    file = tmp_path / "package"
    file.write_bytes(b"content")
    table = HotTable(100_000, file=answers)
    variant = HotVariant(JSON_HEADERS, LocalFile(file, 7, 5, "tag"), modified=5)
    table.offer("/p", None, HotAnswer("nupkg", Provenance(Outcome.HIT), variant))
    await written(answers)

    other = HotTable(100_000, file=another)
    answer = find(other, "/p")
    assert answer is not None
    assert answer.file is not None
    assert answer.identity is not None
    assert (answer.file.path, answer.file.size, answer.identity.modified) == (str(file), 7, 5)
    file.write_bytes(b"changed")
    os.utime(file, ns=(1, 1))
    assert find(HotTable(100_000, file=another), "/p") is None
