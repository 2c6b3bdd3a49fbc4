"""What is true of SQLite alone: files, migrations of them, reading them where nothing can be written."""

import asyncio
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.opening import MAIN, open_main_database
from nugetproxy.storage.database.sqlite import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path):
    opened = SqliteDatabase(tmp_path / "test.db", "inventory")
    yield opened
    opened.close()


def insert(lower_id: str, size: int = 1):
    return lambda transaction: transaction.change(
        "INSERT INTO mirrored_packages VALUES ('u', ?, '1.0.0', 'X', '', '', ?, '', 0)", (lower_id, size)
    )


async def test_reading_connection_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(StorageUnavailable):
        database.fetch_now("DELETE FROM mirrored_packages")


async def test_two_processes_may_open_one_file(tmp_path: Path) -> None:
    """
    Workers share the file: both migrate (one of them finds it done) and both write.
    """
    one, two = SqliteDatabase(tmp_path / "test.db", "inventory"), SqliteDatabase(tmp_path / "test.db", "inventory")
    try:
        await asyncio.gather(one.write(insert("a")), two.write(insert("b")))
        assert one.fetch_now("SELECT count(*) FROM mirrored_packages") == [(2,)]
    finally:
        one.close()
        two.close()


def test_a_newer_schema_stops_the_start(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path / "test.db", "inventory").close()
    connection = sqlite3.connect(tmp_path / "test.db")
    connection.execute("INSERT INTO applied_migrations VALUES ('9999_future.sql', 'x', '9.9')")
    connection.commit()
    connection.close()
    with pytest.raises(
        StorageUnavailable, match=r"test\.db was written by nugetproxy 9\.9; .*9999_future.* Use that version"
    ):
        SqliteDatabase(tmp_path / "test.db", "inventory")


def test_an_edited_migration_stops_the_start(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path / "test.db", "inventory").close()
    connection = sqlite3.connect(tmp_path / "test.db")
    connection.execute("UPDATE applied_migrations SET checksum = 'x'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageUnavailable, match=r"test\.db .* another build of nugetproxy: .*Use that build"):
        SqliteDatabase(tmp_path / "test.db", "inventory")


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageUnavailable):
        SqliteDatabase(tmp_path / "test.db", "inventory")


def test_a_damaged_main_database_must_be_restored(tmp_path: Path) -> None:
    (tmp_path / MAIN).write_bytes(b"not a database" * 100)
    told = f"{tmp_path / MAIN} cannot be read: file is not a database; restore it from a backup"
    with pytest.raises(StorageUnavailable, match=re.escape(told)):
        open_main_database(tmp_path)


async def test_a_database_in_memory_leaves_no_file(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "test.db", "inventory", in_memory=True)
    try:
        await database.write(insert("a"))
        assert database.fetch_now("SELECT lower_id FROM mirrored_packages") == [("a",)]
    finally:
        database.close()
    assert list(tmp_path.iterdir()) == []


async def test_slow_reads_run_beside_the_loop(database: SqliteDatabase) -> None:
    """
    In another thread, with a read-only connection.
    """
    await database.write(insert("a"))
    thread, rows = await database.read(
        lambda fetch: (threading.current_thread(), fetch("SELECT lower_id FROM mirrored_packages", ()))
    )
    assert (thread is threading.main_thread(), rows) == (False, [("a",)])
    with pytest.raises(StorageUnavailable, match="readonly"):
        await database.read(lambda fetch: fetch("DELETE FROM mirrored_packages", ()))


async def test_reading_in_threads_while_it_closes_fails_and_does_not_crash(tmp_path: Path) -> None:
    """
    A job in a thread may still be reading while the server stops; it gets an error.
    """
    database = SqliteDatabase(tmp_path / "test.db", "inventory")
    await asyncio.gather(*(database.write(insert(f"id{number}")) for number in range(300)))

    def read_on() -> int:
        rounds = 0
        while True:
            try:
                database.fetch_now("SELECT * FROM mirrored_packages ORDER BY words, lower_id DESC")
            except StorageUnavailable:
                return rounds
            rounds += 1

    readers = [asyncio.create_task(asyncio.to_thread(read_on)) for _ in range(4)]
    for _ in range(20):
        database.fetch_now("SELECT count(*) FROM mirrored_packages")
        await asyncio.sleep(0.005)
    database.close()
    assert all(rounds > 0 for rounds in await asyncio.gather(*readers))
    with pytest.raises(StorageUnavailable, match="is closed"):
        database.fetch_now("SELECT 1")


@pytest.mark.parametrize("ended", ["stopped", "killed"])
async def test_a_database_that_cannot_be_written_can_be_read(tmp_path: Path, ended: str) -> None:
    """
    In place, or as a copy when a killed process left its last changes in the log; writes are refused.
    """
    live = tmp_path / "live"
    live.mkdir()
    writing = SqliteDatabase(live / "test.db", "inventory")
    await writing.write(insert("a"))
    if ended == "stopped":
        writing.close()
    folder = tmp_path / "media"
    shutil.copytree(live, folder, ignore=shutil.ignore_patterns("*-shm"))
    if ended == "killed":
        writing.close()
        assert (folder / "test.db-wal").stat().st_size
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    database = SqliteDatabase(folder / "test.db", "inventory", read_only=True)
    try:
        assert database.fetch_now("SELECT lower_id FROM mirrored_packages") == [("a",)]
        assert await database.read(lambda fetch: fetch("SELECT lower_id FROM mirrored_packages", ())) == [("a",)]
        with pytest.raises(StorageUnavailable, match=r"database test\.db is read-only"):
            await database.write(insert("b"))
    finally:
        database.close()
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


_ELSEWHERE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*(name for (name,) in connection.execute("SELECT lower_id FROM mirrored_packages ORDER BY 1")))
connection.close()
"""


async def test_opening_it_again_in_the_same_process_loses_nothing(tmp_path: Path) -> None:
    """
    Closing any descriptor of the file would drop the locks of this process, and the next process to close the database
    would delete the log in use: later commits would be written to a file that has no name.
    """
    path = tmp_path / "test.db"
    command = [sys.executable, "-c", _ELSEWHERE, str(path)]
    first = SqliteDatabase(path, "inventory")
    await first.write(insert("a"))
    second = SqliteDatabase(path, "inventory")
    try:
        subprocess.run(command, check=True, capture_output=True)
        await first.write(insert("b"))
        seen = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    finally:
        second.close()
        first.close()

    assert seen == ["a", "b"]
