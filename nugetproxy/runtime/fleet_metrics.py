"""What a node exports about its fleet: how it stands, what it cannot reach, how long its engines take.

What these values are is decided by those who have them.
"""

import asyncio
from typing import Final

from nugetproxy import metrics
from nugetproxy.storage.blobs.s3 import BucketBlobs
from nugetproxy.storage.database.postgres_connections import Counted
from nugetproxy.storage.fleet.standing import STATES, Standing

_SECONDS: Final = 2.0


def counted() -> Counted:
    """For the database of this node. Rare events are exported with 0 from the start."""
    for reason in ("conflict", "lost"):
        metrics.DATABASE_REPEATED.labels(reason)
    for then in ("brought", "passed_on"):
        metrics.NODE_CACHE_MISSES.labels(then)
    return Counted(
        metrics.DATABASE_STATEMENT_SECONDS.observe,
        metrics.DATABASE_WRITE_SECONDS.observe,
        lambda reason: metrics.DATABASE_REPEATED.labels(reason).inc(),
    )


async def watch(standing: Standing, bucket: BucketBlobs) -> None:
    """Keep the gauges up to date, until cancelled."""
    while True:
        state = standing.state
        for each in STATES:
            metrics.FLEET_STANDING.labels(each).set(each == state)
        metrics.ENGINE_UNREACHABLE.labels("postgresql").set(standing.failing_since is not None)
        metrics.ENGINE_UNREACHABLE.labels("bucket").set(bucket.is_down)
        await asyncio.sleep(_SECONDS)
