"""A feed that SQLite has indexed, copied to a PostgreSQL of its own: over a connection, indexing takes far longer.

The lexemes are computed as a push computes them; triggers and the building of the index are what is left out.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from nugetproxy.hosting.full_text.base import WORD_COLUMNS, Texts
from nugetproxy.hosting.full_text.postgres import digest_of, lexemes_of
from nugetproxy.storage.database.opening import MAIN
from nugetproxy.storage.database.postgres import PostgresDatabase, bring_up_to_date
from tests.engines.postgres import PostgresServer, find_binaries

_TABLES: Final = (
    "accounts", "hosted_pushes", "hosted_packages", "hosted_downloads", "package_owners", "search_versions",
    "search_documents", "search_hits",
)  # fmt: skip
_AT_ONCE: Final = 5_000
_INDEX: Final = "CREATE INDEX search_words_by_lexeme ON search_words USING gin (lexemes) WITH (fastupdate = off)"
_TOTALS: Final = """
UPDATE search_totals SET documents = (SELECT count(*) FROM search_documents WHERE shown_to >> client::INTEGER & 1 = 1)
"""
_MINUTES: Final = 30 * 60


@contextmanager
def copied(folder: Path) -> Iterator[PostgresDatabase]:
    """A PostgreSQL with the search of the feed in this data directory."""
    binaries = find_binaries()
    assert binaries is not None, "there is no PostgreSQL here: run scripts/install"
    server = PostgresServer(binaries)
    try:
        name = server.create_database()
        bring_up_to_date(server.dsn(name))
        source = sqlite3.connect(folder / MAIN, check_same_thread=False)
        server.asking(name, lambda connection: _copy(source, connection))
        source.close()
        database = PostgresDatabase(server.dsn(name))
        yield database
        database.close()
    finally:
        server.close()


async def _copy(source: sqlite3.Connection, target: Any) -> None:
    for table in _TABLES:
        await target.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
        rows = source.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        await target.copy_records_to_table(table, records=rows, columns=columns)
        await target.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
    await target.execute(_TOTALS)
    print("  texts", file=sys.stderr)
    await target.execute("DROP INDEX search_words_by_lexeme")
    await target.execute("CREATE TEMP TABLE copied (document BIGINT, shown_to BIGINT, digest BYTEA, lexemes TEXT)")
    words = _words(source)
    while rows := list(islice(words, _AT_ONCE)):
        await target.copy_records_to_table("copied", records=rows)
        await target.execute(
            "INSERT INTO search_words SELECT document, shown_to, digest, lexemes::tsvector FROM copied",
            timeout=_MINUTES,
        )
        await target.execute("TRUNCATE copied")
    print("  index", file=sys.stderr)
    await target.execute(f"SET maintenance_work_mem = '256MB'; {_INDEX}", timeout=_MINUTES)
    await target.execute("VACUUM ANALYZE", timeout=_MINUTES)


def _words(source: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    columns = ", ".join(WORD_COLUMNS)
    for document, shown_to, lower_id, owners, *words in source.execute(
        f"SELECT document, shown_to, lower_id, owners, {columns} FROM search_documents"
        " JOIN search_words ON search_words.rowid = document"
    ):
        texts = Texts(lower_id, tuple(words), ())
        marks = "".join(f"  'a{owner}'" for owner in (owners or "").split())
        yield document, shown_to, digest_of(texts), lexemes_of(texts) + marks
