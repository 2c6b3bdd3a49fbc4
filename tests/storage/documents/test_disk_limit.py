"""The size limit, and what is evicted first."""

import os

from tests.contracts.document_store import ONE, OTHER
from tests.httpcache.documents import a_document
from tests.storage.documents.cache import MEGABYTE, execute


async def test_its_size_is_bounded(directory, open_store):
    store = open_store(3 * MEGABYTE)
    for n in range(100):
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(150_000)))

    assert (directory / "cache.db").stat().st_size <= 3.5 * MEGABYTE
    assert store.get(f"{ONE}/99") is not None


async def test_many_small_ones_are_evicted_for_large_ones(directory, open_store):
    """
    Evicting a fixed number of rows for each new one would let the store grow past its limit.
    """
    store = open_store(3 * MEGABYTE)
    for n in range(300):
        await store.put(a_document(url=f"small/{n}", body=os.urandom(1_000)))
    for n in range(12):
        await store.put(a_document(url=f"large/{n}", body=os.urandom(800_000)))

    assert (directory / "cache.db").stat().st_size <= 4 * MEGABYTE


async def test_below_the_limit_nothing_is_evicted(open_store):
    store = open_store(20 * MEGABYTE)
    for n in range(100):
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(100_000), age=1e8))

    assert all(store.get(f"{ONE}/{n}") for n in range(100))


async def test_documents_that_are_read_outlive_the_others(open_store):
    store = open_store(3 * MEGABYTE)
    await store.put(a_document(url="read", body=os.urandom(100_000)))
    await store.put(a_document(url="unread", body=os.urandom(100_000)))
    for n in range(60):
        assert store.get("read") is not None
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(100_000)))

    assert (store.get("read") is not None, store.get("unread")) == (True, None)


async def test_documents_that_are_confirmed_outlive_the_others(open_store):
    """
    A document in the memory tier is rarely read from disk; its confirmations show that it is used.
    """
    store = open_store(3 * MEGABYTE)
    document = a_document(url="confirmed", body=os.urandom(100_000))
    await store.put(document)
    for n in range(60):
        await store.confirm(document)
        await store.put(a_document(url=f"{ONE}/{n}", body=os.urandom(100_000)))

    assert store.get("confirmed") is not None


async def test_reads_alone_are_recorded_too(directory, store, monkeypatch):
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
    Anyone can request any number of unknown ids and searches: they displace one another, but no lasting documents.
    """
    store = open_store(3 * MEGABYTE)
    await store.put(a_document(url="lasting", body=os.urandom(100_000)), useful_for=365 * 86_400.0)
    for n in range(60):
        await store.put(a_document(url=f"search/{n}", body=os.urandom(100_000)), useful_for=3600.0)

    assert (store.get("lasting") is not None, store.get("search/0")) == (True, None)


async def test_a_confirmation_extends_the_lifetime(directory, store):
    """
    A search that is repeated again and again is as young as its last confirmation.
    """
    await store.put(a_document(url=ONE), useful_for=3600.0)
    execute(directory, "UPDATE Cache SET store_time = 1000.0, expire_time = 4600.0")
    await store.confirm(a_document(url=ONE))

    query = "SELECT expire_time - store_time, store_time > 1000.0 FROM Cache WHERE expire_time IS NOT NULL"
    assert execute(directory, query) == [(3600.0, 1)]
