"""Two nodes that share documents: their disks and clocks are their own."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.documents.shared import SharedDocuments, sweep_documents
from tests.contracts.document_store import ONE, OTHER, DocumentStoreContract
from tests.httpcache.documents import NOON, a_document

Make = Callable[..., SharedDocuments]


@pytest.fixture
def database(postgres, shared_database) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(postgres.dsn(shared_database))
    yield database
    database.close()


@pytest.fixture
def make(tmp_path: Path, database: PostgresDatabase) -> Iterator[Make]:
    disks: list[DiskDocuments] = []

    def node(now: float = NOON) -> SharedDocuments:
        disks.append(DiskDocuments(tmp_path / f"node{len(disks)}", 50_000_000))
        return SharedDocuments(disks[-1], database, lambda: now)

    yield node
    for disk in disks:
        disk.close()


class TestSharedDocuments(DocumentStoreContract):
    @pytest.fixture
    def store(self, make):
        return make()


async def reread(node: SharedDocuments, url: str = ONE) -> StoredResponse:
    stored = await node.reread(url)
    assert stored is not None
    return stored


async def test_a_document_that_one_node_fetched_is_found_by_another(make: Make):
    one, other = make(), make()
    await one.put(a_document(url=ONE, body=b"new"))

    assert other.get(ONE) is None
    assert (await reread(other)).body == b"new"
    found = other.get(ONE)
    assert found is not None
    assert found.body == b"new"


async def test_clocks_that_differ_by_minutes_make_nothing_younger_or_older(make: Make):
    ahead, behind = make(NOON + 600), make(NOON - 600)
    await ahead.put(replace(a_document(url=ONE), confirmed=NOON + 590))

    assert (await reread(behind)).confirmed == pytest.approx(NOON - 610, abs=2)


async def test_a_confirmation_reaches_the_other_nodes_without_the_body(make: Make, database: PostgresDatabase):
    one, other = make(), make()
    document = a_document(url=ONE, age=500)
    await one.put(document)
    await reread(other)
    await one.confirm(replace(document, confirmed=NOON))
    await database.write(lambda transaction: transaction.change("UPDATE mirrored_documents SET document = ''"))

    assert (await reread(other)).confirmed == pytest.approx(NOON, abs=2)
    assert (await reread(other)).body == document.body


async def test_an_expired_document_is_expired_for_all_who_reread_it(make: Make):
    one, other = make(), make()
    await one.put(a_document(url=ONE))
    await one.put(a_document(url=OTHER))
    await one.expire([ONE])

    assert (await reread(other)).expired
    assert not (await reread(other, OTHER)).expired


async def test_what_the_upstream_confirmed_last_stays(make: Make):
    """
    A node whose lease ran out while it fetched comes late.
    """
    late, other = make(), make()
    await other.put(a_document(url=ONE, body=b"newer", age=10))
    await late.put(a_document(url=ONE, body=b"older", age=100))

    assert (await reread(make())).body == b"newer"
    assert (await reread(late)).body == b"newer"


async def test_our_own_copy_is_used_if_it_is_newer(make: Make, database: PostgresDatabase):
    one, other = make(), make()
    await one.put(a_document(url=ONE, body=b"older", age=100))
    database.close()  # what is fetched now cannot be shared
    await other.put(a_document(url=ONE, body=b"newer", age=10))

    assert (await reread(other)).body == b"newer"


async def test_nodes_go_on_without_the_database(make: Make, database: PostgresDatabase):
    one = make()
    await one.put(a_document(url=ONE))
    database.close()
    document = a_document(url=OTHER)
    await one.put(document)
    await one.confirm(replace(document, confirmed=NOON))
    await one.expire([ONE])
    await one.delete(OTHER)

    assert (await reread(one)).expired
    assert await one.reread(OTHER) is None


@pytest.mark.parametrize("column", ["document = 'x'", "url = 'https://elsewhere.test'"])
async def test_a_damaged_row_is_not_used(make: Make, database: PostgresDatabase, column: str):
    one = make()
    await one.put(a_document(url=ONE))
    await database.write(lambda transaction: transaction.change(f"UPDATE mirrored_documents SET {column}"))

    found = await make().reread(ONE)
    assert found is None or column.startswith("url")  # the URL that counts is in the document


async def test_the_sweep_removes_what_is_useless_then_what_was_confirmed_longest_ago(
    make: Make, database: PostgresDatabase
):
    one = make()
    await one.put(a_document(url=ONE, body=b"x" * 600, age=1000), useful_for=500)
    await one.put(a_document(url=OTHER, body=b"x" * 600, age=100))
    await one.put(a_document(url=f"{ONE}/2", body=b"x" * 600, age=10))

    assert await sweep_documents(database, 2000) == 1
    assert await make().reread(ONE) is None
    assert await sweep_documents(database, 1000) == 1
    assert await make().reread(OTHER) is None
    assert (await reread(make(), f"{ONE}/2")).body == b"x" * 600


async def test_a_refused_write_is_raised_when_the_disk_refuses_it(make: Make, monkeypatch: pytest.MonkeyPatch):
    one = make()

    async def refuse(*_: object, **__: object) -> None:
        raise StorageUnavailable("full")

    monkeypatch.setattr(one._local, "put", refuse)
    with pytest.raises(StorageUnavailable):
        await one.put(a_document(url=ONE))
    assert (await reread(make())).url == ONE
