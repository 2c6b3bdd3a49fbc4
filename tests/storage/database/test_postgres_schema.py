"""Who may work with the shared database during an upgrade, and what a migration does that fails or meets another."""

import asyncio
import sqlite3
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from nugetproxy.errors import DataOfAnotherVersion, StorageUnavailable
from nugetproxy.storage.database import postgres_schema
from nugetproxy.storage.database.postgres import PostgresDatabase, bring_up_to_date
from nugetproxy.storage.database.postgres_schema import Migration, migrations, pending
from nugetproxy.storage.database.sqlite import SqliteDatabase
from tests.engines.postgres import PostgresServer

ONE, TWO = Migration("0001_one.sql", "one", 1), Migration("0002_two.sql", "two", 1)
THREE = Migration("0003_three.sql", "three", 3)


def applied(*some: Migration) -> dict[str, tuple[str, str, int]]:
    return {each.name: (each.checksum, "9.9", each.lowest) for each in some}


@pytest.mark.parametrize(
    ("there", "known", "missing"),
    [
        ((), (ONE, TWO), (ONE, TWO)),
        ((ONE,), (ONE, TWO), (TWO,)),
        ((ONE, TWO), (ONE, TWO), ()),
        ((ONE, TWO), (ONE,), ()),  # the newer version's only adds: the older one goes on
        ((ONE, TWO, THREE), (ONE, TWO, THREE), ()),
        ((ONE, THREE), (ONE, TWO, THREE), (TWO,)),
    ],
)
def test_what_is_missing_is_applied(
    there: tuple[Migration, ...], known: tuple[Migration, ...], missing: tuple[Migration, ...]
) -> None:
    assert pending(applied(*there), known) == missing


@pytest.mark.parametrize(
    ("there", "known", "told"),
    [
        (
            (ONE, TWO, THREE),
            (ONE, TWO),
            r"migrated by nugetproxy 9\.9: since its 0003_three.*knows migration 3 .*knows 2",
        ),
        ((replace(ONE, script="edited"),), (ONE, TWO), r"another build of nugetproxy: its 0001_one\.sql differs"),
    ],
)
def test_a_schema_that_this_version_does_not_understand_is_refused(
    there: tuple[Migration, ...], known: tuple[Migration, ...], told: str
) -> None:
    with pytest.raises(DataOfAnotherVersion, match=told + r".*Nothing was changed$"):
        pending(applied(*there), known)


def test_each_migration_says_who_may_go_on() -> None:
    for migration in migrations():
        assert 1 <= migration.lowest <= migration.number


@pytest.mark.parametrize("schema", ["main", "postgres", "inventory"])
def test_no_two_migrations_have_the_same_number(schema: str) -> None:
    entries = resources.files("nugetproxy.storage.database").joinpath("migrations", schema).iterdir()
    numbers = sorted(int(entry.name[:4]) for entry in entries if entry.name.endswith(".sql"))
    assert numbers == list(range(1, len(numbers) + 1))


async def test_nodes_that_start_together_migrate_once(postgres: PostgresServer, empty_database: str) -> None:
    dsn = postgres.dsn(empty_database)
    done = await asyncio.gather(*(asyncio.to_thread(bring_up_to_date, dsn) for _ in range(3)))
    assert sorted(name for each in done for name in each) == [migration.name for migration in migrations()]
    assert bring_up_to_date(dsn) == ()


async def test_a_migration_that_fails_changes_nothing(
    postgres: PostgresServer, shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Migration("9001_fails.sql", "CREATE TABLE half (n BIGINT); SELECT 1 / 0", 1)
    monkeypatch.setattr(postgres_schema, "migrations", lambda: (*migrations(), failing))
    with pytest.raises(Exception, match="division by zero"):
        bring_up_to_date(postgres.dsn(shared_database))
    assert postgres.fetch("SELECT to_regclass('half')", shared_database) == [(None,)]


async def test_two_versions_run_side_by_side_unless_a_migration_forbids_it(
    postgres: PostgresServer, shared_database: str
) -> None:
    """A node that runs learns of it with its next connection."""
    database = PostgresDatabase(postgres.dsn(shared_database))
    adding = "INSERT INTO applied_migrations (name, checksum, version, lowest) VALUES ('{}', 'x', '9.9', {})"
    try:
        await database.fetch("SELECT 1")
        postgres.execute(adding.format("8000_adds.sql", 1), shared_database)
        await asyncio.gather(*(database.read(lambda fetch: fetch("SELECT pg_sleep(0.2)", ())) for _ in range(3)))
        postgres.execute(adding.format("9000_removes.sql", 9000), shared_database)
        postgres.execute(
            f"SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = '{shared_database}'"
        )
        with pytest.raises(DataOfAnotherVersion, match=r"9000_removes\.sql"):
            await database.fetch("SELECT 1")
    finally:
        database.close()


async def test_both_engines_have_the_same_tables(
    postgres: PostgresServer, shared_database: str, tmp_path: Path
) -> None:
    """Columns, their kinds, and which may be null. Of search, each has its own."""
    kinds = {"bigint": "INTEGER", "text": "TEXT", "bytea": "BLOB"}
    there = postgres.fetch(
        "SELECT table_name, column_name, data_type, is_nullable = 'NO' FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name NOT LIKE 'search%' AND table_name <> 'applied_migrations'",
        shared_database,
    )
    SqliteDatabase(tmp_path / "test.db", "main").close()
    connection = sqlite3.connect(tmp_path / "test.db")
    here = connection.execute(
        'SELECT t.name, c.name, c.type, c."notnull" OR c.pk FROM sqlite_schema t, pragma_table_info(t.name) c'
        " WHERE t.type = 'table' AND t.name NOT LIKE 'search%' AND t.name NOT LIKE 'sqlite%'"
        " AND t.name <> 'applied_migrations'"
    ).fetchall()
    connection.close()
    ours = {(table, column, kind, bool(required)) for table, column, kind, required in here}
    theirs = {(table, column, kinds.get(kind, kind), required) for table, column, kind, required in there}
    assert ours == {row for row in theirs if row[0] in {table for table, *_ in ours}}


async def test_texts_are_ordered_by_code_point(postgres: PostgresServer, shared_database: str) -> None:
    """In every column: no index and no order depends on the language of a machine."""
    other = postgres.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'",
        shared_database,
    )
    assert other == []


async def test_nothing_empties_what_is_append_only(postgres: PostgresServer, shared_database: str) -> None:
    for table in ("audit_log", "hosted_events", "hosted_pushes CASCADE"):
        with pytest.raises(Exception, match=r"append-only|never changed"):
            postgres.execute(f"TRUNCATE {table}", shared_database)


async def test_an_unmigrated_database_is_not_used(postgres: PostgresServer, empty_database: str) -> None:
    database = PostgresDatabase(postgres.dsn(empty_database))
    try:
        with pytest.raises(StorageUnavailable, match=r"must first be migrated .*0001_accounts.sql.*nugetproxy migrate"):
            await database.write(lambda transaction: transaction.fetch("SELECT 1"))
    finally:
        database.close()
