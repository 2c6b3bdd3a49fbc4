"""The main database of a test: SQLite, or PostgreSQL where NUGETPROXY_TEST_DATABASE=postgres asks for it.

So a suite that is written against `Database` proves both engines, one after the other.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from nugetproxy.storage.database.base import Database, Rows
from nugetproxy.storage.database.opening import open_main_database
from tests.engines.postgres import PostgresServer

IS_POSTGRES: Final = os.environ.get("NUGETPROXY_TEST_DATABASE") == "postgres"
only_sqlite: Final = pytest.mark.skipif(IS_POSTGRES, reason="about the file of SQLite")

_opened: dict[Path, str] = {}
_copies: list[tuple[PostgresServer, str]] = []


def open_test_database(path: Path) -> Database:
    """The main database of this data directory. The same directory opened again has the same rows."""
    if not IS_POSTGRES:
        return open_main_database(path)
    from nugetproxy.storage.database.postgres import PostgresDatabase

    [(server, template)] = _copies
    if path not in _opened:
        _opened[path] = server.create_database(template)
    return PostgresDatabase(server.dsn(_opened[path]))


def fetched(database: Database, sql: str, parameters: Sequence[object] = ()) -> Rows:
    """All rows of a query, for assertions: blocks."""
    return database.submit(lambda transaction: transaction.fetch(sql, parameters)).result()


@pytest.fixture(scope="session", autouse=True)
def main_database_server(request: pytest.FixtureRequest) -> None:
    """Starts PostgreSQL before the first test, if it is asked for."""
    if IS_POSTGRES:
        _copies.append((request.getfixturevalue("postgres"), request.getfixturevalue("migrated_template")))


@pytest.fixture(autouse=True)
def main_databases(main_database_server: None) -> Iterator[None]:
    """Removes what a test has created in PostgreSQL."""
    kept = set(_opened)
    yield
    for path in _opened.keys() - kept:
        [(server, _)] = _copies
        server.drop_database(_opened.pop(path))
