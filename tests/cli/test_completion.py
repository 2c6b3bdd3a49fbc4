"""Shell completion, set up as in docs/install.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def completed(instruction: str, **environ: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "nugetproxy"],
        env={**os.environ, "_NUGETPROXY_COMPLETE": instruction, **environ},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.parametrize(
    ("shell", "registers"), [("bash", "complete -o nosort"), ("zsh", "compdef"), ("fish", "complete ")]
)
def test_the_script_of_each_shell(shell, registers):
    script = completed(f"{shell}_source")

    assert registers in script
    assert f"_NUGETPROXY_COMPLETE={shell}_complete" in script


def test_a_command_and_an_option_are_completed():
    assert completed("bash_complete", COMP_WORDS="nugetproxy key r", COMP_CWORD="2").split() == [
        "plain,revoke", "plain,rotate",
    ]  # fmt: skip
    assert "plain,--overlap" in completed("bash_complete", COMP_WORDS="nugetproxy key rotate --o", COMP_CWORD="3")
    assert completed("bash_complete", COMP_WORDS="nugetproxy x", COMP_CWORD="1").strip() == ""


def test_the_documented_lines_are_correct():
    page = (ROOT / "docs/install.md").read_text()

    assert set(re.findall(r"_NUGETPROXY_COMPLETE=(\w+) nugetproxy", page)) == {
        "bash_source", "zsh_source", "fish_source",
    }  # fmt: skip
