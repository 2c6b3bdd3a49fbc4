"""README's walk-through for build agents without internet access, line by line, with a real `dotnet restore`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace
from tests.ports import free_port
from tests.serving import Server
from tests.shared import shared
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600), not_in_fleet("carries the data directory of one machine")]

README = Path(__file__).parents[2] / "README.md"


def lines() -> list[str]:
    """The commands of the section, in order."""
    section = README.read_text().partition("**Serve build agents without internet access.**")[2]
    blocks = re.findall(r"```sh\n(.*?)```", section.partition("**Serve old clients.**")[0], re.DOTALL)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


class Site:
    """A folder in which the lines are run as typed. Only `prewarm` knows the stand-in for nuget.org."""

    def __init__(self, folder: Path, nuget_org: StandIn) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / "nugetproxy").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nugetproxy "$@"\n')
        (programs / "nugetproxy").chmod(0o755)
        self._environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        self._nuget_org = nuget_org

    def run(self, line: str) -> None:
        known = {}
        if line.startswith("nugetproxy prewarm"):
            known["NUGETPROXY_MIRRORING__UPSTREAM__0__SERVICE_INDEX"] = self._nuget_org.url
        ended = subprocess.run(["sh", "-c", line], cwd=self.folder, env=self._environ | known, check=False,
                               capture_output=True, text=True)  # fmt: skip
        assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"


def test_line_by_line(tmp_path: Path, nuget_org: StandIn) -> None:
    site = Site(tmp_path / "site", nuget_org)
    shutil.copytree(shared() / "nuget-org" / "graphs" / "web", site.folder / "src", copy_function=shutil.copyfile)
    (site.folder / "src").chmod(0o755)
    port = free_port()
    agent = Workplace(tmp_path / "agent", f"http://127.0.0.1:{port}/v3/index.json")
    web, other = agent.graph("web"), agent.project("other", ("Castle.Core", "5.2.1"))
    given = lines()
    serve = given.index("nugetproxy serve --data ./nuget --offline")

    for line in given[:serve]:
        site.run(line)
    with Server(site.folder / "nuget", "--offline", port=port):
        agent.dotnet("restore", "--locked-mode", cwd=web).must_succeed()
        assert "NU1101" in agent.dotnet("restore", cwd=other).must_fail().output
    for line in given[serve + 1 :]:
        site.run(line)
    with Server(site.folder / "nuget", "--offline", port=port):
        agent.forget()
        agent.dotnet("restore", cwd=other).must_succeed()
        agent.dotnet("restore", "--locked-mode", cwd=web).must_succeed()
    assert (site.folder / "next.bundle").stat().st_size < (site.folder / "team.bundle").stat().st_size / 4
    assert (site.folder / "wanted.txt").read_text().startswith("castle.core  # ")
