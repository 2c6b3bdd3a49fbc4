"""The counters of a node in a fleet: changes are noted in the database for the other nodes, and waited for.

To those above this is `Revisions`. While the node may not answer from memory, no value of a counter ever repeats, so
that nothing that was remembered under one is used.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

from nugetproxy import metrics
from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.fleet.log import FleetLog
from nugetproxy.storage.fleet.rules import Timing, pause_between_looks
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.revisions import Change, Revisions

Note = Callable[[Transaction, Change], int]
"""Adds an entry to the log of changes inside a transaction; returns its revision."""

_log = logger()


class FleetRevisions(Revisions):
    """See `Revisions`."""

    def __init__(
        self,
        directory: Path | None,
        standing: Standing,
        log: FleetLog,
        note: Note,
        timing: Timing,
    ) -> None:
        super().__init__(directory)
        self._standing = standing
        self._log = log
        self._note = note
        self._timing = timing
        self._never = itertools.count(-2, -1)  # caches begin with -1, for nothing

    @property
    def accounts(self) -> int:
        """See `Revisions`."""
        return super().accounts if self._standing.may_remember() else next(self._never)

    @property
    def hosting(self) -> int:
        """See `Revisions`."""
        return super().hosting if self._standing.may_remember() else next(self._never)

    def of_package(self, lower_id: str) -> int:
        """See `Revisions`."""
        return super().of_package(lower_id) if self._standing.may_remember() else next(self._never)

    def may_remember(self) -> bool:
        """See `Revisions`."""
        return self._standing.may_remember()

    def note(self, transaction: Transaction, change: Change, /) -> int:
        """See `Announcing`."""
        return self._note(transaction, change)

    def committed(self, number: int, change: Change, /) -> None:
        """See `Announcing`. A process killed before this has its change in the log, which the follower reads."""
        self.bump(change)

    async def seen_everywhere(self, number: int, /) -> None:
        """See `Announcing`. Returns after `Timing.wait` at most: by then, the others may not answer from memory."""
        began = self._standing.now()
        # The processes of this node were notified by `committed`.
        session = self._standing.session
        while (waited := self._standing.now() - began) < self._timing.wait:
            with contextlib.suppress(StorageUnavailable):
                if not await self._log.lagging(number, session):
                    metrics.FLEET_WAIT_SECONDS.observe(self._standing.now() - began)
                    return
            left = self._timing.wait - (self._standing.now() - began)
            await asyncio.sleep(max(0.0, min(left, pause_between_looks(waited))))
        metrics.FLEET_WAIT_SECONDS.observe(self._timing.wait)
        # The next writers need not wait for the same nodes.
        with contextlib.suppress(StorageUnavailable):
            nodes = await self._log.give_up(number)
            metrics.FLEET_GIVEN_UP.inc(nodes)
            _log.warning("fleet_nodes_given_up", nodes=nodes)
