"""nugetproxy bundle: what a bundle holds, and what a mirror has for the next one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nugetproxy.cli.main import main
from nugetproxy.mirroring.bundle.signature import write_key_pair
from tests.cli.command_line import CommandLine
from tests.mirroring.bundle.bundles import written
from tests.mirroring.bundle.shelf import Shelf


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    import asyncio

    async def fill() -> None:
        shelf = Shelf(tmp_path / "data")
        for name in ("Contoso.Core", "Contoso"):
            await shelf.put(name)
        await shelf.document("https://up.test/flat/contoso/index.json", b"{}")

    asyncio.run(fill())
    write_key_pair(tmp_path / "builds", "builds@contoso")
    return CommandLine(tmp_path / "data")


@pytest.fixture
def exported(line, tmp_path):
    line.done("export", "--key", str(tmp_path / "builds"), "--to", str(tmp_path / "a.bundle"))
    return tmp_path / "a.bundle"


def run(*arguments: object):
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_what_a_bundle_holds(exported, tmp_path):
    shown = run("bundle", "show", exported)

    assert 0 == shown.exit_code, shown.output
    lines = shown.stdout.splitlines()
    assert {"holds:       everything", "hosted:      no", "since:       -", "content:     not read (--verify)"} <= {
        *lines
    }
    assert "(not verified: give --trust FILE.pub)" in shown.stdout
    assert "2 package" in shown.stdout


def test_as_json(exported, tmp_path):
    shown = run("bundle", "show", exported, "--trust", tmp_path / "builds.pub", "--verify", "--packages", "--json")

    value = json.loads(shown.stdout)
    assert ("builds@contoso", True, 1, 1) == (value["trusted"], value["verified"], value["format"], value["sequence"])
    assert ["Contoso.Core", "Contoso"] == [package["id"] for package in value["packages"]]


def test_a_key_that_did_not_sign(exported, tmp_path):
    write_key_pair(tmp_path / "other", "other")

    refused = run("bundle", "show", exported, "--trust", tmp_path / "other.pub")

    assert (1, "") == (refused.exit_code, refused.stdout)
    assert "cannot be trusted: it is signed with the key SHA256:" in refused.stderr


def test_damage_is_found_by_reading_all(exported):
    content = bytearray(exported.read_bytes())
    content[-2000] ^= 1
    exported.write_bytes(content)

    assert 0 == run("bundle", "show", exported).exit_code
    refused = run("bundle", "show", exported, "--verify")
    assert (1, "") == (refused.exit_code, refused.stdout)
    assert "is not a complete bundle" in refused.stderr


def test_from_a_pipe(tmp_path):
    command = [sys.executable, "-m", "nugetproxy", "bundle", "show", "-", "--json"]
    shown = subprocess.run(command, input=written(), capture_output=True, check=True)

    assert "0" * 32 == json.loads(shown.stdout)["bundle"]


def test_the_inventory_is_what_the_next_bundle_leaves_out(line, exported, tmp_path):
    inventory = tmp_path / "have.jsonl"
    assert line.done("bundle", "inventory", "--to", str(inventory)).startswith("Wrote 2 packages to ")

    made = line.json(
        "export", "--key", str(tmp_path / "builds"), "--to", str(tmp_path / "b.bundle"), "--since", str(inventory)
    )

    assert (0, 0) == (made["packages"], made["documents"])
    assert {"kind": "inventory", "id": json.loads(inventory.read_text().splitlines()[0])["inventory"]} == made["since"]


def test_damaged_packages_are_not_in_the_inventory(line, tmp_path):
    path = Shelf(line.data).path("contoso")
    path.write_bytes(path.read_bytes()[:-1])

    lines = subprocess.run(
        [sys.executable, "-m", "nugetproxy", "bundle", "inventory", "--data", line.data],
        capture_output=True,
        check=True,
    ).stdout.splitlines()

    assert ["document", "package"] == [json.loads(each)["kind"] for each in lines[1:]]


def test_the_inventory_of_a_directory_that_does_not_exist(tmp_path):
    refused = CommandLine(tmp_path / "none").refused("bundle", "inventory", "--to", str(tmp_path / "have"))

    assert "does not exist" in refused
    assert not (tmp_path / "have").exists()
