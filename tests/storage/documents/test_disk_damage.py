"""A damaged database is set aside and replaced by a new one."""

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from nugetproxy.errors import StorageUnavailable
from tests.contracts.document_store import ONE, OTHER
from tests.httpcache.documents import a_document
from tests.storage.documents.cache import execute


def is_set_aside(directory):
    return (directory / "cache.db.damaged").exists()


@pytest.mark.parametrize("garbage", [b"garbage " * 2000, b"SQLite format 3\x00" + b"\xff" * 8000])
async def test_garbage_is_set_aside_at_start(directory, open_store, garbage):
    directory.mkdir()
    (directory / "cache.db").write_bytes(garbage)
    store = open_store()
    await store.put(a_document(url=ONE))

    assert a_document(url=ONE) == store.get(ONE)
    assert (directory / "cache.db.damaged").read_bytes() == garbage


async def test_garbage_is_set_aside_while_running(directory, store):
    """
    A damaged file is noticed at the next access; nothing fails, and documents put afterwards are kept.
    """
    for n in range(50):
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(5000)))
    execute(directory, "PRAGMA wal_checkpoint(TRUNCATE)")
    with (directory / "cache.db").open("r+b") as file:
        file.write(b"garbage " * 50_000)
    assert store.get(f"{ONE}/1") is None
    await store.put(a_document(url=ONE))

    assert a_document(url=ONE) == store.get(ONE)
    assert is_set_aside(directory)


async def test_a_writer_that_finds_garbage_still_writes(directory, store):
    await store.put(a_document(url=OTHER, body=os.urandom(50_000)))
    execute(directory, "PRAGMA wal_checkpoint(TRUNCATE)")
    with (directory / "cache.db").open("r+b") as file:
        file.write(b"garbage " * 50_000)
    await store.put(a_document(url=ONE))

    assert a_document(url=ONE) == store.get(ONE)


async def test_the_other_process_follows_to_the_new_database(directory, open_store):
    first, second = open_store(), open_store()
    await first.put(a_document(url=OTHER))
    (directory / "cache.db").unlink()
    for suffix in ("-wal", "-shm"):
        (directory / f"cache.db{suffix}").unlink(missing_ok=True)
    await first.put(a_document(url=ONE))
    await second.put(a_document(url=OTHER))

    assert None not in (first.get(ONE), second.get(ONE), first.get(OTHER))


async def test_two_that_find_the_same_damage_start_over_once(directory, open_store):
    directory.mkdir()
    (directory / "cache.db").write_bytes(b"garbage " * 2000)
    first = open_store()
    damaged = (directory / "cache.db.damaged").stat().st_ino
    await first.put(a_document(url=ONE))
    # The second saw the damage too, but the file it saw is no longer there.
    first._writer.submit(first._begin_anew, damaged).result()

    assert first.get(ONE) is not None


async def test_emptied_tables_are_damage(directory, store):
    await store.put(a_document(url=OTHER))
    execute(directory, "DROP TABLE Cache")
    assert store.get(OTHER) is None
    await store.put(a_document(url=ONE))

    assert store.get(ONE) is not None


async def test_damage_that_cannot_be_set_aside_is_reported(directory, store, monkeypatch):
    def refuse(_path):
        raise OSError("read-only file system")

    await store.put(a_document(url=OTHER, body=os.urandom(50_000)))
    execute(directory, "PRAGMA wal_checkpoint(TRUNCATE)")
    with (directory / "cache.db").open("r+b") as file:
        file.write(b"garbage " * 50_000)
    monkeypatch.setattr("nugetproxy.storage.documents.disk._alone", refuse)
    with pytest.raises(StorageUnavailable):
        await store.put(a_document(url=ONE))

    assert store.get(ONE) is None


async def test_a_read_that_fails_is_a_miss_and_the_next_one_tries_again(store):
    class Broken:
        def execute(self, *_args):
            raise sqlite3.OperationalError("disk I/O error")

        def close(self):
            pass

    await store.put(a_document(url=ONE))
    store._reader = Broken()

    assert store.get(ONE) is None
    assert store.get(ONE) is not None


_WRITER = """
import asyncio, os, sys
from pathlib import Path
from nugetproxy.storage.documents.disk import DiskDocuments
from tests.httpcache.documents import a_document
store = DiskDocuments(Path(sys.argv[1]), 5_000_000)
async def work():
    n = 0
    while True:
        await asyncio.gather(*(store.put(a_document(url=f"u/{i % 40}", body=os.urandom(100 + i * 997 % 200_000)))
                               for i in range(n, n + 10)))
        n += 10
        print(n, flush=True)
asyncio.run(work())
"""


async def test_a_killed_writer_leaves_a_readable_store(directory, open_store):
    """
    kill -9 in the middle of writes, several times: everything readable is complete, and writing goes on.
    """
    for round_ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(directory)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        try:
            for _ in range(3 + round_):
                assert writer.stdout.readline()
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
    store = open_store()
    found = [store.get(f"u/{n}") for n in range(40)]
    await store.put(a_document(url=ONE))

    assert any(found)
    assert a_document(url=ONE) == store.get(ONE)
    assert execute(directory, "PRAGMA integrity_check") == [("ok",)]
    assert not is_set_aside(directory)
