"""A fleet is backed up while it is used, and restored into either kind of storage, where all answers are the same."""

import asyncio
import json
from pathlib import Path

from nugetproxy.config import load
from nugetproxy.runtime.shared_database import has_shared_administrator
from tests.fakes.upstream import FakeUpstream
from tests.flows.fleet import Fleet
from tests.flows.mirror import running
from tests.flows.private_feed import House, furnished
from tests.flows.test_backup import FEED, HOSTED, answers
from tests.flows.test_storage_copy import accounts, done, embedded, failed, fleet, stock

__all__ = ["fleet"]


async def test_a_backup_of_a_fleet_restores_every_answer(
    fleet: Fleet, upstream: FakeUpstream, tmp_path: Path, empty_database: str, seaweedfs
):
    """
    Into a data directory, and into another fleet.
    """
    second = Fleet(tmp_path / "second", upstream, fleet.postgres, empty_database, seaweedfs.address())
    second.place.mkdir()
    first, last, folder = fleet.settings("node"), embedded(tmp_path / "again"), tmp_path / "backup"
    async with fleet.node("node", feed=FEED) as node:
        settings = load(Path(first), {})
        assert not await asyncio.to_thread(has_shared_administrator, settings)
        await furnished(node)
        assert await asyncio.to_thread(has_shared_administrator, settings)
        await stock(node, "--config", first)
        before, said = await answers(node), await accounts("--config", first)
        told = json.loads(await done("backup", str(folder), "--config", first, "--json"))
        assert (told["damaged"], told["files"]) == ([], 6)
        assert (await node.push("Private.Old", "3.0.0")).status == 201
        await done("bundle-key", "new", str(tmp_path / "builds"))
        exported = (
            "export",
            "--hosted",
            "Private.*",
            "--key",
            str(tmp_path / "builds"),
            "--to",
            str(tmp_path / "bundle"),
        )
        assert json.loads(await done(*exported, "--config", first, "--json"))["hosted"] == 4
        again = await failed("backup", str(folder), "--config", first, code=2)
        assert f"{folder} is not empty" in again
    await done("restore", str(folder), "--config", last)
    await done("restore", str(folder), "--config", second.settings("other"))
    assert "is not empty" in await failed("restore", str(folder), "--config", first, code=2)

    async with running(tmp_path / "again", upstream, feed=FEED) as mirror:
        restored = House(mirror.services, tmp_path / "again", mirror.port)
        after = await answers(restored)
        assert {path for path in HOSTED if before[path] != after[path]} == set()
        assert await accounts("--config", last) == said
    async with second.node("other", feed=FEED) as other:
        after = await answers(other)
        assert {path for path in HOSTED if before[path] != after[path]} == set()
        assert await accounts("--config", second.settings("other")) == said
        assert (await other.push("Private.Old", "3.0.0", key=node.key)).status == 201
    fleet.postgres.execute(
        "INSERT INTO applied_migrations (name, checksum, version, lowest) VALUES ('9999_later.sql', 'x', '9.9', 1)",
        fleet.database,
    )
    newer = await failed("backup", str(tmp_path / "newer"), "--config", first)
    assert "was migrated by nugetproxy 9.9 (9999_later.sql)" in newer
