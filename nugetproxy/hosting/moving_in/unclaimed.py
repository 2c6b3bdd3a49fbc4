"""Files of our own that no row needs, as a source: what is left of pushes whose rows were lost.

That happens when a database loses its last commits: in a failover to a replica that was behind, or with an old backup.
Most such files are of pushes that failed or were killed, so a person decides which of them are taken back.
"""

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from nugetproxy.errors import DocumentAbsent, InvalidPackageId, InvalidVersion, TooLarge
from nugetproxy.executors.threads import DISK, UPKEEP
from nugetproxy.feeds.offers import FileKind, History, Offer, Unusable
from nugetproxy.hosting.contents import FOLDER
from nugetproxy.hosting.packages import key_of
from nugetproxy.hosting.symbols import FOLDER as SYMBOLS_FOLDER
from nugetproxy.hosting.upkeep import NOTED_AFTER
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobInfo, BlobKey, Blobs
from nugetproxy.storage.database.base import Database, Fetch
from nugetproxy.storage.spool import Spool

_KINDS: Final = {".nupkg": FileKind.PACKAGE, ".snupkg": FileKind.SYMBOLS}
# Keys, and the hashes of what is here now.
_ROWS: Final = (
    "SELECT p.blob FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push)",
    "SELECT blob FROM symbol_packages",
    "SELECT blob FROM symbol_files",
)
_BLOCK: Final = 1024 * 1024


class UnclaimedFiles:
    """A `Source`. Files younger than `NOTED_AFTER` are left out: their pushes may be about to write their rows."""

    name = "files without rows"

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    async def offers(self) -> AsyncIterator[Offer | Unusable]:
        """See `Source`. Raises StorageUnavailable."""
        # The files before the rows: a blob exists before its row does.
        files = await UPKEEP.run(self._files)
        needed = await self._database.read(_needed)
        contents = {_content(key_of(key)) for key in needed}
        young = time.time() - NOTED_AFTER
        for info in files:
            kind = _KINDS.get(Path(info.key.segments[-1]).suffix)
            if str(info.key) in needed or kind is None:  # PDBs are in their symbols package, too
                continue
            place = str(info.key)
            if _content(info.key) in contents:
                yield Unusable(place, "its bytes are here, as another file", is_loss=False)
            elif info.modified / 1e9 > young:
                yield Unusable(place, "its push may not have ended: look again in an hour", is_loss=False)
            elif (identity := _identity(info.key)) is not None:
                yield Offer(place, kind, identity, History(info.modified // 1000), info.size)

    def local(self, offer: Offer) -> Path | None:
        """See `Source`."""
        return None

    async def copy(self, offer: Offer, spool: Spool, limit: int) -> None:
        """See `Source`."""
        await DISK.run(self._copy, offer, spool, limit)

    def _copy(self, offer: Offer, spool: Spool, limit: int) -> None:
        try:
            file = self._blobs.open(key_of(offer.place))
        except KeyError:
            raise DocumentAbsent(offer.place) from None
        with file:
            while block := file.read(_BLOCK):
                if spool.size + len(block) > limit:
                    raise TooLarge(offer.place, limit)
                spool.append(block)

    def _files(self) -> list[BlobInfo]:
        return [info for folder in (FOLDER, SYMBOLS_FOLDER) for info in self._blobs.walk(folder)]


def _needed(fetch: Fetch) -> frozenset[str]:
    return frozenset(row[0] for query in _ROWS for row in fetch(query, ()))


def _identity(key: BlobKey) -> PackageIdentity | None:
    """That of the package, by the name of its file; None for a file that we did not name."""
    with suppress(InvalidPackageId, InvalidVersion, ValueError):
        _, lower_id, lower_version, _ = key.segments
        return PackageIdentity.parse(lower_id, lower_version)
    return None


def _content(key: BlobKey) -> tuple[str, ...]:
    """What files of a version with the same bytes have in common (see `contents.new_key`)."""
    return (*key.segments[:-1], key.segments[-1].partition("-")[0])
