"""Which tables of the main database a copy includes, in both engines."""

from pathlib import Path

from nugetproxy.storage.database.base import Fetch
from nugetproxy.storage.database.copying import COPIED, LEFT, REBUILT
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.database.postgres import PostgresDatabase

SQLITE = "SELECT name FROM sqlite_schema WHERE type = 'table'"
SQLITE_COLUMNS = "SELECT name, pk FROM pragma_table_info(?)"
POSTGRES = "SELECT table_name::TEXT FROM information_schema.tables WHERE table_schema = current_schema()"
POSTGRES_COLUMNS = (
    "SELECT column_name::TEXT FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ?"
)


async def test_every_table_is_copied_rebuilt_or_left(tmp_path: Path, postgres, shared_database: str):
    """A new table belongs in one of the lists in `storage.database.copying`, with the same columns in both engines."""
    copied = {table.name for table in COPIED}
    sqlite, other = open_main_database(tmp_path), PostgresDatabase(postgres.dsn(shared_database))
    try:
        found = {name for (name,) in await sqlite.fetch(SQLITE)}
        # What SQLite keeps for itself and its full-text tables.
        kept = {name for name in found if name.startswith(("sqlite_", *(f"{each}_" for each in REBUILT["sqlite"])))}
        assert found - kept - LEFT == copied | set(REBUILT["sqlite"])
        assert {name for (name,) in await other.fetch(POSTGRES)} - LEFT == copied | set(REBUILT["postgres"])

        def columns(fetch: Fetch) -> dict[str, set[str]]:
            return {name: {row[0] for row in fetch(POSTGRES_COLUMNS, (name,))} for name in copied}

        there = await other.read(columns)
        for table in COPIED:
            rows = await sqlite.fetch(SQLITE_COLUMNS, (table.name,))
            assert there[table.name] == {name for name, _ in rows}
            assert [name for name, place in sorted(rows, key=lambda row: row[1]) if place] == list(table.key)
    finally:
        sqlite.close()
        other.close()
