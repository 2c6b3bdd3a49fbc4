"""When each key was last used: noted in memory, written in batches. A write would be the slowest part of a request."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final

from nugetproxy.logs import logger
from nugetproxy.storage.database.base import Database, Transaction

_log = logger()

WRITTEN_AFTER: Final = 30.0
"""Seconds. For the question when a key was last used, the day is precise enough."""


class KeyUses:
    """One process's notes. The revisions are not bumped: using a key changes no rights."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, key_id: str, now: int) -> None:
        """Note that the key was used at `now` (unix microseconds). Call on the event loop's thread."""
        if self._database.is_read_only:
            return
        self._noted[key_id] = now
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITTEN_AFTER, self._write)

    def close(self) -> None:
        """Hand pending notes to the database, which must be closed after this."""
        if self._timer is not None:
            self._timer.cancel()
            self._write()

    def _write(self) -> None:
        self._timer = None
        noted, self._noted = self._noted, {}
        self._database.submit(lambda transaction: _update(transaction, noted)).add_done_callback(_log_failure)


def _update(transaction: Transaction, noted: Mapping[str, int]) -> None:
    transaction.change_many(
        # Another process may have noted a later use.
        "UPDATE api_keys SET last_used = ?1 WHERE key_id = ?2 AND coalesce(last_used, 0) < ?1",
        [(at, key_id) for key_id, at in noted.items()],
    )


def _log_failure(future: "Future[Any]") -> None:
    error = future.exception()
    if error is not None:
        _log.warning("key_uses_not_written", error=str(error))
