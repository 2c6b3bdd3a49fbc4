"""SQLite files that are not ours."""

import sqlite3
from contextlib import closing

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.foreign import read_copy, read_foreign


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "other #1?.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE a (x, y); INSERT INTO a VALUES (1, 'b'); CREATE VIEW v AS SELECT * FROM a"
        )
    return path


def test_a_table_is_read(path):
    assert [(1,)] == read_foreign(path, "a", "x")
    assert [(1, "b")] == read_copy(path, "SELECT * FROM a")
    assert ["other #1?.db"] == [each.name for each in path.parent.iterdir()]


@pytest.mark.parametrize("table", ["v", "none"])
def test_only_a_table_is_read(path, table):
    with pytest.raises(ValueError, match=f"^it has no table {table}$"):
        read_foreign(path, table, "x")


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "text"
    text.write_text("no database" * 100)

    with pytest.raises(ValueError, match="not a database"):
        read_foreign(text, "a", "x")
    with pytest.raises(StorageUnavailable, match="text cannot be read: file is not a database"):
        read_copy(text, "SELECT * FROM a")
    with pytest.raises(ValueError, match="unable to open"):
        read_foreign(tmp_path / "missing", "a", "x")
