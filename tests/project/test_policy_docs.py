"""The examples of docs/policy.md: the rules are accepted, and the commands work."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from nugetproxy.config import Config, PolicyRuleSettings
from nugetproxy.config.policy import problems_of_rules
from tests.cli.command_line import CommandLine

PAGE = (Path(__file__).parents[2] / "docs/policy.md").read_text()


@pytest.fixture
def alice(tmp_path: Path) -> CommandLine:
    line = CommandLine(tmp_path / "data")
    line.done("user", "add", "alice", "--admin")
    return line


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_rules_are_accepted(text):
    config = Config.model_validate(tomllib.loads(text))

    assert config.policy.rule
    assert list(problems_of_rules(config.policy)) == []


def test_every_key_of_a_rule_is_described():
    assert [key for key in PolicyRuleSettings.model_fields if f"`{key}" not in PAGE] == []


def test_commands_work(alice):
    """
    In the order of the page, on one data directory. Those that ask an upstream have tests of their own.
    """
    commands = [shlex.split(line) for line in re.findall(r"^\$ nugetproxy (policy .*)$", PAGE, re.MULTILINE)]
    for command in commands:
        alice.done(*command)

    assert [command[1] for command in commands] == ["allow", "list", "revoke"]
    assert [row["action"] for row in alice.audited()][-2:] == ["policy.allow", "policy.revoke"]
