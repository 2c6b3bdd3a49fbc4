"""Files whose rows were lost are found, and published again as they were."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nugetproxy.cli.main import main
from nugetproxy.hosting.moving_in import unclaimed
from tests.builders import make_nupkg
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running
from tests.flows.private_feed import House, opened
from tests.flows.test_backup import FEED, SYMBOLS
from tests.symbol_builders import make_debuggable, make_snupkg

LIST = "/v3/flatcontainer/private.debug/index.json"


async def command(data: Path, *arguments: str, code: int = 0) -> Result:
    file = data.with_suffix(".toml")
    file.write_text(f'[storage]\npath = "{data}"\n[feed]\nprotected_prefixes = ["Private."]\n')
    ended = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--config", str(file)])
    assert ended.exit_code == code, ended.output
    return ended


async def test_pushes_that_a_database_lost_are_published_again(
    upstream: FakeUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    The database is an older one, as after a failover that lost the last commits; a version was deleted since.
    """
    data, package = tmp_path / "data", make_debuggable("Private.Debug")
    async with opened(data, upstream, feed=FEED) as house:
        assert (await house.push("Private.Gone")).status == 201
        [gone] = (data / "hosted").rglob("*.nupkg")
        bytes_of_gone = gone.read_bytes()
        await command(data, "package", "delete", "Private.Gone", "1.0.0")
        await command(data, "backup", str(tmp_path / "backup"), "--copy")
        assert (await house.push(package)).status == 201
        assert (await house.send("PUT", "/api/v2/symbolpackage/", body=make_snupkg("Private.Debug"))).status == 201
        assert (await house.push("Private.Kept")).status == 201
    (data / "hosted").rename(tmp_path / "hosted")
    for each in data.iterdir():
        if each.name.startswith("nugetproxy.db"):
            each.unlink()
    (tmp_path / "backup" / "nugetproxy.db").rename(data / "nugetproxy.db")
    (tmp_path / "hosted").rename(data / "hosted")
    gone.parent.mkdir(parents=True, exist_ok=True)
    gone.write_bytes(bytes_of_gone)

    assert json.loads((await command(data, "repair", "--json")).stdout) == []  # their pushes may be running
    monkeypatch.setattr(unclaimed, "NOTED_AFTER", 0.0)
    listed = json.loads((await command(data, "repair", "--json")).stdout)
    assert [(each["id"], each["file"]) for each in listed] == [
        ("private.debug", "package"), ("private.gone", "package"), ("private.kept", "package"),
        ("private.debug", "symbols"),
    ]  # fmt: skip
    tried = json.loads((await command(data, "repair", "--owner", "bob", "--dry-run", "--json", code=1)).stdout)
    assert (tried["imported"], tried["refused"], tried["left_out"]) == (2, 1, 1)
    ended = await command(data, "repair", "--owner", "bob", code=1)
    assert "refused Private.Gone 1.0.0".lower() in ended.stderr.lower()
    assert ended.stdout.startswith("Imported 3 files")
    left = json.loads((await command(data, "repair", "--json")).stdout)
    assert [each["id"] for each in left] == ["private.gone"]

    async with running(data, upstream, feed=FEED) as mirror:
        again = House(mirror.services, data, mirror.port)
        assert await again.json(LIST) == {"versions": ["1.0.0"]}
        got = await again.get("/v3/flatcontainer/private.debug/1.0.0/private.debug.1.0.0.nupkg")
        assert got.body == package
        assert (await again.get(SYMBOLS)).status == 200
        owners = await command(data, "owner", "list", "Private.Kept", "--json")
        assert json.loads(owners.stdout)["owners"] == ["bob"]
        assert (await again.get("/v3/flatcontainer/private.kept/1.0.0/private.kept.1.0.0.nupkg")).body == make_nupkg(
            "Private.Kept", "1.0.0"
        )
