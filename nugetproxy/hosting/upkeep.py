"""Keeping files and rows of hosted packages consistent: garbage is swept, missing files are reported.

Both checks may run at any time beside pushes; scheduling belongs to the caller.
"""

import time
from dataclasses import dataclass
from typing import Final, Protocol

from nugetproxy.accounts.model import SECOND
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.hosting.contents import FOLDER
from nugetproxy.hosting.packages import key_of
from nugetproxy.logs import logger
from nugetproxy.storage.blobs.base import BlobInfo, Blobs
from nugetproxy.storage.database.base import Database, Fetch, Transaction

_log = logger()

NOTED_AFTER: Final = 3600.0
"""Seconds. A push writes its row within moments of its blob; an hour is far longer than any running push."""

SWEPT_AFTER: Final = 7 * 86400.0
"""Seconds from when a blob was first found without a row: the time to replace a wrong backup of the database."""

# Files deleted in one transaction: pushes wait some milliseconds for it.
_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed. `size` in bytes."""

    blobs: int
    size: int


class Needing(Protocol):
    """An owner of rows that name blobs: hosted packages, their symbols."""

    def blobs(self, fetch: Fetch) -> frozenset[str]:
        """The keys of the needed blobs, as texts."""


async def sweep_unreferenced_blobs(
    database: Database,
    packages: Needing,
    blobs: Blobs,
    folder: str = FOLDER,
    *,
    unneeded_for: float = SWEPT_AFTER,
    older_than: float = NOTED_AFTER,
    now: float | None = None,
) -> Swept:
    """Delete blobs that no hosted version has needed for `unneeded_for` seconds: left by a push that lost, failed or
    was killed. The database records since when; after restoring a backup the time starts over.

    `folder` is the first segment of their keys. `older_than` in seconds: a younger blob may belong to a push that is
    about to write its row, which would then fail. `now` in unix seconds.

    Raises StorageUnavailable.
    """
    now = time.time() if now is None else now
    # The files before the rows: a blob exists before its row does.
    old = await UPKEEP.run(_older, blobs, folder, now - older_than)
    needed = await database.read(packages.blobs) if old else frozenset()
    garbage = [info for info in old if str(info.key) not in needed]
    since = await _noted(database, packages, folder, garbage, int(now * SECOND))
    due = [info for info in garbage if since[str(info.key)] <= (now - unneeded_for) * SECOND]
    count = size = 0
    for start in range(0, len(due), _BATCH):
        batch = due[start : start + _BATCH]

        def delete(transaction: Transaction, batch: list[BlobInfo] = batch) -> list[BlobInfo]:
            # A restored backup of the database may need blobs again.
            needed = packages.blobs(transaction.fetch)
            swept = [info for info in batch if str(info.key) not in needed]
            for info in swept:
                blobs.delete(info.key)
            return swept

        swept = await database.write(delete)
        count, size = count + len(swept), size + sum(info.size for info in swept)
    if count:
        _log.info("hosted_garbage_swept", blobs=count, bytes=size)
    return Swept(count, size)


async def _noted(
    database: Database, packages: Needing, folder: str, garbage: list[BlobInfo], now: int
) -> dict[str, int]:
    """Since when (unix microseconds) each is known to be garbage; blobs that are needed again are forgotten.

    From then on no push can make it needed: see `contents.require_wanted`.
    """
    keys = {str(info.key) for info in garbage}
    known: dict[str, int] = dict(
        await database.read(
            lambda fetch: fetch(
                "SELECT blob, since FROM unclaimed_blobs WHERE blob > ? AND blob < ?", (f"{folder}/", f"{folder}0")
            )
        )
    )
    new, gone = keys - known.keys(), known.keys() - keys
    if new or gone:

        def note(transaction: Transaction) -> None:
            needed = packages.blobs(transaction.fetch) if new else frozenset()
            transaction.change_many(
                "INSERT INTO unclaimed_blobs VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(key, now) for key in new if key not in needed],
            )
            transaction.change_many("DELETE FROM unclaimed_blobs WHERE blob = ?", [(key,) for key in gone])

        await database.write(note)
    if new:
        size = sum(info.size for info in garbage if str(info.key) in new)
        _log.info("hosted_garbage_found", blobs=len(new), bytes=size, kept_for=SWEPT_AFTER)
    return {key: known.get(key, now) for key in keys}


async def check_blobs(database: Database, packages: Needing, blobs: Blobs) -> tuple[str, ...]:
    """The blobs that a hosted version needs but that are missing, by key. There should never be any.

    The rows are read before and after looking for the files: a blob exists before its row does, and is deleted after
    it. So a file missing while its row is seen both times is lost, whatever is pushed and deleted meanwhile.

    Raises StorageUnavailable.
    """
    missing = await UPKEEP.run(_missing, blobs, await database.read(packages.blobs))
    if missing:
        missing &= await database.read(packages.blobs)
    for key in sorted(missing):
        _log.error("hosted_blob_missing", blob=key)
    return tuple(sorted(missing))


def _missing(blobs: Blobs, needed: frozenset[str]) -> set[str]:
    """Blocks. Listing what there is takes one step for many blobs, wherever they are."""
    missing = set(needed)
    for folder in {key_of(key).segments[0] for key in needed}:
        for info in blobs.walk(folder):
            missing.discard(str(info.key))
    return missing


def _older(blobs: Blobs, folder: str, moment: float) -> list[BlobInfo]:
    """The blobs from before this moment. Blocks."""
    return [info for info in blobs.walk(folder) if info.modified / 1e9 < moment]
