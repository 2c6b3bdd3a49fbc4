"""Whether a server has an administrator, so that startup can say how to create one."""

import shlex
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.opening import MAIN
from nugetproxy.storage.database.peeking import peek

ADMINISTRATORS: Final = "SELECT 1 FROM accounts WHERE is_administrator = 1 AND disabled IS NULL LIMIT 1"
"""A row if there is an active administrator."""


def has_administrator(directory: Path) -> bool:
    """Whether the data directory has an active administrator. True when that cannot be determined."""
    try:
        return bool(peek(directory / MAIN, ADMINISTRATORS))
    except StorageUnavailable:
        return True


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
