"""Open the stores of a process: in the data directory of one machine, or in the engines that a fleet shares.

Only this module knows which of the two the settings name. The shared engines are in `shared_stores`, which is loaded
only where they are used.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nugetproxy.accounts.audit import newest_entry
from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.runtime.stores import MainStores, Stores
from nugetproxy.storage.blobs.opening import open_hosted_blobs
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.database.sqlite import SqliteDatabase
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.revisions import Revisions

if TYPE_CHECKING:  # commands that manage accounts must not load settings
    from nugetproxy.config import Config

_log = logger()


async def open_stores(config: "Config", stack: AsyncExitStack, *, has_main: bool, read_only: bool, what: str) -> Stores:
    """The stores that the settings name, closed by `stack`.

    `has_main`: whether accounts, hosted packages or the policy are used. `read_only`: nothing can be written in the
    data directory. `what` names the kind of process. Raises StorageUnavailable.
    """
    path = Path(config.storage.path)
    leases = Leases(path / "locks")
    if config.storage.kind == "shared":
        from nugetproxy.runtime.shared_stores import open_shared_stores

        return await open_shared_stores(config, leases, stack, what=what)
    revisions = Revisions(None if read_only else path)
    stack.callback(revisions.close)
    main: SqliteDatabase | None = None
    if has_main:
        # Without it, it is not known which ids are protected, nor what the policy allows.
        main = stack.enter_context(closing(open_main_database(path, reading=read_only)))
        revisions.catch_up(newest_entry, main.fetch_now)
    hosted = open_hosted_blobs(path)
    try:
        if has_main and not read_only:
            hosted.apply_access()
    except StorageUnavailable as error:  # the folder belongs to another user: its files can be served anyway
        _log.warning("hosted_not_private", error=str(error))
    return Stores(leases, leases, leases, revisions, main, hosted)


@contextmanager
def opened_main(shared: "Config | None", path: Path, *, reading: bool = False) -> Iterator[MainStores]:
    """The main database and what belongs to it, possibly beside running servers. Raises StorageUnavailable.

    `shared` are the settings if they name the storage of a fleet. `path` is the data directory. `reading`: nothing is
    written there.
    """
    if shared is not None:
        from nugetproxy.runtime.shared_stores import opened_shared_main

        with opened_shared_main(shared, path) as opened:
            yield MainStores(*opened)
        return
    with (
        closing(open_main_database(path, reading=reading)) as database,
        closing(Revisions(None if reading else path)) as revisions,
    ):
        revisions.catch_up(newest_entry, database.fetch_now)
        yield MainStores(database, revisions, open_hosted_blobs(path))
