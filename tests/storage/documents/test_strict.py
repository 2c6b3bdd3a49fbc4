"""No pickle and nothing foreign: values that others wrote into the database are neither executed nor served."""

import os
import pickle
import sqlite3

import pytest
from diskcache.core import MODE_BINARY, MODE_PICKLE, MODE_RAW, MODE_TEXT

from nugetproxy.storage.documents.strict import Clock, StrictDisk
from tests.contracts.document_store import ONE, OTHER
from tests.httpcache.documents import a_document
from tests.storage.documents.cache import MEGABYTE, execute


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
    Anyone who can write the database can make us lose a document, and nothing more.
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
    Such a file is neither read with the row nor removed when the row is evicted.
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
    diskcache passes such rows on as arguments; a store that they keep from opening is replaced.
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
