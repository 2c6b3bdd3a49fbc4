"""The mirror of a data directory, opened for one command, possibly beside a running server.

Only its inventory: commands that fetch or evict packages assemble what a server does.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from nugetproxy.cli.options import Settings
from nugetproxy.cli.output import refuse
from nugetproxy.errors import NugetproxyError, StorageUnavailable
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory, open_ledger
from nugetproxy.mirroring.kept.pins import Pins
from nugetproxy.mirroring.kept.unmet import UnmetRequests
from nugetproxy.storage.data_directory import MIRROR
from nugetproxy.storage.database.opening import INVENTORY, can_write
from nugetproxy.storage.database.sqlite import SqliteDatabase

T = TypeVar("T")


class OpenedMirror:
    """What a command works with."""

    def __init__(self, settings: Settings, database: SqliteDatabase, pins: Pins) -> None:
        """`pins` may be those of a fleet."""
        self.settings = settings
        self.data = settings.data
        self.inventory = Inventory(database)
        self.files = KeptFiles(database)
        self.pins = pins
        self.unmet = UnmetRequests(database)


def on_mirror(options: Mapping[str, Any], work: Callable[[OpenedMirror], Awaitable[T]], *, writing: bool = False) -> T:
    """Run `work` on the data directory that the options name. Exits with an error if it is refused.

    Without `writing`, an inventory that is missing is rebuilt in memory, and nothing is created.
    """
    import asyncio

    from nugetproxy import logs

    logs.set_up("plain", "warning")

    async def run() -> T:
        settings = Settings(options)
        with _opened(settings, writing=writing) as mirror:
            if not writing:
                await mirror.inventory.reconcile(settings.data / MIRROR)
            return await work(mirror)

    try:
        return asyncio.run(run())
    except NugetproxyError as error:
        refuse(error)


@contextmanager
def _opened(settings: Settings, *, writing: bool) -> Iterator[OpenedMirror]:
    data = settings.data
    refuse_missing(data)
    path = data / INVENTORY
    read_only = not can_write(data) or (not writing and not path.exists())
    if writing and read_only:
        raise StorageUnavailable(f"{data} is read-only for this user")
    database = open_ledger(path, read_only=read_only)
    with closing(database), _opened_pins(settings, database) as pins:
        yield OpenedMirror(settings, database, pins)


@contextmanager
def _opened_pins(settings: Settings, database: SqliteDatabase) -> Iterator[Pins]:
    """Those of the fleet, where there is one; otherwise those of the inventory."""
    if (shared := settings.shared) is None:
        yield Pins(database)
        return
    from nugetproxy.runtime.opened_stores import opened_main

    with opened_main(shared, settings.data) as stores:
        yield Pins(stores.database)


def refuse_missing(data: Path) -> None:
    """Raises StorageUnavailable if `data` is not a data directory with a mirror."""
    if not data.is_dir():
        raise StorageUnavailable(f"data directory {data} does not exist; use the --data or --config of the server")
    if not (data / INVENTORY).exists() and not (data / MIRROR).is_dir():
        raise StorageUnavailable(f"{data} has no mirrored packages: is it the server's --data?")


def owner_that_root_would_shut_out(data: Path) -> str:
    """The user who owns the mirror, if we are root and that user is not: new folders would be root's. Else empty."""
    import pwd

    mirror = data / MIRROR
    filled = mirror if mirror.is_dir() else data
    if os.geteuid() != 0 or not filled.is_dir() or (owner := filled.stat().st_uid) == 0:
        return ""
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"uid {owner}"
