from dataclasses import replace

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.documents.hot import HotDocuments
from tests.contracts.document_store import ONE, DocumentStoreContract
from tests.httpcache.documents import NOON, a_document


class Below:
    """A store that counts calls, and can be full."""

    def __init__(self):
        self.kept: dict[str, StoredResponse] = {}
        self.gets = 0
        self.is_full = False

    def get(self, url, *, skip_hot=False):
        self.gets += 1
        return self.kept.get(url)

    async def reread(self, url):
        return self.get(url)

    async def put(self, stored, *, useful_for=None):
        if self.is_full:
            raise StorageUnavailable("full")
        self.kept[stored.url] = stored

    async def confirm(self, stored):
        await self.put(stored)

    async def delete(self, url):
        self.kept.pop(url, None)

    def size_bytes(self):
        return 7


class TestHotOverDisk(DocumentStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        disk = DiskDocuments(tmp_path / "documents", 50_000_000)
        yield HotDocuments(disk, 1_000_000)
        disk.close()


def kept(store: HotDocuments, *, skip_hot: bool = False) -> StoredResponse:
    stored = store.get(ONE, skip_hot=skip_hot)
    assert stored is not None
    return stored


@pytest.fixture
def below():
    return Below()


async def test_what_was_read_once_is_not_read_again(below):
    below.kept[ONE] = a_document(url=ONE)
    hot = HotDocuments(below, 1_000_000)
    hot.get(ONE)
    hot.get(ONE)

    assert below.gets == 1


async def test_what_another_process_confirmed_is_seen_when_asked_for(below):
    hot = HotDocuments(below, 1_000_000)
    await hot.put(a_document(url=ONE, age=500))
    newer = below.kept[ONE] = a_document(url=ONE, age=1)

    assert kept(hot).confirmed == NOON - 500
    assert newer == hot.get(ONE, skip_hot=True)
    assert newer == hot.get(ONE)


async def test_what_another_process_expired_is_seen_when_asked_for(below):
    hot = HotDocuments(below, 1_000_000)
    document = a_document(url=ONE)
    await hot.put(document)
    below.kept[ONE] = replace(document, expired=True)

    assert kept(hot, skip_hot=True).expired


async def test_an_expiry_that_is_not_written_yet_counts(below):
    hot = HotDocuments(below, 1_000_000)
    document = a_document(url=ONE)
    await hot.put(document)
    await hot.confirm(replace(document, expired=True))
    below.kept[ONE] = document

    assert kept(hot, skip_hot=True).expired


async def test_a_full_disk_does_not_stop_the_memory(below):
    """
    Documents that could not be written are still served from memory, not hidden by older copies on disk.
    """
    hot = HotDocuments(below, 1_000_000)
    await hot.put(a_document(url=ONE, body=b"old", age=500))
    below.is_full = True
    with pytest.raises(StorageUnavailable):
        await hot.put(a_document(url=ONE, body=b"new"))

    assert kept(hot, skip_hot=True).body == b"new"


async def test_its_memory_is_bounded(below):
    hot = HotDocuments(below, 100_000)
    for number in range(200):
        await hot.put(a_document(url=f"{ONE}/{number}", body=bytes(5_000)))
    below.kept.clear()
    held = [number for number in range(200) if hot.get(f"{ONE}/{number}") is not None]

    assert 0 < len(held) * 5_000 <= 100_000
    assert held[-1] == 199


async def test_a_large_document_does_not_empty_it(below):
    hot = HotDocuments(below, 100_000)
    await hot.put(a_document(url=ONE))
    await hot.put(a_document(url=f"{ONE}/large", body=bytes(50_000)))
    below.kept.clear()

    assert hot.get(ONE) is not None
    assert hot.get(f"{ONE}/large") is None


async def test_a_document_that_became_large_leaves_no_old_copy(below):
    hot = HotDocuments(below, 100_000)
    await hot.put(a_document(url=ONE, body=b"old"))
    await hot.put(a_document(url=ONE, body=bytes(50_000)))

    assert len(kept(hot).body) == 50_000


def test_its_size_is_that_on_disk(below):
    assert HotDocuments(below, 100_000).size_bytes() == 7


async def test_after_a_change_elsewhere_each_document_is_compared_once(below):
    changes = 0
    hot = HotDocuments(below, 1_000_000, lambda: changes)
    document = a_document(url=ONE)
    await hot.put(document)
    below.kept[ONE] = replace(document, expired=True)
    assert not kept(hot).expired
    changes += 1

    assert [True, True] == [kept(hot).expired for _ in range(2)]
    assert below.gets == 1
