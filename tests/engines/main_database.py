"""The main database of a test: SQLite, or PostgreSQL where NUGETPROXY_TEST_DATABASE=postgres asks for it.

So a suite that is written against `Database` proves both engines, one after the other.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from nugetproxy.storage.database.base import Database
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


@pytest.fixture(scope="session", autouse=True)
def main_databases(request: pytest.FixtureRequest) -> Iterator[None]:
    """Starts PostgreSQL before the first test, if it is asked for."""
    if IS_POSTGRES:
        _copies.append((request.getfixturevalue("postgres"), request.getfixturevalue("migrated_template")))
    yield
    _copies.clear()
