"""Runs the command line in tests: its output and exit codes."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from nugetproxy.cli.main import main

ME = f"command line ({pwd.getpwuid(os.getuid()).pw_name})"


class CommandLine:
    """The command line on one data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def run(self, *arguments: str, typed: str | bytes = "") -> Result:
        return CliRunner().invoke(main, [*arguments, "--data", str(self.data)], input=typed)

    def done(self, *arguments: str, typed: str | bytes = "") -> str:
        ended = self.run(*arguments, typed=typed)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.done(*arguments, "--json"))

    def refused(self, *arguments: str, code: int = 1, typed: str | bytes = "") -> str:
        ended = self.run(*arguments, typed=typed)
        assert (ended.exit_code, ended.stdout) == (code, "")
        return ended.stderr

    def audited(self) -> list[dict[str, str]]:
        return [json.loads(each) for each in self.done("audit", "--json").splitlines()]
