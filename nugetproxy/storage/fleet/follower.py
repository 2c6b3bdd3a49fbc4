"""The follower: one process of each node that learns of the changes of all, and confirms them for its node.

It notifies the processes of its node through the counters in shared memory (`storage.revisions`), and tells them until
when they may answer from memory (`standing`). The rules are in `rules`, the tables in `log`.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Final

from nugetproxy import metrics
from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.fleet.log import Confirmation, FleetLog
from nugetproxy.storage.fleet.rules import Timing, memory_until, memory_without_database
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.revisions import ANYTHING, Change

_TIDY_SECONDS: Final = 300.0

LEASE: Final = "fleet follower"
"""Held by the follower, among the processes of the node."""

_log = logger()


class Follower:
    """`run` it in every worker: one of them follows, another takes over when that one ends."""

    def __init__(
        self,
        log: FleetLog,
        standing: Standing,
        bump: Callable[[Change], None],
        name: str,
        timing: Timing,
        *,
        went_back: Callable[[], None] = lambda: None,
    ) -> None:
        """`bump` notifies the processes of this node. `name` is this node's, for people. `went_back` is called when the
        database has lost changes that this node had seen.
        """
        self._log = log
        self._standing = standing
        self._bump = bump
        self._name = name
        self._timing = timing
        self._went_back = went_back
        self._hint = asyncio.Event()
        self._tidied = self._asked = standing.now()

    def hint(self) -> None:
        """There may be a change. Hints may be lost: they only save time."""
        self._hint.set()

    async def run(self, leases: Leases) -> None:
        """Follow until cancelled; waits while another process of the node does."""
        async with leases.hold(LEASE):
            await self.follow()

    async def follow(self) -> None:
        """As `run`, in the only process that does. Cancelled, it leaves the fleet."""
        try:
            while True:
                is_hinted = self._hint.is_set()
                self._hint.clear()
                pause = await self._try_round(is_hinted=is_hinted)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._hint.wait()
        finally:
            await self._leave()

    async def _try_round(self, *, is_hinted: bool) -> float:
        """Returns the seconds until the next one."""
        timing, standing = self._timing, self._standing
        try:
            await self._round(is_hinted=is_hinted)
        except StorageUnavailable as error:
            failed = standing.now()
            metrics.FLEET_CONFIRMATIONS.labels("failed").inc()
            if standing.failing_since is None:
                _log.warning("fleet_unreachable", error=str(error))
            until = memory_without_database(standing.until, standing.confirmed, self._asked, failed, timing)
            standing.extended(until, failed)
            return timing.retry
        except Exception:  # noqa: BLE001 - a bug; without a follower the node would never remember anything again
            _log.exception("fleet_follower_broke")
            return timing.retry
        if standing.now() - self._tidied > _TIDY_SECONDS:
            self._tidied = standing.now()
            with contextlib.suppress(StorageUnavailable):
                await self._log.tidy()
        return timing.beat

    async def _round(self, *, is_hinted: bool) -> None:
        """Ends with an accepted confirmation. After a hint, one without what changed would not be accepted."""
        standing = self._standing
        was_failing = standing.failing_since is not None
        if is_hinted and standing.position is not None:
            await self._catch_up()
        while True:
            position = standing.position
            if not standing.session or position is None:
                await self._enter()
                continue
            # Read before the database looks: what it does not find then was committed later.
            sent = self._asked = standing.now()
            match await self._log.confirm(standing.session, standing.beat, position):
                case Confirmation.ACCEPTED:
                    standing.accepted(sent, memory_until(sent, self._timing))
                    metrics.FLEET_CONFIRMATIONS.labels("accepted").inc()
                    if was_failing:
                        _log.info("fleet_reachable")
                    return
                case Confirmation.BEHIND:
                    await self._catch_up()
                case Confirmation.LOST:
                    # Nobody waits for this node. What it has noted of its session may be that of another process.
                    standing.given_up()
                    await self._enter()

    async def _catch_up(self) -> None:
        standing = self._standing
        position = standing.position
        self._asked = standing.now()
        entries = None if position is None else await self._log.since(position)
        if entries is None:
            await self._begin_anew()
            return
        for entry in entries:
            self._bump(entry.change)
            standing.reached(entry.position)

    async def _begin_anew(self) -> None:
        """What changed is not known: what was in memory until now is outdated."""
        known = self._standing.position
        self._asked = self._standing.now()
        newest = await self._log.newest()
        if known is not None:
            # Only the oldest are ever removed: with an older one there, it was lost. Numbers may have leapt since.
            is_back = newest.revision <= known.revision or await self._log.oldest() <= known.revision
            metrics.FLEET_CHANGES_LOST.inc()
            _log.error("fleet_changes_lost", known=known.revision, newest=newest.revision, database_went_back=is_back)
            if is_back:
                self._went_back()
        self._bump(ANYTHING)
        self._standing.reached(newest)

    async def _enter(self) -> None:
        """Have writers wait for this node. Only a confirmation after that lets it answer from memory: a writer that
        looked before this row was there had committed before that confirmation.
        """
        standing = self._standing
        if standing.position is None:
            await self._begin_anew()
        position = standing.position
        assert position is not None, "just begun"
        session, old = secrets.randbits(62) + 1, standing.session
        self._asked = standing.now()
        await self._log.enter(session, self._name, position, old)
        standing.entered(session)
        _log.info("fleet_entered", node=self._name)

    async def _leave(self) -> None:
        """Spares writers the wait for this node. Another process of the node may enter again."""
        standing = self._standing
        session = standing.session
        standing.ended()
        if session:
            with contextlib.suppress(StorageUnavailable, TimeoutError):
                async with asyncio.timeout(self._timing.attempt):
                    await self._log.leave(session)
