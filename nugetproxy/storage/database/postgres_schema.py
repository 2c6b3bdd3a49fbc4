"""The schema of the shared database: numbered changes, applied while servers are running, and who may work with which.

A migration is `migrations/postgres/NNNN_name.sql`. Its first line says which servers may go on when it is applied:
`-- lowest: 3` means those that know migration 3. So servers of two versions work side by side during an upgrade, if the
newer one's migrations only add; one that removes something names a higher number, in a later version.
A server refuses a schema that it does not know and that does not name it.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import nugetproxy
from nugetproxy.errors import DataOfAnotherVersion

VERSION: Final = nugetproxy.__version__

_LOWEST: Final = re.compile(r"-- lowest: ([0-9]+)\n")
# Of all locks of this kind in one database, ours. A lock of the transaction: a pooler may stand in between.
_LOCK: Final = 0x6E75676574
# A change that waits for a lock makes all who come later wait for it: rather it gives up.
_LOCK_SECONDS: Final = 5
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS applied_migrations (
        name TEXT COLLATE "C" PRIMARY KEY,
        checksum TEXT COLLATE "C" NOT NULL,
        version TEXT COLLATE "C" NOT NULL,
        lowest BIGINT NOT NULL,
        applied TIMESTAMPTZ NOT NULL DEFAULT now()
    )
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """`lowest` is the number of the newest migration that a program must know to work with the result of this one."""

    name: str
    script: str
    lowest: int

    @property
    def number(self) -> int:
        return int(self.name[:4])

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.script.encode()).hexdigest()


@cache
def migrations() -> tuple[Migration, ...]:
    """Those of this version, in order."""
    entries = resources.files(__package__).joinpath("migrations", "postgres").iterdir()
    files = {entry.name: entry for entry in entries if entry.name.endswith(".sql")}
    return tuple(_read(name, files[name].read_text(encoding="utf-8")) for name in sorted(files))


def pending(applied: dict[str, tuple[str, str, int]], known: tuple[Migration, ...]) -> tuple[Migration, ...]:
    """The migrations that this version must apply. `applied`: checksum, version and lowest, by name.

    Raises DataOfAnotherVersion when it cannot work with the schema.
    """
    here = known[-1].number
    for migration in known:
        if migration.name in applied and applied[migration.name][0] != migration.checksum:
            raise DataOfAnotherVersion(
                "the shared database was written by another build of nugetproxy: its "
                f"{migration.name} differs from the one here ({VERSION}). Use that build. Nothing was changed"
            )
    for name, (_, version, lowest) in applied.items():
        if lowest > here:
            raise DataOfAnotherVersion(
                f"the shared database was migrated by nugetproxy {version}: since its {name}, only a version that "
                f"knows migration {lowest} can use it, and this is nugetproxy {VERSION}, which knows {here}. "
                "Use the newer version, or restore a backup made before. Nothing was changed"
            )
    return tuple(migration for migration in known if migration.name not in applied)


def require_no_newer(applied: Iterable[tuple[str, str]]) -> None:
    """For work that must know all tables. `applied`: names of migrations, and the versions that applied them.

    Raises DataOfAnotherVersion when there is one that this version does not know, although it can work beside it.
    """
    known = {migration.name for migration in migrations()}
    for name, version in applied:
        if name not in known:
            raise DataOfAnotherVersion(
                f"the shared database was migrated by nugetproxy {version} ({name}), and this is nugetproxy {VERSION}: "
                "use that version. Nothing was changed"
            )


async def check(connection: Any) -> None:
    """Whether this version may work with the database now. Raises DataOfAnotherVersion."""
    missing = pending(await _applied(connection), migrations())
    if missing:
        raise DataOfAnotherVersion(
            f"the shared database must first be migrated for nugetproxy {VERSION} "
            f"({', '.join(each.name for each in missing)}): run `nugetproxy migrate`. Nothing was changed"
        )


async def migrate(connection: Any, known: tuple[Migration, ...] | None = None) -> tuple[str, ...]:
    """Apply what is pending, each migration in a transaction of its own; returns their names.

    Others that migrate meanwhile wait, and find the work done. Raises DataOfAnotherVersion, and the driver's errors.
    """
    known = known or migrations()
    done = []
    while (name := await _apply_next(connection, known)) is not None:
        done.append(name)
    return tuple(done)


async def _apply_next(connection: Any, known: tuple[Migration, ...]) -> str | None:
    async with connection.transaction():
        await connection.execute(
            f"SET TRANSACTION READ WRITE; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({_LOCK})"
        )
        await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'; {_TABLE}")
        missing = pending(await _applied(connection), known)
        if not missing:
            return None
        migration = missing[0]
        await connection.execute(migration.script)
        await connection.execute(
            "INSERT INTO applied_migrations (name, checksum, version, lowest) VALUES ($1, $2, $3, $4)",
            migration.name,
            migration.checksum,
            VERSION,
            migration.lowest,
        )
        return migration.name


async def _applied(connection: Any) -> dict[str, tuple[str, str, int]]:
    if await connection.fetchval("SELECT to_regclass('applied_migrations')::oid") is None:
        return {}
    rows = await connection.fetch("SELECT name, checksum, version, lowest FROM applied_migrations ORDER BY name")
    return {name: (checksum, version, lowest) for name, checksum, version, lowest in rows}


def _read(name: str, script: str) -> Migration:
    found = _LOWEST.match(script)
    assert found is not None, f"{name} does not say `-- lowest: N` in its first line"
    return Migration(name, script, int(found[1]))
