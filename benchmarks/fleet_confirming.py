"""What a change costs PostgreSQL and its writer when many nodes have to confirm it.

The nodes are followers in this process: they do what a node does about a change, and nothing else.
"""

import asyncio
import logging
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from benchmarks.fleet_engines import Engines
from nugetproxy.storage.database.postgres import PostgresDatabase, bring_up_to_date
from nugetproxy.storage.fleet.follower import Follower
from nugetproxy.storage.fleet.line import Line
from nugetproxy.storage.fleet.postgres_log import PostgresFleetLog, note
from nugetproxy.storage.fleet.revisions import FleetRevisions
from nugetproxy.storage.fleet.rules import Timing
from nugetproxy.storage.fleet.standing import Standing
from nugetproxy.storage.revisions import Change

_NODES: Final = (1, 3, 10, 50)
_CHANGES: Final = 40
_CROWD: Final = 8
_TIMING: Final = Timing()


def measure(all_of: Engines) -> str:
    """A table, as Markdown: changes one after the other, then from several writers."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    lines = [
        "**Confirmations** of a change without a package, by the number of nodes",
        "",
        "| nodes | writers | median | p95 | changes a second | statements of each | CPU ms of PostgreSQL |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for nodes in _NODES:
        database = all_of.postgres.create_database()
        dsn = all_of.postgres.dsn(database)
        bring_up_to_date(dsn)
        for writers in (1, _CROWD):
            asyncio.run(_changes(dsn, nodes, writers))  # prepares every statement
            used = all_of.cpu_seconds()[0]
            times, lasted = asyncio.run(_changes(dsn, nodes, writers))
            used = all_of.cpu_seconds()[0] - used
            with all_of.counting() as counted:
                asyncio.run(_changes(dsn, nodes, writers))
            times.sort()
            lines.append(
                f"| {nodes} | {writers} | {statistics.median(times) * 1000:.1f} ms "
                f"| {times[int(len(times) * 0.95)] * 1000:.1f} ms | {len(times) / lasted:.0f} "
                f"| {sum(counted[database].values()) / _CHANGES:.0f} | {used / _CHANGES * 1000:.1f} |"
            )
        all_of.postgres.drop_database(database)
    return "\n".join(lines)


async def _changes(dsn: str, nodes: int, writers: int) -> tuple[list[float], float]:
    """The seconds of each change, and of all."""
    async with _fleet(dsn, nodes) as (database, revisions):
        times: list[float] = []

        async def write(count: int) -> None:
            change = Change.of_hosting("contoso.core")
            for _ in range(count):
                began = time.perf_counter()
                number = await database.write(lambda transaction: note(transaction, change))
                await revisions.seen_everywhere(number)
                times.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(write(_CHANGES // writers) for _ in range(writers)))
        return times, time.perf_counter() - began


@asynccontextmanager
async def _fleet(dsn: str, nodes: int) -> AsyncIterator[tuple[PostgresDatabase, FleetRevisions]]:
    """What the first node writes with; all of them confirm."""
    lines = [Line(dsn, 20.0) for _ in range(nodes)]
    standings = [Standing(None) for _ in range(nodes)]
    logs = [PostgresFleetLog(line) for line in lines]
    following = []
    for number, (log, standing) in enumerate(zip(logs, standings, strict=True)):
        follower = Follower(log, standing, lambda _: None, f"node {number}", _TIMING)
        log.listen(follower.hint)
        following.append(asyncio.create_task(follower.follow()))
    while not all(standing.may_remember() for standing in standings):
        await asyncio.sleep(0.01)
    database = PostgresDatabase(dsn)
    revisions = FleetRevisions(None, standings[0], logs[0], note, _TIMING)
    try:
        yield database, revisions
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        database.close()
        revisions.close()
        for line in lines:
            await line.close()
        for standing in standings:
            standing.close()
