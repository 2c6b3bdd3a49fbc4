"""The contracts of `Blobs` and of `BlobStore`.

A test class inherits one of them and provides the fixtures `store` and `make_spool`.
"""

import base64
import hashlib
from collections.abc import Callable

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.blobs.base import BlobKey, Blobs, BlobStore
from nugetproxy.storage.spool import Spool

MakeSpool = Callable[[bytes], Spool]
KEY = BlobKey.of("nuget.org", "contoso.utils", "1.0.0", "contoso.utils.1.0.0.nupkg")
LARGE = bytes(range(256)) * 4096 * 6
"""More than one request carries: 6 MiB."""


def sha512_of(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


class BlobsContract:
    def test_bytes_are_invisible_before_commit(self, store: Blobs, make_spool: MakeSpool):
        """
        A key does not exist before its spool is committed.
        """
        spool = make_spool(b"package")

        assert store.stat(KEY) is None
        assert list(store.walk()) == []
        spool.discard()

    @pytest.mark.parametrize("content", [b"package", b"", LARGE], ids=["small", "empty", "large"])
    def test_commit_makes_the_bytes_visible(self, store: Blobs, make_spool: MakeSpool, content: bytes):
        committed = store.commit(KEY, make_spool(content))
        found = store.stat(KEY)

        with store.open(KEY) as file:
            assert file.read() == content
        assert found is not None
        assert (committed.key, committed.size, committed.etag) == (KEY, len(content), found.etag)
        assert [info.size for info in store.walk()] == [len(content)]

    def test_a_reader_may_seek(self, store: Blobs, make_spool: MakeSpool):
        """
        As programs that read archives do, from the end.
        """
        store.commit(KEY, make_spool(b"package"))

        with store.open(KEY) as file:
            assert (file.seek(-3, 2), file.read(2), file.seek(1), file.read(3)) == (4, b"ag", 1, b"ack")

    def test_a_committed_key_is_immutable(self, store: Blobs, make_spool: MakeSpool):
        """
        A second commit keeps the first bytes and discards the spool.
        """
        first = store.commit(KEY, make_spool(b"first"))
        late = make_spool(b"second")

        assert store.commit(KEY, late).etag == first.etag
        with store.open(KEY) as file:
            assert file.read() == b"first"
        assert late.path is None

    def test_a_reader_of_the_spool_continues_after_commit(self, store: Blobs, make_spool: MakeSpool):
        spool = make_spool(b"package")
        store.commit(KEY, spool)

        assert spool.read(3, 100) == b"kage"

    def test_a_failed_commit_leaves_nothing(self, store: Blobs, make_spool: MakeSpool):
        """
        A spool without a file cannot be committed; the key does not exist afterwards.
        """
        spool = make_spool(b"package")
        spool.move_to_memory(None)

        with pytest.raises(StorageUnavailable):
            store.commit(KEY, spool)
        assert store.stat(KEY) is None

    def test_an_unknown_key_cannot_be_opened(self, store: Blobs):
        with pytest.raises(KeyError):
            store.open(KEY)

    def test_a_deleted_key_is_gone(self, store: Blobs, make_spool: MakeSpool):
        store.commit(KEY, make_spool(b"package"))
        store.delete(KEY)
        store.delete(KEY)

        assert store.stat(KEY) is None
        assert list(store.walk()) == []

    def test_committing_again_gives_another_etag(self, store: Blobs, make_spool: MakeSpool):
        first = store.commit(KEY, make_spool(b"package")).etag
        store.delete(KEY)

        assert store.commit(KEY, make_spool(b"PACKAGE")).etag != first

    def test_walk_lists_keys_below_a_prefix(self, store: Blobs, make_spool: MakeSpool):
        for name in ("b", "a", "c"):
            store.commit(BlobKey.of("one", name, "x"), make_spool(b"1"))
        store.commit(BlobKey.of("two", "a", "x"), make_spool(b"22"))
        store.commit(BlobKey.of("two", "a-b", "x"), make_spool(b"4444"))

        assert [str(info.key) for info in store.walk("one")] == ["one/a/x", "one/b/x", "one/c/x"]
        assert [info.size for info in store.walk("two", "a")] == [2]
        assert list(store.walk("three")) == []

    @pytest.mark.parametrize("name", ["é", "日本", "a+b", "a%20b", "a#b&c;d=e", "(a)~[b]{c}^`", "a,b'c!d@e$f"])
    def test_every_key_names_its_own_blob(self, store: Blobs, make_spool: MakeSpool, name: str):
        key = BlobKey.of("nuget.org", name)
        store.commit(key, make_spool(name.encode()))

        with store.open(key) as file:
            assert file.read() == name.encode()
        assert [info.key for info in store.walk()] == [key]


class BlobStoreContract(BlobsContract):
    async def test_what_was_brought_is_a_file(self, store: BlobStore, make_spool: MakeSpool):
        store.commit(KEY, make_spool(b"package"))

        await store.bring(KEY, 7, sha512_of(b"package"))
        assert store.path(KEY).read_bytes() == b"package"

    async def test_what_does_not_exist_cannot_be_brought(self, store: BlobStore, make_spool: MakeSpool):
        with pytest.raises(KeyError):
            await store.bring(KEY, 7, sha512_of(b"package"))
        assert not store.path(KEY).exists()

    @pytest.mark.parametrize("content", [b"package", b"", LARGE], ids=["small", "empty", "large"])
    async def test_a_stream_has_all_bytes(self, store: BlobStore, make_spool: MakeSpool, content: bytes):
        store.commit(KEY, make_spool(content))

        stream = store.stream(KEY, len(content), sha512_of(content))
        assert b"".join([block async for block in stream]) == content

    @pytest.mark.parametrize("content", [b"packagE", b"packag", b"package."])
    async def test_a_stream_of_other_bytes_never_looks_complete(
        self, store: BlobStore, make_spool: MakeSpool, content: bytes
    ):
        store.commit(KEY, make_spool(content))

        got = []

        async def read() -> None:
            got.extend([block async for block in store.stream(KEY, 7, sha512_of(b"package"))])

        with pytest.raises(StorageUnavailable):
            await read()
        assert b"".join(got) != content

    async def test_an_unknown_key_cannot_be_streamed(self, store: BlobStore):
        with pytest.raises(StorageUnavailable):
            await anext(store.stream(KEY, 7, sha512_of(b"package")))
