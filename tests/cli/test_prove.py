"""nugetproxy prove: what a data directory or a server lacks, who wants it, and which command fetches it."""

import asyncio
import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nugetproxy.cli.main import main
from nugetproxy.nuget.signature import content_hash
from tests.builders import make_nupkg
from tests.cli.site import Site
from tests.fakes.upstream import FakeUpstream
from tests.flows.private_feed import opened
from tests.serving import Server

IDS = ("Contoso.App", "Contoso.Base", "Contoso.Core")


@pytest.fixture
async def site(upstream: FakeUpstream, tmp_path) -> Site:
    """App needs Base, which needs Core; all of them are kept."""
    upstream.add_package("Contoso.Core", "1.0.0", padding=10_000)
    upstream.add_package("Contoso.Base", "1.0.0", dependencies=[("Contoso.Core", "1.0.0")])
    upstream.add_package("Contoso.App", "1.0.0", dependencies=[("Contoso.Base", "[1.0.0, 2.0.0)")])
    site = Site(tmp_path, upstream)
    assert (await site.run("Contoso.App")).exit_code == 0
    return site


def file_of(site: Site, name: str) -> Path:
    return next((site.data / "mirror").rglob(f"{name.lower()}.1.0.0.nupkg"))


def lock_file(folder: Path, hashes: dict[str, str]) -> str:
    file = folder / "packages.lock.json"
    packages = {
        name: {"type": "Direct", "requested": "[1.0.0, )", "resolved": "1.0.0", "contentHash": digest}
        for name, digest in hashes.items()
    }
    file.write_text(json.dumps({"version": 1, "dependencies": {"net10.0": packages}}))
    return str(file)


def told(row: Any) -> dict[str, str]:
    return {gap["what"]: gap["why"] for gap in row["gaps"]}


async def test_what_is_complete(site, upstream):
    asked = len(upstream.log)
    code, row = await site.prove("--package", "Contoso.App")
    assert (code, row["complete"], row["packages"], row["gaps"]) == (0, True, 3, [])
    assert len(upstream.log) == asked
    assert row["sources"] == [{"name": "the command line, line 1", "complete": True}]
    assert row["bytes"] == sum(file_of(site, name).stat().st_size for name in IDS)


@pytest.mark.parametrize("name", IDS)
async def test_any_missing_file_is_named_with_the_command_that_fetches_it(site, name):
    file_of(site, name).unlink()
    code, row = await site.prove("--package", "Contoso.App [1.0.0]", "--framework", "net8.0")
    assert (code, row["complete"]) == (1, False)
    [gap, *_] = [each for each in row["gaps"] if each["what"].startswith(name)]
    if name == "Contoso.Core":
        assert gap["wanted_by"][0][-1] == "Contoso.Base 1.0.0"

    # On a connected machine: the recorded upstream is the one that filled the directory.
    program, *command = shlex.split(gap["command"])
    fetched = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert (program, fetched.exit_code) == ("nugetproxy", 0), fetched.output
    assert (await site.prove("--package", "Contoso.App [1.0.0]", "--framework", "net8.0"))[0] == 0


@pytest.mark.parametrize("damage", ["short", "other", "empty"])
async def test_a_damaged_file_is_not_present(site, damage):
    file = file_of(site, "Contoso.Core")
    content = {"short": file.read_bytes()[:-10], "other": file_of(site, "Contoso.Base").read_bytes(), "empty": b""}
    file.write_bytes(content[damage])
    code, row = await site.prove("--package", "Contoso.Core 1.0.0")
    assert (code, list(told(row))) == (1, ["Contoso.Core 1.0.0"])


async def test_locked_compares_content_hashes(site, tmp_path):
    right = {name: content_hash(io.BytesIO(file_of(site, name).read_bytes())) for name in IDS}
    file = lock_file(tmp_path, right | {"Contoso.Core": right["Contoso.Base"]})
    assert (await site.prove(file))[0] == 0
    code, row = await site.prove(file, "--locked")
    assert (code, list(told(row))) == (1, ["Contoso.Core 1.0.0"])
    assert "NU1403" in told(row)["Contoso.Core 1.0.0"]
    assert (await site.prove(lock_file(tmp_path, right), "--locked"))[0] == 0


async def test_the_text(site, upstream):
    file_of(site, "Contoso.Core").unlink()
    ended = await asyncio.to_thread(site.line.run, "prove", "--package", "Contoso.Base 1.*")
    assert ended.exit_code == 1
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("Missing: Contoso.Core [1.0.0, ): ")
    assert lines[1] == "  wanted by: the command line, line 1 > Contoso.Base 1.0.0"
    command = f"nugetproxy prewarm --data {site.data} --upstream {upstream.url}"
    assert lines[2] == f"  fetch it: {command} --package 'Contoso.Core [1.0.0, )'"
    assert lines[3] == "Incomplete: the command line, line 1"
    assert lines[4].startswith("Packages: 1 present")

    file_of(site, "Contoso.Base").unlink()
    given = ("--package", "Contoso.Base", "--package", "Contoso.Core 1.0.0", "--framework", "net8.0")
    ended = await asyncio.to_thread(site.line.run, "prove", *given)
    given_again = "--package Contoso.Base --package 'Contoso.Core 1.0.0' --framework net8.0"
    assert ended.stdout.splitlines()[-1] == f"Fetch all of it: {command} {given_again}"


async def test_a_running_server(site):
    server = Server(site.data, "--offline")
    try:
        await asyncio.to_thread(server.start)
        url = server.url
        assert (await site.prove("--package", "Contoso.App", "--server", url))[0] == 0
        file_of(site, "Contoso.Core").unlink()
        code, row = await site.prove("--package", "Contoso.App", "--server", url)
        assert (code, [gap["command"] for gap in row["gaps"]]) == (1, [None])
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((), "name a SOURCE or a --package"), (("nowhere.csproj",), "nowhere.csproj"), (("--package", "A/B"), "A/B")],
)
async def test_what_cannot_be_read(site, arguments, sentence):
    ended = await asyncio.to_thread(site.line.run, "prove", *arguments)
    assert ended.exit_code == 2
    assert sentence in ended.stderr


async def test_a_wrong_directory_is_not_called_incomplete(site, tmp_path):
    site.line.data = tmp_path / "elsewhere"
    ended = await asyncio.to_thread(site.line.run, "prove", "--package", "Contoso.App")
    assert ended.exit_code == 1
    assert "does not exist" in ended.stderr
    assert not (tmp_path / "elsewhere").exists()


async def test_a_bundle(site, tmp_path):
    key, bundle = str(tmp_path / "key"), tmp_path / "team.bundle"
    for command in (("bundle-key", "new", key), ("export", "--key", key, "--to", str(bundle))):
        given = command if command[0] == "bundle-key" else (*command, "--data", str(site.data))
        ended = await asyncio.to_thread(CliRunner().invoke, main, given)
        assert ended.exit_code == 0, ended.output
    file_of(site, "Contoso.Core").unlink()  # the directory does not matter

    assert (await site.prove("--package", "Contoso.App", "--bundle", str(bundle)))[0] == 0
    code, row = await site.prove("--package", "Nobody", "--bundle", str(bundle))
    assert (code, row["gaps"][0]["command"]) == (1, None)

    bundle.write_bytes(bundle.read_bytes()[:-2000])
    ended = await asyncio.to_thread(site.line.run, "prove", "--package", "Contoso.App", "--bundle", str(bundle))
    assert ended.exit_code == 1
    assert "team.bundle" in ended.stderr


async def test_no_command_fetches_what_is_ours(site, monkeypatch):
    monkeypatch.setenv("NUGETPROXY_FEED__PROTECTED_PREFIXES", '["Contoso.Base"]')
    code, row = await site.prove("--package", "Contoso.App")
    assert code == 1
    assert [(gap["what"], gap["command"]) for gap in row["gaps"]] == [("Contoso.Base [1.0.0, 2.0.0)", None)]


async def test_pushed_packages_are_present_and_bring_their_dependencies(upstream, tmp_path, monkeypatch):
    """They are resolved like others, and no upstream hears of them."""
    upstream.add_package("Serilog", "4.0.0")
    site = Site(tmp_path, upstream)
    async with opened(site.data, upstream) as house:
        package = make_nupkg("Contoso.Private", "1.0.0", dependencies=[("Serilog", "4.0.0")])
        assert (await house.push(package)).status == 201
    monkeypatch.setenv("NUGETPROXY_FEED__PROTECTED_PREFIXES", '["Contoso."]')
    assert (await site.prove("--package", "Contoso.Private"))[0] == 1

    report = await site.report("Contoso.Private")
    assert {each["id"]: each["state"] for each in report["packages"]} == {
        "Contoso.Private": "kept",
        "Serilog": "fetched",
    }
    assert (await site.prove("--package", "Contoso.Private"))[0] == 0
    assert upstream.requests_for("*contoso*") == 0
