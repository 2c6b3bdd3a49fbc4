"""The modules that commands load before they begin: unused ones only make them slow to start."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Each takes longer to load than `key list` takes to run.
HEAVY = {"aiofiles", "aiohttp", "argon2", "asn1crypto", "diskcache", "lxml", "prometheus_client", "pydantic", "rich",
         "structlog"}  # fmt: skip
WORKING = {"asyncio", "sqlite3"}


CODE = """
import sys, atexit
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from nugetproxy.cli.main import main
main()
"""


def loaded(*arguments: str) -> set[str]:
    """The packages loaded by the time a command ends."""
    command = [sys.executable, "-c", CODE, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {name.partition(".")[0] for name in ended.stderr.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("--help",), ("key", "--help"), ("key", "list", "--help"), ("prewarm", "--help")],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments):
    """
    Shell completion runs the same code at every key press.
    """
    assert loaded(*arguments) & (HEAVY | WORKING) == set()


@pytest.mark.parametrize("arguments", [("user", "list"), ("key", "list"), ("package", "list")], ids=" ".join)
def test_a_command_loads_what_it_uses(alice, arguments):
    assert loaded(*arguments, "--data", str(alice.data)) & HEAVY == set()


def test_the_settings_are_not_loaded_for_a_path_that_is_given(alice, tmp_path, monkeypatch):
    """
    As in the container, which names it in a variable, and with the options of the unit.
    """
    (tmp_path / "settings.toml").write_text("[storage]\n")
    assert (
        loaded("key", "list", "--config", str(tmp_path / "settings.toml"), "--data", str(alice.data)) & HEAVY == set()
    )
    monkeypatch.setenv("NUGETPROXY_STORAGE__PATH", str(alice.data))
    assert loaded("key", "list") & HEAVY == set()
