"""nugetproxy mirror: list, show, pin, unpin, evict, verify, statistics; beside a running server too."""

import asyncio
import re
import shlex
from json import loads
from pathlib import Path

import pytest

from nugetproxy.cli.mirror import mirror as mirror_group
from tests.cli.command_line import CommandLine
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running


def path(number: int) -> str:
    return f"/v3/flatcontainer/contoso.p{number}/1.0.0/contoso.p{number}.1.0.0.nupkg"


async def fill(data: Path, upstream: FakeUpstream, count: int = 3) -> None:
    for number in range(count):
        upstream.add_package(f"Contoso.P{number}", "1.0.0", padding=10_000)
    async with running(data, upstream) as mirror:
        for number in range(count):
            assert (await mirror.get(path(number))).status == 200


@pytest.fixture
async def line(upstream, tmp_path) -> CommandLine:
    await fill(tmp_path, upstream)
    return CommandLine(tmp_path)


async def run(line: CommandLine, *arguments: str):
    """In a thread: a command has an event loop of its own."""
    return await asyncio.to_thread(line.run, *arguments)


async def json(line: CommandLine, *arguments: str):
    return await asyncio.to_thread(line.json, *arguments)


async def test_the_statistics(line):
    got = await json(line, "mirror", "statistics")

    stored = sum(file.stat().st_size for file in (line.data / "mirror").rglob("*.nupkg"))
    assert (got["packages"], got["bytes"], got["budget"]) == (3, stored, None)
    assert got["upstreams"] == {"up": {"packages": 3, "bytes": stored}}
    assert (got["pinned"], got["gone"], got["quarantined"], got["never_verified"]) == (0, 0, 0, 3)
    assert re.search(r"^packages: +3$", (await run(line, "mirror", "statistics")).stdout, re.MULTILINE)


async def test_the_list(line):
    got = await json(line, "mirror", "list")
    assert [(row["id"], row["version"], row["state"], row["pinned"]) for row in got] == [
        (f"contoso.p{number}", "1.0.0", "kept", False) for number in range(3)
    ]
    assert all(row["sha512"] and row["used"] and row["fetch_milliseconds"] for row in got)
    assert len(await json(line, "mirror", "list", "Contoso.P1")) == 1
    assert await json(line, "mirror", "list", "--state", "gone") == []
    assert "contoso.p1  1.0.0    up" in (await run(line, "mirror", "list")).stdout


async def test_pins(line):
    pinned = await json(line, "mirror", "pin", "Contoso.P1", "1.0", "--name", "release 7", "--because", "shipped")
    assert (pinned["id"], pinned["version"], pinned["because"]) == ("contoso.p1", "1.0.0", "shipped")
    await json(line, "mirror", "pin", "Contoso.P2")
    assert [row["id"] for row in await json(line, "mirror", "list", "--state", "pinned")] == [
        "contoso.p1",
        "contoso.p2",
    ]
    shown = await json(line, "mirror", "show", "contoso.p1", "1.0.0")
    assert [each["name"] for each in shown["pins"]] == ["release 7"]
    assert len(shown["files"]) == 1

    assert (await json(line, "mirror", "unpin", "Contoso.P1", "1.0.0"))["unpinned"] == 1
    again = await run(line, "mirror", "unpin", "Contoso.P1", "1.0.0")
    assert (again.exit_code, again.stderr) == (1, "nugetproxy: Contoso.P1 1.0.0 is not pinned\n")


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["show", "Contoso.None", "1.0.0"], 1, "is not kept"),
        (["pin", "Contoso.P1", "x.y"], 2, "x.y"),
        (["list", "-"], 2, "-"),
        (["evict"], 2, "no mirroring.budget"),
        (["evict", "Contoso.None"], 1, "Contoso.None"),
        (["evict", "--to", "much"], 2, "--to: expected a size"),
        (["evict", "--to", "1 KB", "--force"], 2, "--force needs a PACKAGE_ID"),
        (["evict", "Contoso.P1", "--to", "1 KB"], 2, "not both"),
    ],
)
async def test_what_is_refused(line, arguments, code, why):
    ended = await run(line, "mirror", *arguments)
    assert ended.exit_code == code
    assert why in ended.stderr


@pytest.mark.parametrize("arguments", [["statistics"], ["list"], ["pin", "A"], ["verify"], ["evict", "A"]])
def test_without_a_mirror(tmp_path, arguments):
    assert "no mirrored packages" in CommandLine(tmp_path).refused("mirror", *arguments)
    assert "does not exist" in CommandLine(tmp_path / "x").refused("mirror", *arguments)
    assert not list(tmp_path.iterdir())


async def test_reading_a_mirror_without_its_inventory_creates_nothing(line):
    for each in line.data.glob("inventory.db*"):
        each.unlink()
    assert (await json(line, "mirror", "statistics"))["packages"] == 3
    assert not list(line.data.glob("inventory.db*"))


async def test_evict_to_a_size(line):
    """
    The recorded upstream is asked. What is pinned stays.
    """
    await json(line, "mirror", "pin", "Contoso.P0")
    planned = await json(line, "mirror", "evict", "--to", "15 KB", "--dry-run")
    assert [each["id"] for each in planned["evicted"]] == ["contoso.p1", "contoso.p2"]
    assert (await json(line, "mirror", "statistics"))["packages"] == 3

    done = await json(line, "mirror", "evict", "--to", "15 KB")
    assert done | {"dry_run": True} == planned
    assert [file.name for file in (line.data / "mirror").rglob("*.nupkg")] == ["contoso.p0.1.0.0.nupkg"]
    assert (await run(line, "mirror", "evict", "--to", "1 KB")).exit_code == 1
    assert "is pinned" in (await run(line, "mirror", "evict", "Contoso.P0")).stderr


async def test_evict_what_the_upstream_no_longer_has(line, upstream):
    upstream.gallery.remove("Contoso.P1", "1.0.0")
    for each in line.data.glob("documents/*"):
        each.unlink()  # its list is still fresh for a while
    refused = await run(line, "mirror", "evict", "Contoso.P1")
    assert (refused.exit_code, "1 are gone upstream" in refused.stderr) == (1, True)
    assert [row["id"] for row in await json(line, "mirror", "list", "--state", "gone")] == ["contoso.p1"]
    assert (await json(line, "mirror", "evict", "Contoso.P1", "--force"))["packages"] == 1


async def test_verify(line):
    clean = await json(line, "mirror", "verify")
    assert (clean["clean"], clean["checked"], clean["damaged"]) == (True, 3, [])
    assert (await json(line, "mirror", "verify", "--older-than", "1d"))["checked"] == 0

    [kept] = line.data.glob("mirror/up/contoso.p1/*/*.nupkg")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:5_000])
    found = await run(line, "mirror", "verify", "--json")
    assert found.exit_code == 1
    [damage] = loads(found.stdout)["damaged"]
    assert (damage["id"], damage["repaired"]) == ("contoso.p1", True)
    assert kept.read_bytes() == whole
    assert (await json(line, "mirror", "verify"))["clean"]
    [bad] = await json(line, "mirror", "list", "--state", "quarantined")
    assert (bad["id"], "bytes instead of" in bad["why"]) == ("contoso.p1", True)


async def test_verify_where_nobody_can_repair(line, upstream):
    await upstream.die()
    [kept] = line.data.glob("mirror/up/contoso.p1/*/*.nupkg")
    kept.write_bytes(b"x")
    found = await run(line, "mirror", "verify", "--rate", "100 MB", "--no-repair")
    assert (found.exit_code, "not repaired" in found.stderr) == (1, True)
    assert not kept.exists()
    assert (await run(line, "mirror", "verify", "--rate", "fast")).exit_code == 2


async def test_beside_a_running_server(upstream, tmp_path):
    await fill(tmp_path, upstream)
    line = CommandLine(tmp_path)
    async with running(tmp_path, upstream) as mirror:
        assert (await json(line, "mirror", "evict", "Contoso.P1"))["packages"] == 1
        assert (await json(line, "mirror", "statistics"))["packages"] == 2
        assert (await json(line, "mirror", "verify"))["checked"] == 2
        assert (await mirror.get(path(1))).status == 200


async def test_the_examples_of_the_page(upstream, tmp_path):
    """
    Every `nugetproxy mirror` line of docs/care.md does what it says, in order.
    """
    for package_id in ("Contoso.Utils", "Contoso.Base"):
        upstream.add_package(package_id, "1.0.0")
    async with running(tmp_path, upstream) as mirror:
        assert (await mirror.get("/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg")).status == 200
    page = (Path(__file__).parents[2] / "docs/care.md").read_text()
    examples = [shlex.split(each, comments=True) for each in re.findall(r"^nugetproxy mirror .*$", page, re.MULTILINE)]
    line = CommandLine(tmp_path)

    assert {example[2] for example in examples} == set(mirror_group.commands)
    for example in examples:
        ended = await run(line, *example[1 : example.index("--data")])
        assert ended.exit_code == 0, f"{example}: {ended.output}"
