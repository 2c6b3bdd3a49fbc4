"""The contract of every BlobStore. A test class inherits this and provides the fixtures `store` and `make_spool`."""

from collections.abc import Callable

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.blobs.base import BlobKey, BlobStore
from nugetproxy.storage.spool import Spool

MakeSpool = Callable[[bytes], Spool]
KEY = BlobKey.of("nuget.org", "contoso.utils", "1.0.0", "contoso.utils.1.0.0.nupkg")


class BlobStoreContract:
    def test_bytes_are_invisible_before_commit(self, store: BlobStore, make_spool: MakeSpool):
        """
        A key does not exist before its spool is committed.
        """
        spool = make_spool(b"package")

        assert store.stat(KEY) is None
        assert list(store.walk()) == []
        spool.discard()

    def test_commit_makes_the_bytes_visible(self, store: BlobStore, make_spool: MakeSpool):
        committed = store.commit(KEY, make_spool(b"package"))

        with store.open(KEY) as file:
            assert file.read() == b"package"
        assert committed == store.stat(KEY)
        assert committed.size == 7

    def test_a_committed_key_is_immutable(self, store: BlobStore, make_spool: MakeSpool):
        """
        A second commit keeps the first bytes and discards the spool.
        """
        first = store.commit(KEY, make_spool(b"first"))
        late = make_spool(b"second")

        assert store.commit(KEY, late) == first
        assert store.path(KEY).read_bytes() == b"first"
        assert late.path is None

    def test_a_reader_of_the_spool_continues_after_commit(self, store: BlobStore, make_spool: MakeSpool):
        spool = make_spool(b"package")
        store.commit(KEY, spool)

        assert spool.read(3, 100) == b"kage"

    def test_a_failed_commit_leaves_nothing(self, store: BlobStore, make_spool: MakeSpool):
        """
        A spool without a file cannot be committed; the key does not exist afterwards.
        """
        spool = make_spool(b"package")
        spool.move_to_memory(None)

        with pytest.raises(StorageUnavailable):
            store.commit(KEY, spool)
        assert store.stat(KEY) is None

    def test_an_unknown_key_cannot_be_opened(self, store: BlobStore):
        with pytest.raises(KeyError):
            store.open(KEY)

    def test_a_deleted_key_is_gone(self, store: BlobStore, make_spool: MakeSpool):
        store.commit(KEY, make_spool(b"package"))
        store.delete(KEY)
        store.delete(KEY)

        assert store.stat(KEY) is None
        assert list(store.walk()) == []

    def test_committing_again_gives_another_etag(self, store: BlobStore, make_spool: MakeSpool):
        first = store.commit(KEY, make_spool(b"package")).etag
        store.delete(KEY)

        assert store.commit(KEY, make_spool(b"PACKAGE")).etag != first

    def test_walk_lists_keys_below_a_prefix(self, store: BlobStore, make_spool: MakeSpool):
        for name in ("b", "a", "c"):
            store.commit(BlobKey.of("one", name, "x"), make_spool(b"1"))
        store.commit(BlobKey.of("two", "a", "x"), make_spool(b"22"))

        assert [str(info.key) for info in store.walk("one")] == ["one/a/x", "one/b/x", "one/c/x"]
        assert [info.size for info in store.walk("two", "a")] == [2]
        assert list(store.walk("three")) == []
