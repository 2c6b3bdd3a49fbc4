"""The exclusive right to do one piece of work, among all nodes of a fleet: on this node, then as a row in PostgreSQL.

A lease ends by itself when it is not renewed. Its holder learns of that from its own clock, which began before the
database's did, and the transaction that commits its work checks the token: under a lost lease nothing is committed.
What a lease is *for* is up to its holder. Leases of one machine are in `storage.leases`.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from nugetproxy import metrics
from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.fleet.standing import since_boot
from nugetproxy.storage.leases import Lease, Leases

CHANNEL: Final = "fleet_leases"
"""Where hints of released leases are sent, with their keys."""

# A wait for a lease that another node holds: a look costs a round trip, and hints end most waits sooner.
_SHORTEST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 15.0

_TAKE: Final = """
INSERT INTO fleet_leases AS held (key, token, expires)
VALUES ($1, nextval('fleet_lease_tokens'), clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (key) DO UPDATE SET token = excluded.token, expires = excluded.expires
    WHERE held.expires < clock_timestamp()
RETURNING token
"""
_RENEW: Final = """
UPDATE fleet_leases SET expires = clock_timestamp() + make_interval(secs => $2)
WHERE token = ANY($1::BIGINT[]) RETURNING token
"""
_RELEASE: Final = """
WITH gone AS (DELETE FROM fleet_leases WHERE key = $1 AND token = $2 RETURNING key)
SELECT pg_notify($3, key)::TEXT FROM gone
"""

_log = logger()


class LeaseLost(StorageUnavailable):
    """The lease was not renewed in time, and another node may hold it: nothing may be committed under it."""


@dataclass(frozen=True, slots=True)
class Term:
    """Durations in seconds."""

    lasts: float = 12.0
    """Without a renewal, by the database's clock. Until then nobody takes over from a node that died."""
    renewed: float = 3.0
    """Between two renewals."""

    @property
    def trusted(self) -> float:
        """For how long its holder relies on it, from before it asked: clocks may differ in their rates by a tenth."""
        return self.lasts * 0.8


class FleetLease:
    """One held lease."""

    def __init__(self, leases: "FleetLeases", key: str, local: Lease) -> None:
        self._leases = leases
        self.key = key
        self._local = local
        self.token = 0
        """Grows from holder to holder. 0: the database could not be asked, and it holds on this node only."""
        self.until = 0.0
        self.is_lost = False
        self.scope: asyncio.Timeout | None = None

    @property
    def shared(self) -> bool:
        """Whether other nodes see it."""
        return self.token != 0

    @property
    def is_held(self) -> bool:
        """Whether nobody else can hold it now. Always, if it holds on this node only."""
        return not self.shared or (not self.is_lost and _now() < self.until)

    def require(self) -> None:
        """Raises LeaseLost if another may hold it."""
        if not self.is_held:
            raise LeaseLost(f"the lease {self.key!r} was not renewed in time")

    def check(self, transaction: Transaction) -> None:
        """In the transaction that commits the work: nobody takes the lease over before that is done.

        Raises LeaseLost. In any thread.
        """
        if self.shared and not transaction.fetch(
            "SELECT token FROM fleet_leases WHERE key = ? AND token = ? FOR SHARE", (_name(self.key), self.token)
        ):
            raise LeaseLost(f"another node took over the lease {self.key!r}")

    async def release(self) -> None:
        """Release it; a second call does nothing."""
        await self._leases.release(self)

    async def __aenter__(self) -> "FleetLease":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()


class FleetLeases:
    """Leases by key. For one event loop; `close` it after use."""

    def __init__(self, local: Leases, line: Line, term: Term | None = None) -> None:
        """`local` are those of this node. `line` is connected when the first lease is taken."""
        self._local = local
        self._line = line
        self._term = term or Term()
        self._held: dict[int, FleetLease] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._released: dict[str, asyncio.Event] = {}
        line.listen(CHANNEL, self._hint)

    async def try_hold(self, key: str) -> FleetLease | None:
        """The lease, or None while anybody else holds it, in this process or another of any node.

        While the database cannot be reached, it is granted among the processes of this node alone (`shared` is False):
        for work that is better done twice than not at all.
        """
        local = self._local.try_hold(f"fleet {key}")
        if local is None:
            return None
        lease = FleetLease(self, key, local)
        try:
            with contextlib.suppress(StorageUnavailable):
                if not await self._take(lease):
                    local.release()
                    return None
        except BaseException:  # cancelled
            local.release()
            raise
        return lease

    @contextlib.asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[FleetLease]:
        """Wait for the lease, however long; also until the database can be reached. Not fair among waiters.

        For jobs that one node does for all: the key is a label of a metric. The body is cancelled when the lease is
        lost; raises LeaseLost then. Takes over within 30 seconds from a holder that dies: its lease lasts for 12, and
        many nodes that wait for long should look rarely.
        """
        held = metrics.FLEET_JOB_HELD.labels(key)
        held.set(0)
        async with self._local.hold(f"fleet {key}") as local:
            lease = FleetLease(self, key, local)
            await self._wait_for(lease)
            held.set(1)
            try:
                async with asyncio.timeout(lease.until - _now()) as lease.scope:
                    yield lease
            except TimeoutError as error:
                if lease.scope is not None and lease.scope.expired():
                    metrics.FLEET_LEASES_LOST.inc()
                    _log.warning("fleet_lease_lost", lease=key)
                    raise LeaseLost(f"the lease {key!r} was not renewed in time") from error
                raise
            finally:
                held.set(0)
                lease.scope = None
                await self.release(lease)

    async def release(self, lease: FleetLease) -> None:
        """See `FleetLease.release`."""
        was_held = self._held.pop(lease.token, None) is not None
        lease.is_lost = True
        try:
            if was_held:
                with contextlib.suppress(StorageUnavailable):  # then it ends by itself
                    await self._line.ask(_RELEASE, _name(lease.key), lease.token, CHANNEL)
        finally:
            lease._local.release()

    async def close(self) -> None:
        """Renew nothing any more. Leases still held end by themselves."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        await self._line.close()

    async def _wait_for(self, lease: FleetLease) -> None:
        pause = _SHORTEST_PAUSE
        name = _name(lease.key)
        released = self._released.setdefault(name, asyncio.Event())
        try:
            while True:
                released.clear()
                with contextlib.suppress(StorageUnavailable):
                    if await self._take(lease):
                        return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await released.wait()
                pause = min(_LONGEST_PAUSE, pause * 2)
        finally:
            del self._released[name]

    async def _take(self, lease: FleetLease) -> bool:
        asked = _now()
        rows = await self._line.ask(_TAKE, _name(lease.key), self._term.lasts)
        if not rows:
            return False
        lease.token, lease.until = rows[0][0], asked + self._term.trusted
        self._held[lease.token] = lease
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
        return True

    async def _renew(self) -> None:
        """As long as any lease is held."""
        while self._held:
            await asyncio.sleep(self._term.renewed)
            asked = _now()
            held = dict(self._held)
            try:
                rows = await self._line.ask(_RENEW, list(held), self._term.lasts)
            except StorageUnavailable:
                continue  # each of them ends by itself
            renewed = {token for (token,) in rows}
            for token, lease in held.items():
                lease.is_lost = lease.is_lost or token not in renewed
                lease.until = asked + self._term.trusted
                if lease.scope is not None and not lease.scope.expired():
                    left = 0.0 if lease.is_lost else lease.until - _now()
                    lease.scope.reschedule(asyncio.get_running_loop().time() + left)

    def _hint(self, name: str) -> None:
        if released := self._released.get(name):
            released.set()


def _now() -> float:
    return since_boot() / 1e9


def _name(key: str) -> str:
    """Fits into a hint, and into an index, whatever the key is."""
    return hashlib.sha256(key.encode()).hexdigest()
