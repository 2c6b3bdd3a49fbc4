"""Where the database of a shared installation is, and its migration before a start.

A worker migrates before it knows where its metrics go, so nothing that this loads may have metrics.
"""

import asyncio
from contextlib import closing
from pathlib import Path

from nugetproxy.accounts.beginning import ADMINISTRATORS
from nugetproxy.config import Config
from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.postgres import PostgresDatabase, bring_up_to_date
from nugetproxy.storage.database.postgres_connections import Limits


def migrate_shared(config: Config) -> tuple[str, ...]:
    """Bring the schema of the shared database up to this version; returns what was applied.

    Raises StorageUnavailable, DataOfAnotherVersion.
    """
    return bring_up_to_date(shared_dsn(config), shared_limits(config))


def has_shared_administrator(config: Config) -> bool:
    """As `accounts.beginning.has_administrator`. Blocks; before there is an event loop."""
    try:
        with closing(PostgresDatabase(shared_dsn(config), shared_limits(config))) as database:
            return bool(asyncio.run(database.fetch(ADMINISTRATORS)))
    except StorageUnavailable:
        return True


def shared_dsn(config: Config) -> str:
    """Raises StorageUnavailable: the file cannot be read."""
    file = config.storage.shared.dsn_file
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise StorageUnavailable(f"storage.shared.dsn_file {file} cannot be read: {error}") from error


def shared_limits(config: Config) -> Limits:
    return Limits(connections=config.storage.shared.connections)
