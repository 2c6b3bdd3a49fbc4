"""Numbered schema changes, applied in order, once each, by whichever process comes first.

A migration is `migrations/SCHEMA/NNNN_name.sql`, split at lines that hold only `--;`. Each runs in one explicit
transaction, because Python's sqlite3 otherwise commits before DDL. What has been applied is remembered with a checksum:
a file that was changed after it ran stops the start, since nobody can know what the database looks like then.
"""

import hashlib
import sqlite3
from importlib import resources
from typing import Final

from nugetproxy.errors import StorageUnavailable

_SEPARATOR: Final = "\n--;\n"


def migrate(connection: sqlite3.Connection, schema: str) -> None:
    """Bring the schema up to this version of the program. `connection` is in autocommit mode (isolation_level None).

    `schema` names the folder of migrations: databases that may be thrown away are kept apart from those that may not.

    Raises StorageUnavailable when the database was written by a newer version or a past migration was edited.
    """
    files = sorted(
        (
            entry
            for entry in resources.files(__package__).joinpath("migrations", schema).iterdir()
            if entry.name.endswith(".sql")
        ),
        key=lambda entry: entry.name,
    )
    scripts = [(entry.name, entry.read_text(encoding="utf-8")) for entry in files]
    # One writer at a time: several workers start together, and the losers find the work done.
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS applied_migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL) STRICT"
        )
        applied = dict(connection.execute("SELECT name, checksum FROM applied_migrations").fetchall())
        unknown = sorted(applied.keys() - {name for name, _ in scripts})
        if unknown:
            raise StorageUnavailable(f"the database was written by a newer nugetproxy (it has {unknown[-1]})")
        for name, script in scripts:
            checksum = hashlib.sha256(script.encode()).hexdigest()
            if name in applied:
                if applied[name] != checksum:
                    raise StorageUnavailable(f"migration {name} was changed after it had been applied")
                continue
            for statement in script.split(_SEPARATOR):
                connection.execute(statement)
            connection.execute("INSERT INTO applied_migrations VALUES (?, ?)", (name, checksum))
        connection.execute("COMMIT")
    except BaseException:  # Ctrl-C, too: an open transaction would lock out every other process
        connection.execute("ROLLBACK")
        raise
