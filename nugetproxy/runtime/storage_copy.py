"""Moving a private feed to another storage, while it is used until shortly before the end."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nugetproxy.errors import DamagedContent, InvalidRequest, StorageUnavailable
from nugetproxy.hosting.copying import FeedCopy, Progress
from nugetproxy.logs import logger
from nugetproxy.runtime.whole_feeds import WholeFeed, begin, finish, require_same_version
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.holds import FOREVER, give_name, hold, prolong, release, storage_state
from nugetproxy.storage.spool import SpoolFolder

# Seconds until the source takes changes again if the process that copies dies, and between two renewals.
_HOLD: Final = 600.0
_RENEWAL: Final = 60.0

_MOVING: Final = (
    "this feed is being moved to another storage. This ends within ten minutes of an interruption of the copy, or with "
    "`nugetproxy storage release`"
)
_MOVED: Final = (
    "this feed has been moved to another storage, and the servers of the new one are to be used. `nugetproxy storage "
    "release` makes this one accept changes again, which the other will not have"
)

_log = logger()


@dataclass(frozen=True, slots=True)
class Copied:
    """What a run copied, not counting what was there. `damaged` are files that the source does not have.

    `is_complete`: the target has all that the source has, and the source takes no changes any more.
    """

    rows: int
    files: int
    bytes: int
    damaged: tuple[str, ...]
    is_complete: bool


async def copy_storage(
    source: WholeFeed,
    target: WholeFeed,
    progress: Progress,
    by: str,
    *,
    ahead_only: bool = False,
    without_damaged: bool = False,
) -> Copied:
    """Copy what the target lacks. `ahead_only`: as far as that is possible while the source takes changes.

    `by` is who does it, for the audit log of the target.

    Raises InvalidRequest for a target that is not empty, DamagedContent naming files that the source lacks unless
    `without_damaged`, StorageUnavailable. The source then takes changes as before, and the next run goes on from there.
    """
    if source.address == target.address:
        raise InvalidRequest(f"the files of the source and of the target would be in the same place: {target.where}")
    await require_same_version(source)
    name = await _name_of(source.place.database)
    await begin(target, name)
    copy = FeedCopy(source.place, target.place, _spools(source, target), progress)
    await copy.ahead()
    damaged: tuple[str, ...] = ()
    if not ahead_only:
        async with _held(source.place.database):
            wrong = await copy.complete()
            damaged = tuple(blob.key for blob in wrong)
            if wrong and not without_damaged:
                raise DamagedContent(
                    [f"the file {key} of the source is missing or damaged" for key in damaged],
                    "restore it, or delete its version; or copy the rest with --without-damaged",
                )
            await copy.check(wrong)
        # The source is held for good, and only then may anybody use the target: no change may get lost.
        await finish(target, by, "storage.copy", f"from {source.where}")
    return Copied(copy.rows, copy.blobs, copy.bytes, damaged, is_complete=not ahead_only)


async def _name_of(database: Database) -> str:
    """A random name, which it keeps."""
    await database.write(lambda transaction: give_name(transaction, secrets.token_hex(16)))
    state = await database.read(lambda fetch: storage_state(fetch, database.dialect))
    if state.copy_of:
        raise StorageUnavailable("the source is itself an unfinished copy of another storage: finish that copy first")
    return state.name


@asynccontextmanager
async def _held(database: Database) -> AsyncIterator[None]:
    """The database takes no changes: while the block runs, and for good after it. After an error it takes them again.

    If this process dies, it takes them again after a while. Raises StorageUnavailable when it has done so too early.
    """

    async def renew() -> None:
        while True:
            await asyncio.sleep(_RENEWAL)
            try:
                await database.write(lambda transaction: prolong(transaction, _HOLD, _MOVING))
            except StorageUnavailable as error:  # there are some more attempts before it ends
                _log.warning("hold_not_renewed", error=str(error))

    await database.write(lambda transaction: hold(transaction, _HOLD, _MOVING))
    renewing = asyncio.create_task(renew())
    try:
        yield
        renewing.cancel()  # it must not shorten the last one
        if not await database.write(lambda transaction: prolong(transaction, FOREVER, _MOVED)):
            raise StorageUnavailable("the source has accepted changes meanwhile: run the command again to copy them")
    except BaseException:  # Ctrl-C, too
        renewing.cancel()
        with contextlib.suppress(StorageUnavailable):  # then it ends by itself
            await database.write(release)
        raise


def _spools(source: WholeFeed, target: WholeFeed) -> SpoolFolder:
    """Files of a data directory are committed from its own file system."""
    return target.spools if isinstance(target.address, Path) or not isinstance(source.address, Path) else source.spools


async def release_hold(feed: WholeFeed) -> str:
    """Take changes again; returns why it took none, empty if it did. Raises InvalidRequest for an unfinished copy."""
    database = feed.place.database
    state = await database.read(lambda fetch: storage_state(fetch, database.dialect))
    if state.copy_of:
        raise InvalidRequest(
            f"{feed.where} is an unfinished copy: finish it with `nugetproxy storage copy`, or empty it"
        )
    if state.held_because:
        await database.write(release)
    return state.held_because
