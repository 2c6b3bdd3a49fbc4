"""Jobs that one node does for the whole fleet. Which jobs there are is up to those who start them.

The node holds the lease of the job as long as it runs; when it dies, hangs or is cut off, another one takes over within
30 seconds: a lease lasts for 12 seconds, and the others look every 15 seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.fleet.leases import FleetLeases

_AFTER_A_FAILURE: Final = 10.0

_log = logger()


async def do_for_all(
    leases: FleetLeases, job: str, work: Callable[[Callable[[Transaction], None]], Awaitable[None]], rest: float
) -> None:
    """Until cancelled: `work`, with `rest` seconds in between, while this process holds the lease of the job.

    `work` is cancelled when the lease is lost. It calls what it is given in each transaction that nobody may commit who
    has lost the lease.
    """
    while True:
        try:
            async with leases.hold(job) as lease:
                while True:
                    await work(lease.check)
                    await asyncio.sleep(rest)
        except StorageUnavailable as error:
            _log.warning("fleet_job_failed", job=job, error=str(error))
        except Exception:  # noqa: BLE001 - a bug must not leave the fleet without the job until the next start
            _log.exception("fleet_job_failed", job=job)
        await asyncio.sleep(_AFTER_A_FAILURE)
