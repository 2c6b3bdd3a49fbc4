"""Numbered schema changes, applied in order, once each, by whichever process comes first.

A migration is `migrations/SCHEMA/NNNN_name.sql`, split at lines that hold only `--;`. Each runs in one explicit
transaction, because Python's sqlite3 otherwise commits before DDL. What has been applied is remembered with a checksum:
a file that was changed after it ran stops the start, since nobody can know what the database looks like then.
"""

import hashlib
import sqlite3
from importlib import resources
from typing import Final

import nugetproxy
from nugetproxy.errors import StorageUnavailable

_SEPARATOR: Final = "\n--;\n"
_THIS: Final = f"this one ({nugetproxy.__version__})"


def migrate(connection: sqlite3.Connection, schema: str) -> None:
    """Bring the schema up to this version of the program. `connection` is in autocommit mode (isolation_level None).

    `schema` names the folder of migrations: databases that may be thrown away are kept apart from those that may not.

    Raises StorageUnavailable when the database was written by a newer version or a past migration was edited; the
    sentence says what an operator can do, and that nothing was changed.
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
            raise StorageUnavailable(
                f"{_file(connection)} was written by a newer nugetproxy: {_THIS} does not know its {unknown[-1]}. "
                "Start the newer one again, or put back the back-up from before its first start. Nothing was changed"
            )
        for name, script in scripts:
            checksum = hashlib.sha256(script.encode()).hexdigest()
            if name in applied:
                if applied[name] != checksum:
                    raise StorageUnavailable(
                        f"{_file(connection)} was written by another build of nugetproxy: its {name} is not that "
                        f"of {_THIS}. Start that build again, or put back a back-up that this one made, or name "
                        "another data directory. Nothing was changed"
                    )
                continue
            for statement in script.split(_SEPARATOR):
                connection.execute(statement)
            connection.execute("INSERT INTO applied_migrations VALUES (?, ?)", (name, checksum))
        connection.execute("COMMIT")
    except BaseException:  # Ctrl-C, too: an open transaction would lock out every other process
        connection.execute("ROLLBACK")
        raise


def _file(connection: sqlite3.Connection) -> str:
    """What people call the database."""
    rows = connection.execute("PRAGMA database_list").fetchall()
    return rows[0][2] or "the database"
