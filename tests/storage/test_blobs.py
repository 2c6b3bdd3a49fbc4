import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.access import AccessName, access_for
from nugetproxy.storage.blobs import filesystem
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.spool import MemoryBudget, Spool, SpoolFolder
from tests.contracts.blob_store import KEY, BlobStoreContract, MakeSpool, sha512_of


@pytest.fixture
def make_spool(tmp_path: Path) -> MakeSpool:
    folder = SpoolFolder(tmp_path / "spool", MemoryBudget(1_000_000))

    def make(content: bytes) -> Spool:
        spool = folder.create("test")
        spool.append(content)
        return spool

    return make


@pytest.fixture
def store(tmp_path: Path) -> FilesystemBlobs:
    return FilesystemBlobs(tmp_path / "blobs")


class TestFilesystemBlobs(BlobStoreContract):
    def test_the_path_is_the_key(self, store: FilesystemBlobs, make_spool: MakeSpool):
        """
        Another program can serve the tree.
        """
        store.commit(KEY, make_spool(b"package"))

        assert store.path(KEY).parts[-4:] == KEY.segments

    @pytest.mark.parametrize("umask", [0, 0o077])
    @pytest.mark.parametrize(
        ("access", "folder", "file"), [("private", 0o700, 0o600), ("group", 0o750, 0o640), ("all", 0o755, 0o644)]
    )
    def test_modes_follow_the_access_whatever_the_umask(
        self, tmp_path: Path, make_spool: MakeSpool, access: AccessName, folder: int, file: int, umask: int
    ):
        store = FilesystemBlobs(tmp_path / "tree", access_for(access))
        before = os.umask(umask)
        try:
            store.apply_access()
            store.commit(KEY, make_spool(b"package"))
        finally:
            os.umask(before)

        modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "tree", *(tmp_path / "tree").rglob("*"))}
        assert modes.pop(store.path(KEY)) == file
        assert set(modes.values()) == {folder}

    def test_a_setgid_folder_keeps_its_group_for_new_files(self, tmp_path: Path, make_spool: MakeSpool):
        (tmp_path / "tree").mkdir()
        (tmp_path / "tree").chmod(0o2700)
        store = FilesystemBlobs(tmp_path / "tree", access_for("group"))
        store.apply_access()
        store.commit(KEY, make_spool(b"package"))

        assert {path.stat().st_mode & 0o7777 for path in (tmp_path / "tree", store.path(KEY).parent)} == {0o2750}

    def test_a_tree_that_was_open_is_closed(self, store: FilesystemBlobs, make_spool: MakeSpool, tmp_path: Path):
        """
        At its root: nothing below it can be reached.
        """
        store.commit(KEY, make_spool(b"package"))
        (tmp_path / "blobs").chmod(0o755)
        for _ in range(2):
            store.apply_access()
            assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700
        assert store.path(KEY).read_bytes() == b"package"

    def test_a_tree_that_does_not_exist_yet_is_closed_too(self, store: FilesystemBlobs, tmp_path: Path):
        store.apply_access()

        assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700

    def test_delete_removes_empty_folders(self, store: FilesystemBlobs, make_spool: MakeSpool, tmp_path: Path):
        store.commit(KEY, make_spool(b"package"))
        store.delete(KEY)

        assert list((tmp_path / "blobs").iterdir()) == []

    def test_foreign_files_are_not_blobs(self, store: FilesystemBlobs, make_spool: MakeSpool, tmp_path: Path):
        store.commit(KEY, make_spool(b"package"))
        (tmp_path / "blobs" / ".hidden").write_bytes(b"")
        (tmp_path / "blobs" / "a b").write_bytes(b"")
        (tmp_path / "blobs" / "link").symlink_to(store.path(KEY))

        assert [info.key for info in store.walk()] == [KEY]

    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
    def test_only_files_are_blobs(self, store: FilesystemBlobs, make: Callable[[Path], None]):
        """
        Opening a pipe would wait forever.
        """
        store.path(KEY).parent.mkdir(parents=True)
        make(store.path(KEY))

        assert store.stat(KEY) is None

    async def test_a_file_of_another_size_is_not_the_blob(self, store: FilesystemBlobs, make_spool: MakeSpool):
        store.commit(KEY, make_spool(b"package"))

        with pytest.raises(KeyError):
            await store.bring(KEY, 6, sha512_of(b"packag"))

    def test_a_commit_replaces_a_pipe(self, store: FilesystemBlobs, make_spool: MakeSpool):
        store.path(KEY).parent.mkdir(parents=True)
        os.mkfifo(store.path(KEY))

        store.commit(KEY, make_spool(b"package"))
        assert store.path(KEY).is_file()

    def test_a_folder_that_cannot_be_created_is_our_own_failure(
        self, store: FilesystemBlobs, make_spool: MakeSpool, tmp_path: Path
    ):
        (tmp_path / "blobs").write_bytes(b"a file where the folder should be")

        with pytest.raises(StorageUnavailable):
            store.commit(KEY, make_spool(b"package"))
        assert store.stat(KEY) is None


@pytest.mark.parametrize("segment", ["contoso.utils", "1.0.0-rc.1", "a_b", "é", "日本"])
def test_names_of_packages_are_safe(segment: str):
    assert str(BlobKey.of("nuget.org", segment)) == f"nuget.org/{segment}"


@pytest.mark.parametrize(
    "segment", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\0b", "a b", "a\nb", "*", "c:", "x" * 256, "é" * 128]
)
def test_other_names_are_refused(segment: str):
    with pytest.raises(ValueError, match="blob key"):
        BlobKey.of("nuget.org", segment)


def test_an_empty_key_is_refused():
    with pytest.raises(ValueError, match="segment"):
        BlobKey.of()


def test_a_file_that_is_adopted_is_the_blob_and_never_replaces_one(tmp_path: Path, store: FilesystemBlobs):
    file, other = tmp_path / "1", tmp_path / "2"
    file.write_bytes(b"package")
    other.write_bytes(b"another")

    assert store.adopt(KEY, file)
    assert not store.adopt(KEY, other)

    assert store.path(KEY).read_bytes() == b"package"
    assert (file.exists(), other.exists()) == (False, True)
    assert store.path(KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("only_copy", "synced"), [(True, 4), (False, 1)])
def test_the_only_copy_keeps_its_name_with_all_folders(
    tmp_path: Path, make_spool: MakeSpool, monkeypatch: pytest.MonkeyPatch, only_copy: bool, synced: int
):
    """
    After a power loss right after the commit. The root is one of the folders.
    """
    store = FilesystemBlobs(tmp_path / "blobs", only_copy=only_copy)
    store.commit(KEY, make_spool(b"package"))
    store.delete(KEY)
    store.commit(BlobKey.of(*KEY.segments[:-1], "other"), make_spool(b"other"))
    folders: list[Path] = []
    monkeypatch.setattr(filesystem, "sync_folder", folders.append)

    store.commit(KEY, make_spool(b"package"))
    assert folders == list(store.path(KEY).parents[:synced])


def test_folders_that_are_removed_while_they_are_made_are_made_again(
    store: FilesystemBlobs, make_spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
):
    """
    As soon as a folder exists, a deletion may find it empty, and then those above it.
    """
    made = Path.mkdir
    lost: list[Path] = []

    def removed(folder: Path, *how: Any, **more: Any) -> None:
        made(folder, *how, **more)
        if folder == store.path(KEY).parent and len(lost) < 3:
            lost.append(folder)
            folder.rmdir()
            folder.parent.rmdir()

    monkeypatch.setattr(Path, "mkdir", removed)
    store.commit(KEY, make_spool(b"package"))
    assert len(lost) == 3
    assert store.path(KEY).read_bytes() == b"package"


def test_a_folder_that_is_removed_under_a_commit_is_made_again(
    store: FilesystemBlobs, make_spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
):
    """
    Deleting the last blob of a folder removes the folder.
    """
    move = Spool.move_to
    lost: list[Path] = []

    def late(spool: Spool, target: Path, *, mode: int) -> None:
        if not lost:
            lost.append(target)
            target.parent.rmdir()
        move(spool, target, mode=mode)

    monkeypatch.setattr(Spool, "move_to", late)

    store.commit(KEY, make_spool(b"package"))
    assert lost
    assert store.path(KEY).read_bytes() == b"package"
