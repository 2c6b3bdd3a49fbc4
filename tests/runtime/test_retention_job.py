"""The daily job: a dry run first, one process, and failures that do not end it."""

import asyncio
import contextlib
from pathlib import Path

import pytest
import structlog

from nugetproxy.accounts.model import DAY, SECOND
from nugetproxy.config import RetentionRuleSettings
from nugetproxy.errors import StorageUnavailable
from nugetproxy.hosting.retention import Action
from nugetproxy.runtime.retention_job import keep_retiring
from nugetproxy.runtime.retention_rules import rules_at
from nugetproxy.storage.leases import Leases
from tests.hosting.house import House

RULES = (RetentionRuleSettings(name="ci", action="unlist", keep_prereleases=1),)


@pytest.fixture
def house(tmp_path: Path):
    opened = House(tmp_path)
    yield opened
    opened.close()


def test_the_rules_of_the_settings():
    settings = (
        RetentionRuleSettings(name="a", action="delete", ids=("Contoso.*",), unused_since="2d"),
        RetentionRuleSettings(name="b", action="unlist", versions="(,2.0)", unused_since="1970-01-03"),
        RetentionRuleSettings(name="c", action="keep"),
    )
    one, two, three = rules_at(settings, 10 * DAY / SECOND)

    assert (one.name, one.action, one.ids, one.versions) == ("a", Action.DELETE, ("Contoso.*",), None)
    assert (one.unused_since, two.unused_since, three.unused_since) == (8 * DAY, 2 * DAY, None)
    assert two.versions is not None


async def run(house: House, notice: float, seconds: float) -> list[dict[str, object]]:
    with structlog.testing.capture_logs() as logs:
        leases = Leases(house.path / "locks")
        job = keep_retiring(house.database, house.publish, leases, RULES, notice=notice, interval=0.02)
        task = asyncio.create_task(job)
        await asyncio.sleep(seconds)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return [{name: line[name] for name in line if name != "log_level"} for line in logs]


async def test_what_is_due_is_logged_before_anything_is_retired(house: House):
    alice = await house.actor("alice")
    for version in ("1.0.0-1", "1.0.0-2"):
        await house.push(alice, version=version)
    due = {"event": "retention_due", "unlist": 1, "delete": 0}

    assert await run(house, 60.0, 0.2) == [due]
    assert all(each.listed for each in await house.packages.of("contoso.utils"))

    logs = await run(house, 0.0, 0.3)
    assert logs[:2] == [due, {"event": "retention_done", "unlist": 1, "delete": 0}]
    assert logs[2] == {"event": "retention_done", "unlist": 0, "delete": 0}
    assert [each.listed for each in await house.packages.of("contoso.utils")] == [False, True]


async def test_only_one_process_does_it(house: House):
    with Leases(house.path / "locks").try_hold("hosting retention") or contextlib.nullcontext():
        assert await run(house, 0.0, 0.2) == []


async def test_a_failure_is_logged_and_tried_again(house: House, monkeypatch):
    async def failing(_: object) -> None:
        raise StorageUnavailable("the disk is gone")

    monkeypatch.setattr(house.database, "read", failing)
    logs = await run(house, 0.0, 0.2)

    assert logs.count({"event": "retention_failed", "error": "the disk is gone"}) > 1
