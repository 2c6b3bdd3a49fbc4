"""nugetproxy wanted: what an offline server, or one whose upstream is down, was asked for in vain."""

import asyncio

import pytest

from nugetproxy.nuget.lock_files import read_wanted
from tests.cli.command_line import CommandLine
from tests.fakes.faults import status
from tests.flows.mirror import running

ASKED = (
    "/v3/flatcontainer/contoso.base/1.0.0/contoso.base.1.0.0.nupkg",
    "/v3/flatcontainer/contoso.base/1.0.0/contoso.base.1.0.0.nupkg",
    "/v3/flatcontainer/contoso.utils/index.json",
    "/v3/registration/contoso.tools/index.json",
    "/v3/flatcontainer/secret.lib/index.json",
)


async def run(line: CommandLine, *arguments: str):
    return await asyncio.to_thread(line.run, *arguments)


async def json(line: CommandLine, *arguments: str):
    return await asyncio.to_thread(line.json, *arguments)


async def ask(data, upstream, *paths, **settings):
    async with running(data, upstream, **settings) as mirror:
        return [(await mirror.get(path)).status for path in paths]


@pytest.mark.parametrize("hosting", [False, True])
async def test_what_an_offline_server_lacks_is_listed_for_prewarm(upstream, tmp_path, hosting):
    sections = {"hosting": {"enabled": hosting}}
    assert set(await ask(tmp_path, upstream, *ASKED, offline=True, **sections)) == {404}
    line = CommandLine(tmp_path)

    ended = await run(line, "wanted")
    assert ended.exit_code == 0
    names = [each.partition("#")[0].strip() for each in ended.stdout.splitlines()]
    assert names[0] == "contoso.base 1.0.0"
    assert sorted(names[1:]) == ["contoso.tools", "contoso.utils", "secret.lib"]
    assert "2 times" in ended.stdout.splitlines()[0]
    row = (await json(line, "wanted"))[0]
    assert (row["id"], row["version"], row["times"], row["protected"]) == ("contoso.base", "1.0.0", 2, False)
    assert row["first"] <= row["last"]
    assert len(read_wanted("list", ended.stdout.splitlines()[0].encode())) == 1

    assert (await json(line, "wanted", "--clear"))[0] == row
    assert await json(line, "wanted") == []
    assert "there are no unmet requests" in (await run(line, "wanted")).stderr


async def test_protected_ids_are_not_handed_out(upstream, tmp_path, monkeypatch):
    """Not even those that were requested before they were protected."""
    await ask(tmp_path, upstream, *ASKED, offline=True)
    monkeypatch.setenv("NUGETPROXY_FEED__PROTECTED_PREFIXES", '["Secret.*"]')
    await ask(tmp_path, upstream, "/v3/flatcontainer/secret.other/index.json", offline=True,
              feed={"protected_prefixes": ["Secret.*"]})  # fmt: skip
    line = CommandLine(tmp_path)

    ended = await run(line, "wanted")
    assert "secret" not in ended.stdout
    assert "left out: 1 with ids that are protected" in ended.stderr
    rows = await json(line, "wanted", "--include-protected")
    assert [row["id"] for row in rows if row["protected"]] == ["secret.lib"]


async def test_an_upstream_that_fails_counts_and_one_that_has_not_does_not(upstream, tmp_path):
    upstream.add_package("Contoso.Base", "1.0.0")
    upstream.fault("*contoso.base*", status(500))
    paths = (ASKED[0], ASKED[2])
    assert (await ask(tmp_path, upstream, *paths))[1] == 404
    assert [row["id"] for row in await json(CommandLine(tmp_path), "wanted")] == ["contoso.base"]


async def test_since(upstream, tmp_path):
    await ask(tmp_path, upstream, ASKED[2], offline=True)
    line = CommandLine(tmp_path)
    assert len(await json(line, "wanted", "--since", "1h")) == 1
    assert await json(line, "wanted", "--since", "2999-01-01") == []


async def test_a_running_server_writes_them_soon(upstream, tmp_path):
    async with running(tmp_path, upstream, offline=True) as mirror:
        await mirror.get(ASKED[2])
        for _ in range(200):
            rows = await json(CommandLine(tmp_path), "wanted")
            if rows:
                break
            await asyncio.sleep(0.1)
    assert [row["id"] for row in rows] == ["contoso.utils"]
