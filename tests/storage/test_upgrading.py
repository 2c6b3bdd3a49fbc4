"""When databases are migrated, and when not."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nugetproxy.errors import DataOfAnotherVersion, StorageUnavailable
from nugetproxy.storage.database import migrate
from nugetproxy.storage.database.opening import INVENTORY, MAIN, open_main_database
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.database.upgrading import bring_up_to_date
from nugetproxy.storage.occupants import Occupant, enter
from tests.other_version import NEXT, other_version

Become = Callable[..., None]


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Become:
    """Switch to another version from now on."""
    return lambda version, statement="": other_version(monkeypatch, version, statement)


@pytest.fixture
def data(tmp_path: Path, become: Become) -> Path:
    """As left by version 1.0; from here on this is 1.1, which has one more migration."""
    become("1.0")
    open_main_database(tmp_path).close()
    SqliteDatabase(tmp_path / INVENTORY, "inventory").close()
    become("1.1", "CREATE TABLE next (x TEXT) STRICT")
    return tmp_path


def applied(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        return dict(connection.execute("SELECT name, version FROM applied_migrations"))


def test_older_databases_are_migrated_once(data: Path):
    assert bring_up_to_date(data) == {MAIN: (NEXT,), INVENTORY: (NEXT,)}
    assert bring_up_to_date(data) == {}
    assert (applied(data / MAIN)[NEXT], applied(data / MAIN)["0001_accounts.sql"]) == ("1.1", "1.0")
    open_main_database(data).close()


def test_opening_migrates_nothing(data: Path):
    for reading in (False, True):
        with pytest.raises(DataOfAnotherVersion) as refused:
            open_main_database(data, reading=reading)
        assert str(refused.value) == (
            f"{data / MAIN} was written by nugetproxy 1.0; this is nugetproxy 1.1, which must migrate it first "
            f"({NEXT}). Start the server of this version, or run `nugetproxy migrate`; while the other version is "
            "running, use its commands. Nothing was changed"
        )
    assert NEXT not in applied(data / MAIN)


def test_what_is_in_use_is_not_migrated(data: Path):
    begun: list[bool] = []
    server = enter(data, Occupant("server", "1.0", 7))
    with pytest.raises(StorageUnavailable) as refused:
        bring_up_to_date(data, begin=lambda: begun.append(True))
    assert str(refused.value) == (
        f"cannot migrate the data from nugetproxy 1.0 to 1.1 while {data} is used by a server of nugetproxy 1.0 "
        "(process 7): stop it first"
    )
    assert begun == []
    server.leave()
    bring_up_to_date(data, begin=lambda: begun.append(True))
    assert begun == [True]


@pytest.mark.parametrize("file", [MAIN, INVENTORY])
def test_a_database_that_a_process_has_open_is_not_migrated(data: Path, file: str):
    """
    Versions from before the entries in `locks/` are seen by nothing else.
    """
    holds = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]); connection.execute('PRAGMA user_version');"
        "print('open', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", holds, str(data / file)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as older:
        assert older.stdout is not None
        assert older.stdout.readline() == b"open\n"
        with pytest.raises(StorageUnavailable) as refused:
            bring_up_to_date(data)
        assert f"while process {older.pid} has {data / file} open" in str(refused.value)
        assert NEXT not in applied(data / MAIN)
        assert older.stdin is not None
        older.stdin.close()
        assert bring_up_to_date(data) == {MAIN: (NEXT,), INVENTORY: (NEXT,)}


def test_a_current_directory_may_be_in_use(data: Path):
    """
    Several servers of one schema share a directory, and a reload of the same version needs nothing.
    """
    bring_up_to_date(data)
    enter(data, Occupant("server", "1.1", 7))
    assert bring_up_to_date(data) == {}


def test_a_migration_that_fails_leaves_everything_as_it_was(data: Path, become: Become):
    become("1.1", "CREATE TABLE accounts (x)")
    with pytest.raises(StorageUnavailable, match=r"cannot be migrated: table accounts already exists\. Nothing was"):
        bring_up_to_date(data)
    assert NEXT not in applied(data / MAIN)


def test_a_newer_main_database_is_refused(data: Path, become: Become):
    bring_up_to_date(data)
    become("1.0")
    for attempt in (bring_up_to_date, open_main_database):
        with pytest.raises(DataOfAnotherVersion, match=rf"written by nugetproxy 1\.1; this is .* not know its {NEXT}"):
            attempt(data)


def test_a_newer_inventory_is_set_aside_unless_it_is_in_use(data: Path, become: Become):
    bring_up_to_date(data)
    become("1.0")
    (data / MAIN).unlink()
    server = enter(data, Occupant("server", "1.1", 7))
    with pytest.raises(StorageUnavailable, match=r"used by a server of nugetproxy 1\.1"):
        bring_up_to_date(data)
    server.leave()
    assert bring_up_to_date(data) == {INVENTORY: ()}
    assert not (data / INVENTORY).exists()
    assert (data / f"{INVENTORY}.unreadable").exists()


def test_a_mirror_without_hosting_does_not_look_at_the_main_database(data: Path):
    assert bring_up_to_date(data, hosting=False) == {INVENTORY: (NEXT,)}
    assert NEXT not in applied(data / MAIN)


def test_there_is_nothing_to_do_in_an_empty_directory(tmp_path: Path):
    assert bring_up_to_date(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_database_from_before_versions_were_recorded(data: Path):
    """
    Its table has no such column: it is added, and until then the version is reported as unknown.
    """
    with sqlite3.connect(data / MAIN) as connection:
        connection.execute("ALTER TABLE applied_migrations DROP COLUMN version")
    with pytest.raises(
        DataOfAnotherVersion, match=r"was written by an older build of nugetproxy; this is nugetproxy 1\.1"
    ):
        open_main_database(data)
    bring_up_to_date(data)
    assert (applied(data / MAIN)[NEXT], applied(data / MAIN)["0001_accounts.sql"]) == ("1.1", "")
    assert migrate.difference(sqlite3.connect(data / MAIN), "main").written_by == "1.1"


def test_reading_creates_nothing(tmp_path: Path):
    database = open_main_database(tmp_path, reading=True)
    assert database.fetch_now("SELECT count(*) FROM accounts") == [(0,)]
    database.close()
    assert list(tmp_path.iterdir()) == []
