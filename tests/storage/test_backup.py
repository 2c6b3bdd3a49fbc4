"""Backups as folders: what a backup needs, how damage is handled, and that a restore is all or nothing."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from nugetproxy.errors import DataOfAnotherVersion, InvalidRequest, StorageUnavailable
from nugetproxy.storage.access import PRIVATE
from nugetproxy.storage.backup.copying import hash_file
from nugetproxy.storage.backup.manifest import FILE, Manifest
from nugetproxy.storage.backup.restoring import restore
from nugetproxy.storage.backup.writing import BackupWriter
from nugetproxy.storage.data_directory import prepare
from nugetproxy.storage.database.opening import MAIN, RESTORING, open_main_database
from nugetproxy.storage.occupants import Occupant, enter
from tests.flows.mirror import files_below
from tests.other_version import other_version

BLOB = "hosted/packages/a/1.0.0/a.nupkg"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a database that is in use, and one package."""
    data = tmp_path / "data"
    (data / BLOB).parent.mkdir(parents=True)
    (data / BLOB).write_bytes(b"package")
    (data / BLOB).chmod(0o600)
    open_main_database(data).close()
    return data


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    return back_up(data, tmp_path / "backup")


def back_up(data: Path, folder: Path, *, link: bool = False, damaged: tuple[str, ...] = ()) -> Path:
    writer = BackupWriter(data, folder, link=link)
    writer.add_database(MAIN)
    assert writer.add(BLOB) is not None
    writer.finish(damaged)
    return folder


def edited(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = orjson.loads((folder / FILE).read_bytes())
    edit(manifest)
    (folder / FILE).write_bytes(orjson.dumps(manifest))


class TestWriting:
    def test_it_is_private_whatever_the_umask(self, data: Path, tmp_path: Path):
        before = os.umask(0)
        try:
            folder = back_up(data, tmp_path / "backup")
        finally:
            os.umask(before)
        modes = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
        assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
        assert files_below(folder) == {BLOB, MAIN, FILE}

    @pytest.mark.parametrize("link", [True, False])
    def test_packages_are_linked_or_copied(self, data: Path, tmp_path: Path, link: bool):
        folder = back_up(data, tmp_path / "backup", link=link)

        assert (folder / BLOB).samefile(data / BLOB) is link
        assert (folder / BLOB).read_bytes() == b"package"
        assert (folder / BLOB).stat().st_mtime_ns == (data / BLOB).stat().st_mtime_ns

    def test_files_are_copied_where_links_are_impossible(self, data: Path, tmp_path: Path, monkeypatch):
        def refuse(*_: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
        assert (back_up(data, tmp_path / "backup", link=True) / BLOB).read_bytes() == b"package"

    def test_only_an_empty_folder_is_accepted(self, data: Path, folder: Path, tmp_path: Path):
        with pytest.raises(InvalidRequest, match=r"backup is not empty: name a new folder"):
            BackupWriter(data, folder, link=False)
        (folder / FILE).unlink()
        with pytest.raises(InvalidRequest, match=r"is not empty, perhaps after an interrupted backup"):
            BackupWriter(data, folder, link=False)

    @pytest.mark.parametrize("inside", ["", "backup", "mirror/backup", "../data/backup"])
    def test_a_folder_inside_the_data_directory_is_refused(self, data: Path, inside: str):
        """
        A backup with the mirror would copy itself for ever.
        """
        before = files_below(data)
        with pytest.raises(InvalidRequest, match="is inside the data directory"):
            BackupWriter(data, data / inside, link=False)
        assert files_below(data) == before

    def test_missing_files_are_reported(self, data: Path, tmp_path: Path):
        writer = BackupWriter(data, tmp_path / "backup", link=True)
        assert writer.add("hosted/packages/b/1.0.0/b.nupkg") is None

    def test_a_damaged_database_is_refused(self, data: Path, tmp_path: Path):
        (data / MAIN).write_bytes(b"not a database" * 1000)
        writer = BackupWriter(data, tmp_path / "backup", link=True)
        with pytest.raises(StorageUnavailable, match=r"nugetproxy\.db cannot be backed up: file is not a database"):
            writer.add_database(MAIN)

    @pytest.mark.parametrize("has_log", [False, True])
    def test_a_data_directory_that_cannot_be_written_is_backed_up(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_log: bool
    ):
        with closing(sqlite3.connect(data / MAIN, isolation_level=None)) as writing:
            writing.execute("PRAGMA user_version = 7")
            shutil.copytree(data, tmp_path / "media")
        if not has_log:
            shutil.copyfile(data / MAIN, tmp_path / "media" / MAIN)
            (tmp_path / "media" / f"{MAIN}-wal").unlink()
        (tmp_path / "media" / f"{MAIN}-shm").unlink()
        before = files_below(tmp_path / "media")
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        folder = back_up(tmp_path / "media", tmp_path / "backup")

        assert files_below(tmp_path / "media") == before
        with closing(sqlite3.connect(folder / MAIN)) as reading:
            assert reading.execute("PRAGMA user_version").fetchone() == (7,)

    def test_an_abandoned_one_leaves_an_empty_folder(self, data: Path, tmp_path: Path):
        writer = BackupWriter(data, tmp_path / "backup", link=True)
        writer.add_database(MAIN)
        writer.add(BLOB)
        writer.abandon()
        assert list((tmp_path / "backup").iterdir()) == []


class TestRestoring:
    @pytest.mark.parametrize("exists", [True, False])
    def test_everything_is_where_it_was(self, data: Path, folder: Path, tmp_path: Path, exists: bool):
        target = tmp_path / "a/new/place"
        if exists:
            (target / "lost+found").mkdir(parents=True)
        manifest = restore(folder, target)

        assert files_below(target) == {BLOB, MAIN, "locks/door"}
        assert (target / BLOB).read_bytes() == b"package"
        assert not (target / BLOB).samefile(folder / BLOB)
        assert (target / BLOB).stat().st_mode & 0o777 == 0o600
        assert Manifest.read(folder) == manifest
        open_main_database(target).close()

    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: (folder / BLOB).write_bytes(b"packagf"),
            lambda folder: (folder / BLOB).write_bytes(b"package and more"),
            lambda folder: (folder / BLOB).unlink(),
            lambda folder: ((folder / BLOB).unlink(), (folder / BLOB).symlink_to("/etc/passwd")),
            lambda folder: (folder / MAIN).write_bytes(b"x"),
            lambda folder: _with_a_damaged_database(folder),
        ],
        ids=["changed", "longer", "missing", "a link", "database cut", "database damaged before"],
    )
    @pytest.mark.parametrize("exists", [True, False])
    def test_a_damaged_backup_changes_nothing(
        self, folder: Path, tmp_path: Path, damage: Callable[[Path], object], exists: bool
    ):
        damage(folder)
        target = tmp_path / "target"
        if exists:
            target.mkdir()
        with pytest.raises(StorageUnavailable, match="Nothing was restored"):
            restore(folder, target)
        assert target.exists() is exists
        assert not exists or files_below(target) == {"locks/door"}

    @pytest.mark.parametrize(
        ("edit", "told"),
        [
            (lambda m: m["files"].update({"../escaped": m["files"][BLOB]}), "is damaged: its entry '../escaped'"),
            (lambda m: m["files"].update({"/etc/escaped": m["files"][BLOB]}), "is damaged: its entry '/etc/escaped'"),
            (lambda m: m["files"].update({"hosted/../../x": m["files"][BLOB]}), "is damaged: its entry"),
            (lambda m: m["files"].update({"locks/x": m["files"][BLOB]}), "is damaged: its entry 'locks/x'"),
            (lambda m: m["files"][BLOB].update(size="7"), "is damaged"),
            (lambda m: m["files"][BLOB].update(sha512="0"), "is damaged"),
            (lambda m: m.update(format=2, version="9\0"), r"was written by a newer nugetproxy \(\?\)"),
            (lambda m: m.update(version=[[1]]), "is damaged: its version, its time or a damaged file is not a text"),
            (lambda m: m.pop("files"), "is damaged: it has no 'files'"),
            (lambda m: m.update(files=[]), "is damaged"),
            (lambda m: m.update(format=2, version="9.1"), r"was written by a newer nugetproxy \(9\.1\)"),
        ],
    )
    def test_a_manifest_of_somebody_else_is_refused(
        self, folder: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], told: str
    ):
        edited(folder, edit)
        with pytest.raises(InvalidRequest, match=told):
            restore(folder, tmp_path / "target")
        assert not (tmp_path / "target").exists()

    @pytest.mark.parametrize(
        ("text", "told"), [(None, "is not a backup: it has no"), ("{", "is not JSON"), ("[]", "damaged")]
    )
    def test_a_folder_that_is_not_a_backup_is_refused(self, folder: Path, tmp_path: Path, text: str | None, told: str):
        (folder / FILE).unlink()
        if text is not None:
            (folder / FILE).write_text(text)
        with pytest.raises(InvalidRequest, match=told):
            restore(folder, tmp_path / "target")

    def test_a_directory_that_is_not_empty_is_refused(self, data: Path, folder: Path):
        before = files_below(data)
        with pytest.raises(
            InvalidRequest, match=r"data is not empty \(it contains hosted\): restore into a new or empty one"
        ):
            restore(folder, data)
        assert files_below(data) - {"locks/door"} == before

    def test_a_directory_in_use_is_refused(self, folder: Path, tmp_path: Path):
        enter(tmp_path, Occupant("server", "1.0", 7))
        with pytest.raises(StorageUnavailable, match=r"is used by a server of nugetproxy 1\.0 \(process 7\)"):
            restore(folder, tmp_path)

    def test_a_backup_of_a_newer_version_is_refused(self, data: Path, folder: Path, tmp_path: Path):
        with sqlite3.connect(folder / MAIN) as connection:
            connection.execute("INSERT INTO applied_migrations VALUES ('9000_next.sql', 'x', '9.1')")
        (data / MAIN).unlink()
        shutil.copy(folder / MAIN, data / MAIN)
        with pytest.raises(DataOfAnotherVersion, match=r"was written by nugetproxy 9\.1"):
            restore(back_up(data, tmp_path / "newer"), tmp_path / "target")
        assert not (tmp_path / "target").exists()

    def test_a_backup_of_an_older_version_is_migrated_by_the_server(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        other_version(monkeypatch, "9.1", "CREATE TABLE next (x TEXT) STRICT")
        restore(folder, tmp_path / "target")
        with pytest.raises(DataOfAnotherVersion, match="must migrate it first"):
            open_main_database(tmp_path / "target")

    @pytest.mark.parametrize("moment", [2, 5, 8, 9, 10])
    def test_one_that_was_killed_is_nothing_until_it_is_done_again(self, folder: Path, tmp_path: Path, moment: int):
        """
        Killed at any step: the directory cannot be opened, and restoring again completes it.
        """
        target = tmp_path / "target"
        target.mkdir()
        code = (
            "import os, sys; from pathlib import Path; from nugetproxy.storage.backup import copying, restoring\n"
            "left = int(sys.argv[3])\n"
            "def killing(function):\n"
            "    def step(*arguments, **more):\n"
            "        global left\n"
            "        left -= 1\n"
            "        if not left: os._exit(9)\n"
            "        return function(*arguments, **more)\n"
            "    return step\n"
            "for name in ('copy_file', 'sync_folder'): setattr(restoring, name, killing(getattr(restoring, name)))\n"
            "for name in ('rename', 'mkdir', 'rmdir'): setattr(Path, name, killing(getattr(Path, name)))\n"
            "restoring.restore(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code, str(folder), str(target), str(moment)], check=False
        ).returncode
        assert ended in (0, 9)
        if ended and (target / RESTORING).exists():
            for opening in (lambda: open_main_database(target), lambda: prepare(target, PRIVATE)):
                with pytest.raises(StorageUnavailable, match="is being restored into"):
                    opening()
        else:
            assert files_below(target) - {"locks/door"} in (set(), {BLOB, MAIN})
        if ended:
            restore(folder, target)
        assert files_below(target) == {BLOB, MAIN, "locks/door"}


def _with_a_damaged_database(folder: Path) -> None:
    content = bytearray((folder / MAIN).read_bytes())
    content[4096:8192] = bytes(4096)
    (folder / MAIN).write_bytes(content)
    backed_up = hash_file(folder / MAIN)
    edited(
        folder, lambda manifest: manifest["files"].update({MAIN: {"size": backed_up.size, "sha512": backed_up.sha512}})
    )
