"""Files written by root's commands belong to the owner of the data directory: the server could not use others."""

import os
from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine
from tests.other_version import other_version

SERVER = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def owners(data: Path) -> set[int]:
    return {path.stat().st_uid for path in (data, *data.rglob("*"))}


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, SERVER, SERVER)
    return CommandLine(data)


def test_of_every_command(line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    line.done("user", "add", "alice", "--admin")
    line.done("key", "list")
    line.done("audit")
    line.done("backup", str(tmp_path / "backup"))
    with monkeypatch.context() as patched:
        other_version(patched, "9.1", "CREATE TABLE next (x TEXT) STRICT")
        line.done("migrate")
    assert owners(line.data) == {SERVER}
    assert (line.data / "locks/door").exists()


def test_of_a_restore(line: CommandLine, tmp_path: Path):
    source = CommandLine(tmp_path / "source")
    source.done("user", "add", "alice")
    source.done("backup", str(tmp_path / "backup"))
    line.done("restore", str(tmp_path / "backup"))

    assert owners(line.data) == {SERVER}
