"""Whether a server has an administrator, so that startup can say how to create one. No migration, no thread."""

import shlex
import sqlite3
from pathlib import Path

from nugetproxy.storage.database.opening import MAIN


def has_administrator(directory: Path) -> bool:
    """Whether the data directory has an active administrator. True when that cannot be determined."""
    path = directory / MAIN
    if not path.exists():
        return False
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    except sqlite3.Error:
        return True
    try:
        row = connection.execute("SELECT count(*) FROM accounts WHERE is_administrator AND disabled IS NULL").fetchone()
        return bool(row[0])
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)
    except sqlite3.Error:
        return True
    finally:
        connection.close()


def how_to_begin(data: str, config: str = "", program: str = "nugetproxy") -> str:
    """The commands up to the first push, with the options that `serve` was given (empty: none).

    `program` is the command that runs this program in a shell.
    """
    options = "".join(
        f" {name} {shlex.quote(value)}" for name, value in (("--config", config), ("--data", data)) if value
    )
    return (
        "Nobody can push yet. To create the first administrator, reserve package ids, and create an API key:\n"
        f"  {program} user add NAME --admin{options}\n"
        f"  {program} prefix reserve 'PREFIX.*' --owner NAME{options}\n"
        f"  {program} key add KEYNAME --owner NAME{options}"
    )
