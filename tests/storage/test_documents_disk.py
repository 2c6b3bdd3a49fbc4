import asyncio
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from diskcache.core import MODE_BINARY, MODE_PICKLE, MODE_RAW, MODE_TEXT

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.documents.strict import Clock, StrictDisk
from tests.contracts.document_store import ONE, OTHER, DocumentStoreContract
from tests.httpcache.documents import NOON, a_document

MEGABYTE = 1_000_000


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "documents"


@pytest.fixture
def open_store(directory):
    """Opens stores on one directory, as several processes would; all are closed in the end."""
    opened = []

    def open_one(size_limit=50 * MEGABYTE):
        opened.append(DiskDocuments(directory, size_limit))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store):
    return open_store()


class TestDiskDocuments(DocumentStoreContract):
    """The contract, on a real database; the `store` fixture above."""


def database(directory):
    return sqlite3.connect(directory / "cache.db", isolation_level=None)


def execute(directory, statement, values=()):
    connection = database(directory)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


# --- what is shared ---------------------------------------------------------------------------------------------------


async def test_a_second_process_sees_what_the_first_wrote(open_store):
    first, second = open_store(), open_store()
    document = a_document(url=ONE, age=50)
    await first.put(document)
    assert document == second.get(ONE)

    await second.confirm(replace(document, confirmed=NOON))
    assert first.get(ONE).confirmed == NOON


async def test_what_was_kept_is_there_after_a_restart(open_store):
    document = a_document(url=ONE)
    before = open_store()
    await before.put(document)
    before.close()

    assert document == open_store().get(ONE)


async def test_writers_of_two_processes_do_not_lose_each_others_documents(open_store):
    stores = open_store(), open_store()
    await asyncio.gather(*(stores[n % 2].put(a_document(url=f"{ONE}/{n}")) for n in range(60)))

    assert all(stores[(n + 1) % 2].get(f"{ONE}/{n}") for n in range(60))


def test_only_this_user_may_look(directory, store):
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_directory_of_others_is_made_private(directory, open_store):
    directory.mkdir(mode=0o755)
    open_store()

    assert directory.stat().st_mode & 0o777 == 0o700


async def test_one_thread_writes(store, monkeypatch):
    writers = set()
    real = store._cache.keep

    def keep(stored, useful_for):
        writers.add(threading.get_ident())
        real(stored, useful_for)

    monkeypatch.setattr(store._cache, "keep", keep)
    await asyncio.gather(*(store.put(a_document(url=f"{ONE}/{n}")) for n in range(20)))

    assert len(writers) == 1
    assert threading.get_ident() not in writers


async def test_a_confirmation_does_not_write_the_body_again(directory, store):
    """
    A megabyte that is confirmed adds a small row to SQLite's log, not a megabyte.
    """
    document = a_document(url=ONE, body=os.urandom(MEGABYTE), age=500)
    await store.put(document)
    execute(directory, "PRAGMA wal_checkpoint(TRUNCATE)")
    await store.confirm(replace(document, confirmed=NOON))

    assert store.get(ONE).confirmed == NOON
    assert (directory / "cache.db-wal").stat().st_size < 100_000


async def test_a_closed_store_keeps_and_finds_nothing(store):
    store.close()
    store.close()

    assert store.get(ONE) is None
    with pytest.raises(StorageUnavailable):
        await store.put(a_document(url=ONE))


# --- no pickle, nothing foreign ---------------------------------------------------------------------------------------


class Bomb:
    def __repr__(self) -> str:
        return "Bomb()"  # the name of a test must be the same in every process

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("mode", [MODE_PICKLE, MODE_RAW, MODE_TEXT, MODE_BINARY, 99, None])
@pytest.mark.parametrize("key", [ONE, f"clock {ONE}"])
async def test_a_forged_row_does_not_execute(directory, store, tmp_path, mode, key):
    """
    Whoever can write the database can make us lose a document, and nothing more.
    """
    await store.put(a_document(url=ONE))
    await store.confirm(a_document(url=ONE))
    forged = pickle.dumps(Bomb(tmp_path / "executed"))
    execute(directory, "UPDATE Cache SET mode = ?, value = ? WHERE key = ?", (mode, forged, key))

    assert store.get(ONE) is None
    assert not (tmp_path / "executed").exists()


async def test_a_forged_key_does_not_execute(directory, open_store, tmp_path):
    store = open_store(MEGABYTE)
    await store.put(a_document(url=ONE))
    forged = sqlite3.Binary(pickle.dumps(Bomb(tmp_path / "executed")))
    execute(directory, "UPDATE Cache SET key = ?, raw = 0, access_time = 0", (forged,))
    for n in range(5):
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(MEGABYTE // 3)))

    assert store.get(ONE) is None
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "aa/bb/cc.val"])
async def test_a_row_cannot_name_a_file(directory, open_store, tmp_path, name):
    """
    Neither is such a file read when the row is, nor removed when the row is evicted.
    """
    store = open_store(MEGABYTE)
    (tmp_path / "secret").write_bytes(a_document(url=ONE).to_bytes())
    await store.put(a_document(url=ONE))
    execute(directory, "UPDATE Cache SET mode = ?, filename = ?, value = NULL, access_time = 0", (MODE_BINARY, name))
    assert store.get(ONE) is None
    for n in range(5):
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(MEGABYTE // 3)))

    assert (tmp_path / "secret").exists()


async def test_a_document_under_another_url_is_not_served(directory, store):
    await store.put(a_document(url=ONE))
    execute(directory, "UPDATE Cache SET key = ?", (OTHER,))

    assert store.get(OTHER) is None


async def test_forged_settings_do_not_keep_it_closed(directory, open_store):
    """
    diskcache passes such rows on as arguments; a store that cannot be opened for them is begun anew.
    """
    store = open_store()
    await store.put(a_document(url=ONE))
    store.close()
    execute(directory, "INSERT INTO Settings VALUES ('disk_surprise', 1)")
    again = open_store()
    await again.put(a_document(url=ONE))

    assert a_document(url=ONE) == again.get(ONE)


@pytest.mark.parametrize("key", [b"bytes", 5, 1.5, None, ("a", 1), Bomb("x")], ids=repr)
def test_strict_keys_are_text(tmp_path, key):
    with pytest.raises(ValueError, match="text"):
        StrictDisk(str(tmp_path)).put(key)


@pytest.mark.parametrize(("key", "raw"), [(ONE, 0), (ONE, False), (b"bytes", 1), (None, 1)])
def test_strict_keys_are_read_as_text(tmp_path, key, raw):
    with pytest.raises(ValueError, match="text"):
        StrictDisk(str(tmp_path)).get(key, raw)


@pytest.mark.parametrize(
    ("value", "read"), [("text", False), (5, False), (Bomb("x"), False), (b"bytes", True)], ids=repr
)
def test_strict_values_are_bytes(tmp_path, value, read):
    with pytest.raises(ValueError, match="bytes"):
        StrictDisk(str(tmp_path)).store(value, read)


def test_strict_values_never_become_files(tmp_path):
    StrictDisk(str(tmp_path)).store(bytes(MEGABYTE), False)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "filename", "value", "read"),
    [
        (MODE_PICKLE, None, b"", False),
        (MODE_TEXT, None, b"", False),
        (MODE_BINARY, "a.val", None, False),
        (MODE_RAW, "a.val", b"", False),
        (MODE_RAW, None, "text", False),
        (MODE_RAW, None, None, False),
        (MODE_RAW, None, b"", True),
    ],
)
def test_strict_fetches_nothing_else(tmp_path, mode, filename, value, read):
    with pytest.raises(ValueError, match="bytes"):
        StrictDisk(str(tmp_path)).fetch(mode, filename, value, read)


@pytest.mark.parametrize("kept", [b"", b"short", b"\xff" * 81, b"\xff" * 82])
def test_a_clock_of_other_bytes_is_refused(kept):
    with pytest.raises(ValueError):
        Clock.from_bytes(kept)


# --- damage -----------------------------------------------------------------------------------------------------------


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
    A damaged file is noticed by whoever touches it next; nothing fails, and what is put then is kept.
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


async def test_a_writer_that_meets_garbage_writes_all_the_same(directory, store):
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


async def test_two_that_meet_the_same_damage_begin_anew_once(directory, open_store):
    directory.mkdir()
    (directory / "cache.db").write_bytes(b"garbage " * 2000)
    first = open_store()
    damaged = (directory / "cache.db.damaged").stat().st_ino
    await first.put(a_document(url=ONE))
    # The second saw the damage, too, but the file it saw is no longer there.
    first._writer.submit(first._begin_anew, damaged).result()

    assert first.get(ONE) is not None


async def test_emptied_tables_are_damage(directory, store):
    await store.put(a_document(url=OTHER))
    execute(directory, "DROP TABLE Cache")
    assert store.get(OTHER) is None
    await store.put(a_document(url=ONE))

    assert store.get(ONE) is not None


async def test_damage_that_cannot_be_set_aside_is_told(directory, store, monkeypatch):
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
    kill -9 in the middle of writes, several times: what can be read is whole, and writing goes on.
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


# --- a disk that is full or refuses -----------------------------------------------------------------------------------


async def test_a_full_disk_is_told_and_passes(store):
    await store.put(a_document(url=ONE))
    (pages,) = store._writer.submit(lambda: store._cache._sql("PRAGMA page_count").fetchone()).result()
    store._writer.submit(lambda: store._cache._sql(f"PRAGMA max_page_count = {pages}").fetchall()).result()
    with pytest.raises(StorageUnavailable, match="full"):
        await store.put(a_document(url=OTHER, body=os.urandom(MEGABYTE)))
    assert (store.get(ONE) is not None, store.get(OTHER)) == (True, None)

    # The failed transaction does not linger: the next write, with room again, succeeds.
    await store.put(a_document(url=OTHER, body=os.urandom(MEGABYTE)))
    assert store.get(OTHER) is not None


async def test_a_busy_writer_elsewhere_is_told(directory, store, monkeypatch):
    store._writer.submit(lambda: store._cache._sql("PRAGMA busy_timeout = 20").fetchall()).result()
    await store.put(a_document(url=OTHER))
    elsewhere = database(directory)
    elsewhere.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StorageUnavailable, match="another process"):
            await store.put(a_document(url=ONE))
        assert store.get(OTHER) is not None
    finally:
        elsewhere.execute("ROLLBACK")
        elsewhere.close()


async def test_a_directory_that_cannot_be_made_is_no_reason_not_to_start(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    store = DiskDocuments(tmp_path / "file" / "documents", MEGABYTE)
    try:
        assert (store.get(ONE), store.size_bytes()) == (None, 0)
        with pytest.raises(StorageUnavailable):
            await store.put(a_document(url=ONE))
    finally:
        store.close()


async def test_a_store_that_could_not_be_opened_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("nugetproxy.storage.documents.disk._REOPEN", 0.0)
    (tmp_path / "place").write_bytes(b"")
    store = DiskDocuments(tmp_path / "place" / "documents", MEGABYTE)
    try:
        (tmp_path / "place").unlink()
        await store.put(a_document(url=ONE))

        assert a_document(url=ONE) == store.get(ONE)
    finally:
        store.close()


async def test_kept_documents_are_read_when_nothing_can_be_written(directory, open_store, monkeypatch):
    """
    A restart on a full disk: the store cannot be opened for writing, and what it holds is served.
    """
    before = open_store()
    await before.put(a_document(url=ONE))
    before.close()

    def refuse(*_args, **_more):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("nugetproxy.storage.documents.disk.DocumentCache", refuse)
    store = open_store()

    assert a_document(url=ONE) == store.get(ONE)
    with pytest.raises(StorageUnavailable):
        await store.put(a_document(url=OTHER))


async def test_kept_documents_are_read_when_sqlite_can_make_no_file(directory, open_store, monkeypatch):
    before = open_store()
    await before.put(a_document(url=ONE))
    before.close()
    real = sqlite3.connect
    opened = []

    def connect(path, *args, **more):
        opened.append(str(path))
        if "immutable" not in str(path):
            raise sqlite3.OperationalError("unable to open database file")
        return real(path, *args, **more)

    monkeypatch.setattr("nugetproxy.storage.documents.disk.sqlite3.connect", connect)
    store = open_store()

    assert a_document(url=ONE) == store.get(ONE)
    assert "immutable" in opened[-1]

    # With room again, what is written is seen.
    monkeypatch.setattr("nugetproxy.storage.documents.disk.sqlite3.connect", real)
    monkeypatch.setattr("nugetproxy.storage.documents.disk._REOPEN", 0.0)
    store._next_open = 0.0
    await store.put(a_document(url=OTHER))
    assert a_document(url=OTHER) == store.get(OTHER)


# --- the limit --------------------------------------------------------------------------------------------------------


async def test_its_size_is_bounded(directory, open_store):
    store = open_store(3 * MEGABYTE)
    for n in range(100):
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(150_000)))

    assert (directory / "cache.db").stat().st_size <= 3.5 * MEGABYTE
    assert store.get(f"{ONE}/99") is not None


async def test_many_small_ones_give_way_to_large_ones(directory, open_store):
    """
    Evicting a fixed number of rows for each new one would let the store grow past its limit.
    """
    store = open_store(3 * MEGABYTE)
    for n in range(300):
        await store.put(a_document(url=f"small/{n}", body=os.urandom(1_000)))
    for n in range(12):
        await store.put(a_document(url=f"large/{n}", body=os.urandom(800_000)))

    assert (directory / "cache.db").stat().st_size <= 4 * MEGABYTE


async def test_below_the_limit_nothing_goes(open_store):
    store = open_store(20 * MEGABYTE)
    for n in range(100):
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(100_000), age=1e8))

    assert all(store.get(f"{ONE}/{n}") for n in range(100))


async def test_what_is_read_outlives_what_is_not(open_store):
    store = open_store(3 * MEGABYTE)
    await store.put(a_document(url="read", body=os.urandom(100_000)))
    await store.put(a_document(url="unread", body=os.urandom(100_000)))
    for n in range(60):
        assert store.get("read") is not None
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(100_000)))

    assert (store.get("read") is not None, store.get("unread")) == (True, None)


async def test_what_is_confirmed_outlives_what_is_not(open_store):
    """
    A document that lives in the memory tier is read from disk rarely; its confirmations show that it is used.
    """
    store = open_store(3 * MEGABYTE)
    document = a_document(url="confirmed", body=os.urandom(100_000))
    await store.put(document)
    for n in range(60):
        await store.confirm(document)
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(100_000)))

    assert store.get("confirmed") is not None


async def test_reads_alone_are_noted_too(directory, store, monkeypatch):
    monkeypatch.setattr("nugetproxy.storage.documents.disk._MANY_READS", 2)
    for url in (ONE, OTHER):
        await store.put(a_document(url=url))
    execute(directory, "UPDATE Cache SET access_time = 0")
    store.get(ONE)
    store.get(OTHER)
    store.close()

    assert execute(directory, "SELECT count(*) FROM Cache WHERE access_time > 0") == [(2,)]


async def test_what_is_of_short_use_goes_first(open_store):
    """
    Anybody can ask for any number of unknown ids and searches: they displace one another, and nothing that lasts.
    """
    store = open_store(3 * MEGABYTE)
    await store.put(a_document(url="lasting", body=os.urandom(100_000)), useful_for=365 * 86_400.0)
    for n in range(60):
        await store.put(a_document(url=f"search/{n}", body=os.urandom(100_000)), useful_for=3600.0)

    assert (store.get("lasting") is not None, store.get("search/0")) == (True, None)


async def test_a_confirmation_lengthens_the_use(directory, store):
    """
    A search that is asked for again and again is as young as its last confirmation.
    """
    await store.put(a_document(url=ONE), useful_for=3600.0)
    execute(directory, "UPDATE Cache SET store_time = 1000.0, expire_time = 4600.0")
    await store.confirm(a_document(url=ONE))

    query = "SELECT expire_time - store_time, store_time > 1000.0 FROM Cache WHERE expire_time IS NOT NULL"
    assert execute(directory, query) == [(3600.0, 1)]
