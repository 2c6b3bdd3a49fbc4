"""A disk that is full, busy or read-only: reported, but it does not prevent startup."""

import os
import sqlite3

import pytest
import structlog

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.reserve import Reserve
from tests.contracts.document_store import ONE, OTHER
from tests.httpcache.documents import a_document
from tests.storage.documents.cache import MEGABYTE, database


async def test_a_full_disk_is_reported_and_recovers(store):
    await store.put(a_document(url=ONE))
    (pages,) = store._writer.submit(lambda: store._cache._sql("PRAGMA page_count").fetchone()).result()
    store._writer.submit(lambda: store._cache._sql(f"PRAGMA max_page_count = {pages}").fetchall()).result()
    with pytest.raises(StorageUnavailable, match="full"):
        await store.put(a_document(url=OTHER, body=os.urandom(MEGABYTE)))
    assert (store.get(ONE) is not None, store.get(OTHER)) == (True, None)

    # The failed transaction does not linger: the next write succeeds once there is space again.
    await store.put(a_document(url=OTHER, body=os.urandom(MEGABYTE)))
    assert store.get(OTHER) is not None


async def test_the_reserve_is_left_free(tmp_path):
    """
    Documents kept before stay, and can be confirmed and deleted.
    """
    store = DiskDocuments(tmp_path / "documents", MEGABYTE)
    await store.put(a_document(url=ONE))
    store.close()
    store = DiskDocuments(tmp_path / "documents", MEGABYTE, Reserve(tmp_path, 1 << 60))
    try:
        with pytest.raises(StorageUnavailable, match="reserve"):
            await store.put(a_document(url=OTHER))
        kept = store.get(ONE)
        assert kept is not None
        assert store.get(OTHER) is None
        await store.confirm(kept)
        await store.delete(ONE)
        assert store.get(ONE) is None
    finally:
        store.close()


async def test_a_directory_that_cannot_be_written_can_still_be_read(tmp_path):
    store = DiskDocuments(tmp_path / "documents", MEGABYTE)
    await store.put(a_document(url=ONE))
    store.close()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "documents").iterdir()}
    store = DiskDocuments(tmp_path / "documents", MEGABYTE, read_only=True)
    try:
        assert (store.get(ONE) is not None, store.get(OTHER)) == (True, None)
        for write in (store.put(a_document(url=OTHER)), store.delete(ONE)):
            with pytest.raises(StorageUnavailable, match="read-only"):
                await write
    finally:
        store.close()
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "documents").iterdir()} == before


async def test_damage_that_cannot_be_repaired_is_reported(tmp_path):
    (tmp_path / "cache.db").write_bytes(b"not a database" * 1000)
    store = DiskDocuments(tmp_path, MEGABYTE, read_only=True)
    try:
        with structlog.testing.capture_logs() as lines:
            assert store.get(ONE) is None
        assert [line["event"] for line in lines] == ["document_store_unreadable"]
    finally:
        store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["cache.db"]


async def test_a_busy_writer_elsewhere_is_reported(directory, store, monkeypatch):
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


async def test_a_directory_that_cannot_be_created_does_not_prevent_startup(tmp_path, monkeypatch):
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
    A restart on a full disk: the store cannot be opened for writing, but its documents are served.
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


async def test_kept_documents_are_read_when_sqlite_cannot_create_files(directory, open_store, monkeypatch):
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

    # Once there is space again, new writes are seen.
    monkeypatch.setattr("nugetproxy.storage.documents.disk.sqlite3.connect", real)
    monkeypatch.setattr("nugetproxy.storage.documents.disk._REOPEN", 0.0)
    store._next_open = 0.0
    await store.put(a_document(url=OTHER))
    assert a_document(url=OTHER) == store.get(OTHER)
