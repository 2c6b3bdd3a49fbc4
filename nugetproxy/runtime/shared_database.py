"""Where the database of a shared installation is, and its migration before a start.

A worker migrates before it knows where its metrics go, so nothing that this loads may have metrics.
"""

from pathlib import Path

from nugetproxy.config import Config
from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.postgres import bring_up_to_date
from nugetproxy.storage.database.postgres_connections import Limits


def migrate_shared(config: Config) -> tuple[str, ...]:
    """Bring the schema of the shared database up to this version; returns what was applied.

    Raises StorageUnavailable, DataOfAnotherVersion.
    """
    return bring_up_to_date(shared_dsn(config), shared_limits(config))


def shared_dsn(config: Config) -> str:
    """Raises StorageUnavailable: the file cannot be read."""
    file = config.storage.shared.dsn_file
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise StorageUnavailable(f"storage.shared.dsn_file {file} cannot be read: {error}") from error


def shared_limits(config: Config) -> Limits:
    return Limits(connections=config.storage.shared.connections)
