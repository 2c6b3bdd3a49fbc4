"""Numbered schema changes, applied in order, once each.

A migration is `migrations/SCHEMA/NNNN_name.sql`, split at lines that contain only `--;`. Each runs in one explicit
transaction, because Python's sqlite3 otherwise commits before DDL. Applied migrations are recorded with a checksum: if
a file was changed after it ran, startup stops, because the state of the database is unknown.

`upgrading` decides when a database may be migrated, and by which process; this module sets up new databases and
recognises those of another version.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from importlib import resources
from typing import Final

import nugetproxy
from nugetproxy.errors import DataOfAnotherVersion

_SEPARATOR: Final = "\n--;\n"
VERSION: Final = nugetproxy.__version__


@dataclass(frozen=True, slots=True)
class Difference:
    """What this version would do to a database: `pending` are the names of its migrations that are not applied yet.

    `is_new`: none was ever applied. `written_by` is the version that applied the last one, empty when unknown.
    """

    pending: tuple[str, ...]
    is_new: bool
    written_by: str


def difference(connection: sqlite3.Connection, schema: str) -> Difference:
    """Compare a database with this version of the program. Writes nothing.

    `schema` names the folder of migrations: databases that can be rebuilt are kept apart from those that cannot.

    Raises DataOfAnotherVersion when the database was written by a newer version or a past migration was edited.
    """
    scripts = _scripts(schema)
    applied = _applied(connection)
    unknown = sorted(applied.keys() - scripts.keys())
    if unknown:
        version = applied[unknown[-1]][1]
        raise DataOfAnotherVersion(
            f"{_file(connection)} was written by {_named(version, 'a newer')}; this is nugetproxy {VERSION}, which "
            f"does not know its {unknown[-1]}. Use that version, or restore a backup made before it was first started. "
            "Nothing was changed"
        )
    for name, (checksum, _) in applied.items():
        if checksum != _checksum(scripts[name]):
            raise DataOfAnotherVersion(
                f"{_file(connection)} was written by another build of nugetproxy: its {name} differs from the one here "
                f"({VERSION}). Use that build, restore a backup made by this one, or name another data directory. "
                "Nothing was changed"
            )
    pending = tuple(name for name in scripts if name not in applied)
    return Difference(pending, is_new=not applied, written_by=applied[max(applied)][1] if applied else "")


def refuse_older(connection: sqlite3.Connection, found: Difference) -> DataOfAnotherVersion:
    """The error for opening a database that must be migrated first."""
    return DataOfAnotherVersion(
        f"{_file(connection)} was written by {_named(found.written_by, 'an older')}; this is nugetproxy {VERSION}, "
        f"which must migrate it first ({', '.join(found.pending)}). Start the server of this version, or run "
        "`nugetproxy migrate`; while the other version is running, use its commands. Nothing was changed"
    )


def migrate(connection: sqlite3.Connection, schema: str) -> tuple[str, ...]:
    """Bring the schema up to this version of the program; returns the names of the migrations that were applied.

    `connection` is in autocommit mode (isolation_level None). Raises the same errors as `difference`, changing nothing.
    """
    # One writer at a time: several processes start together, and the later ones find the work done.
    connection.execute("BEGIN IMMEDIATE")
    try:
        pending = difference(connection, schema).pending
        if pending:
            _make_book(connection)
            scripts = _scripts(schema)
            for name in pending:
                for statement in scripts[name].split(_SEPARATOR):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO applied_migrations (name, checksum, version) VALUES (?, ?, ?)",
                    (name, _checksum(scripts[name]), VERSION),
                )
        connection.execute("COMMIT")
    except BaseException:  # Ctrl-C, too: an open transaction would lock out all other processes
        connection.execute("ROLLBACK")
        raise
    return pending


def _scripts(schema: str) -> dict[str, str]:
    """The migrations of this version, by name, in order."""
    entries = resources.files(__package__).joinpath("migrations", schema).iterdir()
    files = {entry.name: entry for entry in entries if entry.name.endswith(".sql")}
    return {name: files[name].read_text(encoding="utf-8") for name in sorted(files)}


def _checksum(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()


def _applied(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """Checksum and version by name; the version is empty where an early build did not write one."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(applied_migrations)")}
    if not columns:
        return {}
    version = "version" if "version" in columns else "''"
    rows = connection.execute(f"SELECT name, checksum, {version} FROM applied_migrations ORDER BY name")  # noqa: S608 - ours
    return {name: (checksum, version) for name, checksum, version in rows.fetchall()}


def _make_book(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS applied_migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL) STRICT"
    )
    columns = {row[1] for row in connection.execute("PRAGMA table_info(applied_migrations)")}
    if "version" not in columns:
        connection.execute("ALTER TABLE applied_migrations ADD COLUMN version TEXT NOT NULL DEFAULT ''")


def _named(version: str, otherwise: str) -> str:
    return f"nugetproxy {version}" if version and version != VERSION else f"{otherwise} build of nugetproxy"


def _file(connection: sqlite3.Connection) -> str:
    """The name of the database in messages."""
    rows = connection.execute("PRAGMA database_list").fetchall()
    return rows[0][2] or "the database"
