"""The files of `feed.advisories`: read at the start, read again when one of them changes.

They are one set: while any of them cannot be read, all of the last good content stays, so that a mistake never makes
something look safe. A server does not start with such a file; a worker that replaces another one, or a command, uses
the copy of the last good content in the data directory.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nugetproxy import metrics
from nugetproxy.errors import StorageUnavailable, UnreadableDocument
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.logs import logger
from nugetproxy.protocol.advisories.reading import read_advisories, written_page
from nugetproxy.protocol.advisories.values import Advisories, merged
from nugetproxy.runtime.advisory_sources import Signature, read_files, signature_of
from nugetproxy.storage.private_files import replace_private

COPY: Final = "advisories.json"
"""In the data directory: the last good content, in NuGet's form."""

POLL_SECONDS: Final = 5.0
# Looking through thousands of files takes a while: between two looks, at least so many times as long.
_REST: Final = 100.0

_log = logger()


class AdvisoryFiles:
    """The current advisories of one process. `changed` is called after they changed."""

    def __init__(self, source: Path, data: Path, changed: Callable[[], None] = lambda: None) -> None:
        """Reads them, and never raises: see the module. Blocks.

        `changed` is called here too if they changed since the last process that used the data directory read them.
        """
        self._source = source
        self._copy = data / COPY
        self._changed = changed
        self._seen: Signature | None = None
        self._why = ""
        self._current = self._copied()
        if self.refresh():
            changed()
        elif self._why:
            _log.warning("advisories_of_copy", advisories=self._current.count)
        metrics.ADVISORIES.set(self._current.count)

    def current(self) -> Advisories:
        return self._current

    async def run(self) -> None:
        """Look for changes until cancelled."""
        took = 0.0
        while True:
            await asyncio.sleep(max(POLL_SECONDS, _REST * took))
            began = time.perf_counter()
            if await UPKEEP.run(self.refresh):
                self._changed()
            took = time.perf_counter() - began

    def refresh(self) -> bool:
        """Read the files again if they changed; whether the advisories did. Blocks."""
        before, self._seen = self._seen, None
        try:
            # The signature first: what changes while the files are read is read again next time.
            self._seen = signature_of(self._source)
            if self._seen == before:
                return False
            found = read_files(self._source)
        except UnreadableDocument as error:
            if self._is_news(error):
                _log.error("advisories_unreadable", file=error.what, why=error.why, used=self._current.count)
            metrics.ADVISORIES_UNREADABLE.set(1)
            return False
        self._why = ""
        metrics.ADVISORIES_UNREADABLE.set(0)
        metrics.ADVISORIES.set(found.count)
        if before is None or found.by_id != self._current.by_id:
            _log.info("advisories_read", advisories=found.count, ids=len(found.by_id))
        is_new = found.by_id != self._current.by_id
        self._current = found
        if is_new:
            self._write_copy()
        return is_new

    def _is_news(self, error: UnreadableDocument) -> bool:
        before, self._why = self._why, str(error)
        return before != self._why

    def _write_copy(self) -> None:
        try:
            replace_private(self._copy, written_page(self._current.page(dated=True).body))
        except StorageUnavailable as error:  # only needed when a worker is replaced while a file is broken
            _log.warning("advisories_not_copied", error=str(error))

    def _copied(self) -> Advisories:
        """The last good content that is known; empty if none is."""
        try:
            return merged([read_advisories(self._copy.read_bytes())], Advisories().updated)
        except (OSError, UnreadableDocument):
            return Advisories()
