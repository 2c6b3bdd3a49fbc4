"""When kept packages were last used: gathered in memory, written in batches.

Noting a use costs a dictionary entry, so the fast path does it for every request (`HotAnswer.counted`). Uses since the
last batch are lost when a process is killed: the package then looks unused for some seconds longer than it was.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.mirroring.kept.files import FileKey, KeptFiles
from nugetproxy.nuget.identity import PackageIdentity

BATCH_SECONDS: Final = 30.0
IN_USE_SECONDS: Final = 10.0
"""A package that was looked up less than this ago is probably still being sent."""
# While the disk is full, a crawler must not make this grow forever.
_MOST_PENDING: Final = 200_000

_log = logger()


class LastUse:
    """The uses of one process. `clock` is in unix seconds."""

    def __init__(self, files: KeptFiles, clock: Callable[[], float] = time.time) -> None:
        self._files = files
        self._clock = clock
        self._pending: dict[FileKey, int] = {}
        self.also: Callable[[Iterable[FileKey]], None] = lambda _: None
        """Is told of each batch, too."""

    def note(self, upstream: str, package: PackageIdentity) -> None:
        key = (upstream, package.lower_id, package.lower_version)
        if key in self._pending or len(self._pending) < _MOST_PENDING:
            self._pending[key] = int(self._clock())

    def is_recent(self, key: FileKey, seconds: float = IN_USE_SECONDS) -> bool:
        """Whether this process noted a use in the last seconds."""
        return self._clock() - seconds < self._pending.get(key, 0)

    async def flush(self) -> None:
        """Write the uses. Uses that cannot be written are kept for later; never raises because of the disk."""
        if not self._pending or self._files.is_read_only:
            return
        batch, self._pending = self._pending, {}
        try:
            await self._files.note_uses(batch)
            self.also(batch)
        except StorageUnavailable as error:
            self._pending = batch | self._pending
            _log.warning("last_use_not_written", error=str(error))

    async def run(self, seconds: float = BATCH_SECONDS) -> None:
        """Flush at this interval until cancelled; the canceller flushes once more."""
        while True:
            await asyncio.sleep(seconds)
            await self.flush()
