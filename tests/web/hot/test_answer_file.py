"""Answers on disk: found unchanged by every worker, also after a restart, and never after something newer."""

import asyncio
import os
import random
import subprocess
import sys

import pytest

from nugetproxy.storage.reserve import NO_RESERVE, Reserve
from nugetproxy.web.hot import answer_file as module
from nugetproxy.web.hot.answer_file import BATCH, LARGEST, SMALLEST_FILE, AnswerFile
from nugetproxy.web.hot.records import answer_of, record_of
from tests.web.hot.answer_files import NAME, complete, opened, told, written
from tests.web.lanes import hot_json


@pytest.mark.parametrize("key", [b"/a?q=1", (b"/a", b"http://host:1")])
async def test_an_answer_is_found_as_it_was_by_all_workers(answers, another, key):
    answer = complete()
    answers.put(key, answer)
    before = told(answers.find(key))
    await written(answers)

    assert before == told(answer) == told(answers.find(key)) == told(another.find(key))
    assert another.find(b"/other") is None


async def test_it_is_still_there_after_a_restart(answers, tmp_path):
    answer = complete()
    answers.put(b"/a", answer)
    await answers.close()

    again = opened(tmp_path)
    assert told(again.find(b"/a")) == told(answer)
    await again.close()


async def test_closing_waits_for_all_that_is_being_written(answers, tmp_path, monkeypatch):
    go_on = asyncio.Event()

    class Slow:
        async def run(self, work, *args):
            await go_on.wait()
            await asyncio.sleep(0.01)
            return work(*args)

    monkeypatch.setattr(module, "DISK", Slow())
    bodies = [os.urandom(150_000) for _ in range(8)]
    kept = [answers.put(b"/%d" % number, hot_json(body)) for number, body in enumerate(bodies)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(answers.close())
    await asyncio.sleep(0)
    go_on.set()
    await closing

    assert sum(kept) == 8  # two batches
    again = opened(tmp_path)
    found = [again.find(b"/%d" % number) for number in range(8)]
    assert [None if each is None or each.identity is None else each.identity.body for each in found] == bodies
    await again.close()


async def test_what_was_put_while_others_were_written_is_written_too(answers, another, monkeypatch):
    go_on = asyncio.Event()

    class Slow:
        async def run(self, work, *args):
            await go_on.wait()
            return work(*args)

    monkeypatch.setattr(module, "DISK", Slow())
    answers.put(b"/a", hot_json())
    answers._write()
    answers.put(b"/b", hot_json())
    answers._write()  # as the timer does, which is not set again
    go_on.set()
    while answers._writing is not None:
        await answers._writing

    assert another.find(b"/b") is not None


async def test_other_settings_find_nothing_and_disturb_nobody(answers, another, tmp_path):
    answers.put(b"/a", hot_json(b"old"))
    await written(answers)
    changed = opened(tmp_path, b"different")
    at_first = changed.find(b"/a")
    changed.put(b"/a", hot_json(b"new"))
    await written(changed)
    answers.put(b"/b", hot_json(b"old too"))
    await written(answers)

    assert at_first is None
    assert changed.find(b"/b") is None
    assert another.find(b"/a").identity.body == b"old"
    assert another.find(b"/b") is not None
    await changed.close()


@pytest.mark.parametrize("size", [0, 1, 20_000, LARGEST])
async def test_bodies_of_any_size(answers, another, size):
    answer = hot_json(os.urandom(size), os.urandom(size))
    answers.put(b"/a", answer)
    await written(answers)

    assert told(another.find(b"/a")) == told(answer)


async def test_a_body_that_is_too_large_is_not_kept(answers):
    assert not answers.put(b"/a", hot_json(bytes(LARGEST + 1)))
    assert answers.find(b"/a") is None


def test_no_damaged_record_is_an_answer():
    record = record_of(b"/a", complete())
    chosen = random.Random(1)
    for _ in range(2000):
        damaged = bytearray(record)
        damaged[chosen.randrange(4, len(record))] ^= 1 << chosen.randrange(8)
        assert answer_of(b"/a", bytes(damaged)) is None
    assert answer_of(b"/b", record) is None


async def test_a_damaged_file_has_no_answers(answers, another, tmp_path):
    answers.put(b"/a", hot_json(os.urandom(50_000)))
    await written(answers)
    position = another.find(b"/a").position
    with (tmp_path / NAME).open("r+b") as file:
        file.seek(module._DATA + position + 30_000)
        file.write(b"damaged")

    assert another.find(b"/a") is None


async def test_while_a_batch_is_written_it_is_found_too(answers, monkeypatch):
    go_on = asyncio.Event()

    class Slow:
        async def run(self, work, *args):
            await go_on.wait()
            return work(*args)

    monkeypatch.setattr(module, "DISK", Slow())
    answer = hot_json(os.urandom(5000))
    answers.put(b"/a", answer)
    answers.put(b"/b", hot_json())
    answers._write()
    await asyncio.sleep(0)
    during = told(answers.find(b"/a"))
    answers.forget(b"/b")
    go_on.set()
    await written(answers)

    assert during == told(answer) == told(answers.find(b"/a"))
    assert answers.find(b"/b") is None


async def test_answers_faster_than_the_disk_are_not_kept(answers, monkeypatch):
    never = asyncio.Event()

    class Stuck:
        async def run(self, work, *args):
            await never.wait()
            return work(*args)

    monkeypatch.setattr(module, "DISK", Stuck())
    kept = [answers.put(b"/%d" % number, hot_json(bytes(100_000))) for number in range(40)]
    await asyncio.sleep(0)

    assert sum(kept) * 100_000 < 3 * BATCH
    assert len(answers._gathered) + len(answers._flying) == sum(kept)
    never.set()


async def test_overwriting_the_file_gives_right_answers_or_none(answers, another):
    """Two workers write from its start to its end and again: lost answers are not found, and answers never mixed."""
    chosen = random.Random(1)
    expected: dict[bytes, set[bytes]] = {}
    found = wrong = 0
    for number in range(600):
        key = b"/%d" % chosen.randrange(150)
        body = chosen.randbytes(chosen.randrange(60_000))
        expected.setdefault(key, set()).add(body)
        writer = (answers, another)[number % 2]
        writer.put(key, hot_json(body))
        if number % 5 == 0:
            await written(writer)
        asked = b"/%d" % chosen.randrange(150)
        answer = (answers, another)[chosen.randrange(2)].find(asked)
        if answer is not None and answer.identity is not None:
            found += 1
            wrong += answer.identity.body not in expected[asked]

    assert wrong == 0
    assert found > 100


WRITING = """
import asyncio, sys
from pathlib import Path
from nugetproxy.web.hot.answer_file import SMALLEST_FILE, AnswerFile
from tests.web.lanes import hot_json

async def main():
    answers = AnswerFile(Path(sys.argv[1]), SMALLEST_FILE, b"same")
    number = 0
    print("ready", flush=True)
    while True:
        number += 1
        answers.put(b"/%d" % (number % 100), hot_json((b"%d " % number) * 3000))
        if number % 10 == 0:
            answers._write()
            await answers._writing

asyncio.run(main())
"""


async def test_a_worker_killed_while_it_writes_leaves_only_whole_answers(answers, tmp_path):
    for _ in range(3):
        worker = subprocess.Popen([sys.executable, "-c", WRITING, str(tmp_path / NAME)], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        worker.stdout.readline()
        await asyncio.sleep(0.1)
        worker.kill()
        worker.wait()
        worker.stdout.close()
    found = 0
    for number in range(100):
        answer = answers.find(b"/%d" % number)
        if answer is not None:
            found += 1
            words = set(answer.identity.body.split())
            assert len(words) == 1
            assert int(words.pop()) % 100 == number
    assert found > 50
    assert answers.put(b"/new", hot_json())
    await written(answers)
    assert answers.find(b"/new") is not None


async def test_what_is_forgotten_is_not_found_by_anybody(answers, another):
    for key in (b"/a", b"/b"):
        answers.put(key, hot_json())
    await written(answers)
    another.forget(b"/a")

    assert [answers.find(key) is not None for key in (b"/a", b"/b")] == [False, True]


async def test_answers_outside_the_page_cache_are_not_found(answers, monkeypatch):
    answers.put(b"/a", hot_json(os.urandom(5000)))
    await written(answers)

    def preadv(*_):
        raise BlockingIOError

    monkeypatch.setattr(os, "preadv", preadv)

    assert answers.find(b"/a") is None


async def test_a_full_disk_ends_it(answers, monkeypatch):
    def pwrite(*_):
        raise OSError(28, "No space left on device")

    answers.put(b"/a", hot_json())
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", pwrite)
        await written(answers)

    assert not answers.put(b"/b", hot_json())
    assert [answers.find(key) for key in (b"/a", b"/b")] == [None, None]
    answers.forget(b"/a")


async def test_it_does_not_grow_into_the_reserve(tmp_path):
    reserve = Reserve(tmp_path, 1 << 62)
    answers = AnswerFile(tmp_path / NAME, SMALLEST_FILE, b"same", reserve)
    answers.put(b"/a", hot_json())
    await written(answers)
    refused = answers.find(b"/a")
    answers._reserve = NO_RESERVE
    answers.put(b"/a", hot_json())
    await written(answers)

    assert refused is None
    assert answers.find(b"/a") is not None
    await answers.close()


async def test_what_was_found_here_is_not_written_again(answers, another):
    """Unless its record would soon be overwritten."""
    answers.put(b"/a", hot_json(b"a" * 1000))
    await written(answers)
    found = another.find(b"/a")
    for _ in range(3):
        another.put(b"/a", found)
    assert another._gathered == {}

    for number in range(1 + SMALLEST_FILE // 2 // 100_000):
        answers.put(b"/%d" % number, hot_json(os.urandom(100_000)))
        await written(answers)
    another.put(b"/a", found)
    assert list(another._gathered) == [b"/a"]
