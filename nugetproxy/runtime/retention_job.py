"""Retention of hosted packages as a job: once a day, in one process of all that share the data directory.

After a start, what is due is only logged; it is retired an hour later, so that a mistake in a rule can be noticed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from nugetproxy import metrics
from nugetproxy.accounts.model import DAY, SECOND, Actor
from nugetproxy.config import RetentionRuleSettings
from nugetproxy.errors import StorageUnavailable
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.retention import Action
from nugetproxy.hosting.retiring import Retiring
from nugetproxy.logs import logger
from nugetproxy.runtime.retention_rules import rules_at
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.leases import Rights

ACTOR: Final = Actor("retention", is_administrator=True)
"""In the audit log, with the name of the rule."""

NOTICE_SECONDS: Final = 3600.0
INTERVAL_SECONDS: Final = DAY / SECOND

_log = logger()


async def keep_retiring(
    database: Database,
    publish: Publish,
    jobs: Rights,
    settings: Sequence[RetentionRuleSettings],
    *,
    notice: float = NOTICE_SECONDS,
    interval: float = INTERVAL_SECONDS,
) -> None:
    """Run until cancelled; waits while another process does it. `notice` and `interval` in seconds."""
    retiring = Retiring(database, lambda: rules_at(settings, time.time()))
    while True:
        try:
            async with jobs.hold("hosting retention"):
                await _run(retiring, None)
                await asyncio.sleep(notice)
                while True:
                    await _run(retiring, publish)
                    await asyncio.sleep(interval)
        except StorageUnavailable as error:  # another node may have taken over
            _log.warning("retention_failed", error=str(error))


async def _run(retiring: Retiring, publish: Publish | None) -> None:
    """One run; without `publish` a dry one."""
    counts: Counter[str] = Counter()
    try:
        async for each in retiring.due() if publish is None else retiring.retire(publish, ACTOR):
            counts[each.rule.action] += 1
            if publish is not None:
                metrics.RETIRED.labels(each.rule.action.value).inc()
    except StorageUnavailable as error:
        _log.warning("retention_failed", error=str(error))
        return
    except Exception:  # noqa: BLE001 - whatever it was, tomorrow it is tried again
        _log.exception("retention_failed")
        return
    unlist, delete = counts[Action.UNLIST], counts[Action.DELETE]
    if publish is None:
        _log.info("retention_due", unlist=unlist, delete=delete)
    else:
        _log.info("retention_done", unlist=unlist, delete=delete)
