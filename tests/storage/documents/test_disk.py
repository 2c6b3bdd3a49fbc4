"""Documents on disk: the contract, and what several processes share."""

import asyncio
import os
import shutil
import threading
from dataclasses import replace

import pytest

from nugetproxy.errors import StorageUnavailable
from tests.contracts.document_store import ONE, DocumentStoreContract
from tests.httpcache.documents import NOON, a_document
from tests.storage.documents.cache import MEGABYTE, execute


class TestDiskDocuments(DocumentStoreContract):
    """The contract, on a real database; the `store` fixture."""


async def test_a_second_process_sees_what_the_first_wrote(open_store):
    first, second = open_store(), open_store()
    document = a_document(url=ONE, age=50)
    await first.put(document)
    assert document == second.get(ONE)

    await second.confirm(replace(document, confirmed=NOON))
    assert first.get(ONE).confirmed == NOON


async def test_documents_survive_a_restart(open_store):
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


async def test_a_removed_directory_is_recreated_and_private(directory, store):
    shutil.rmtree(directory)
    await store.put(a_document(url=ONE))

    assert store.get(ONE) is not None
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
    Confirming a document of a megabyte adds a small row to SQLite's log, not a megabyte.
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
