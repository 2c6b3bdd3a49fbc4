import pytest

from tests.cli.command_line import CommandLine


@pytest.fixture
def line(tmp_path):
    return CommandLine(tmp_path / "data")


@pytest.fixture
def alice(line):
    line.done("user", "add", "alice", "--admin")
    return line
