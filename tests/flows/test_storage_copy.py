"""A private feed moves from one machine to a fleet and back, and nobody can tell from its answers."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nugetproxy.cli.main import main
from tests.fakes.upstream import FakeUpstream
from tests.flows.fleet import Fleet
from tests.flows.mirror import running
from tests.flows.private_feed import House, opened
from tests.flows.test_backup import FEED, HOSTED, answers
from tests.symbol_builders import make_debuggable, make_snupkg

COUNTED = "All rows were counted and all files compared."


@pytest.fixture
def fleet(tmp_path: Path, upstream: FakeUpstream, postgres, shared_database: str, bucket) -> Fleet:
    return Fleet(tmp_path, upstream, postgres, shared_database, bucket)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


async def done(*arguments: str) -> str:
    ended = await asyncio.to_thread(run, *arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def embedded(place: Path) -> str:
    """The settings file of a machine with this data directory."""
    file = place.with_suffix(".toml")
    file.write_text(f'[storage]\npath = "{place}"\n')
    return str(file)


async def stock(house: House, *options: str) -> None:
    """Pushed, unlisted and deleted versions, symbols, an organisation, a replaced key."""
    assert (await house.push(make_debuggable("Private.Debug"))).status == 201
    assert (await house.send("PUT", "/api/v2/symbolpackage/", body=make_snupkg("Private.Debug"))).status == 201
    for name, version in (("Private.Old", "1.0.0"), ("Private.Old", "2.0.0"), ("Private.Gone", "1.0.0")):
        assert (await house.push(name, version)).status == 201
    assert (await house.send("DELETE", "/api/v2/package/Private.Old/1.0.0")).status == 204
    for arguments in (
        ("package", "delete", "Private.Gone", "1.0.0"),
        ("org", "add", "builds", "--admin", "bob"),
        ("key", "add", "one", "--owner", "carol"),
        ("key", "rotate", "one"),
        ("owner", "add", "Private.Old", "builds"),
    ):
        await done(*arguments, *options)


async def accounts(*options: str) -> list[str]:
    """What commands say of accounts, keys, owners and the audit log; of the last without that of the move."""
    commands = (("user", "list"), ("org", "list"), ("key", "list"), ("owner", "list", "Private.Old"), ("audit",))
    told = [await done(*command, "--json", *options) for command in commands]
    told[-1] = "\n".join(
        line for line in told[-1].splitlines() if not json.loads(line)["action"].startswith("storage.")
    )
    return told


async def test_a_feed_moves_to_a_fleet_and_back(fleet: Fleet, upstream: FakeUpstream, tmp_path: Path):
    first, shared, last = embedded(tmp_path / "live"), fleet.settings("node"), embedded(tmp_path / "again")
    async with opened(tmp_path / "live", upstream, feed=FEED) as house:
        await stock(house, "--config", first)
        before = await answers(house)
        await done("storage", "copy", "--ahead", "--to", shared, "--config", first)
        assert (await house.push("Private.Late")).status == 201
        told = json.loads(await done("storage", "copy", "--to", shared, "--config", first, "--json"))
        # The rest had been copied before.
        assert (told["complete"], told["files"], told["damaged"]) == (True, 1, [])
        assert told["rows"] < 100
        refused = await house.push("Private.Late", "2.0.0")
        assert (refused.status, "retry-after" in refused.headers) == (503, True)
        assert "this feed has been moved to another storage" in refused.reason
        before = await answers(house)
    said = await accounts("--config", first)
    await done("backup", str(tmp_path / "backup"), "--config", first)
    await done("restore", str(tmp_path / "backup"), "--config", embedded(tmp_path / "restored"))
    await done("user", "add", "dave", "--config", embedded(tmp_path / "restored"))

    async with fleet.node("node", feed=FEED) as node:
        after = await answers(node)
        assert {path for path in HOSTED if before[path] != after[path]} == set()
        assert await accounts("--config", shared) == said
        assert (await node.push("Private.Old", "2.0.0", key=house.key)).status == 409
        assert (await node.push("Private.Old", "3.0.0", key=house.key)).status == 201
        assert (await node.push("Private.Old", "4.0.0", key=house.key)).status == 201
        before = await answers(node)
        assert COUNTED in await done("storage", "copy", "--to", last, "--config", shared)
        assert (await node.push("Private.Old", "5.0.0", key=house.key)).status == 503
    said = await accounts("--config", shared)

    async with running(tmp_path / "again", upstream, feed=FEED) as mirror:
        after = await answers(House(mirror.services, tmp_path / "again", mirror.port))
        assert {path for path in HOSTED if before[path] != after[path]} == set()
        assert await accounts("--config", last) == said


async def test_a_copy_that_fails_leaves_a_source_that_goes_on(upstream: FakeUpstream, tmp_path: Path):
    """
    The target is an unfinished copy until another run completes it, and of that source only.
    """
    live = tmp_path / "live"
    source, target, elsewhere = (embedded(tmp_path / name) for name in ("live", "target", "other"))
    await done("user", "add", "alice", "--config", elsewhere)
    async with opened(live, upstream, feed=FEED) as house:
        assert (await house.push("Private.Lost")).status == 201
        [lost] = (live / "hosted" / "packages").rglob("*.nupkg")
        lost.write_bytes(b"\0" * lost.stat().st_size)
        assert (await house.push("Private.Kept")).status == 201

        refused = await failed("storage", "copy", "--to", target, "--config", source)
        assert "private.lost" in refused
        assert "of the source is missing or damaged; restore it, or delete its version" in refused
        assert (await house.push("Private.Kept", "2.0.0")).status == 201
        assert "this storage is an unfinished copy of another one" in await failed(
            "user", "add", "bob", "--config", target
        )
        assert "unfinished copy of another storage" in await failed(
            "storage", "copy", "--to", target, "--config", elsewhere, code=2
        )
        assert "is an unfinished copy: finish it" in await failed("storage", "release", "--config", target, code=2)
        assert "is not empty" in await failed("storage", "copy", "--to", elsewhere, "--config", source, code=2)
        assert "is both the source and the target" in await failed(
            "storage", "copy", "--to", source, "--config", source, code=2
        )

        told = await done("storage", "copy", "--to", target, "--config", source, "--without-damaged", "--json")
        assert [Path(key).parts[1] for key in json.loads(told)["damaged"]] == ["private.lost"]
        assert (await house.push("Private.Kept", "3.0.0")).status == 503
        assert "Changes are accepted again." in await done("storage", "release", "--config", source)
        assert (await house.push("Private.Kept", "3.0.0")).status == 201
    await done("user", "add", "dave", "--config", target)


async def failed(*arguments: str, code: int = 1) -> str:
    ended = await asyncio.to_thread(run, *arguments)
    assert (ended.exit_code, ended.stdout) == (code, "")
    return ended.stderr
