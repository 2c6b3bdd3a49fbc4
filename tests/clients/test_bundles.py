"""Bundles and the real SDK: `dotnet restore` from the unpacked folder of one, without a server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Source, Workplace
from tests.shared import shared
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600), not_in_fleet("carries the data directory of one machine")]


def nugetproxy(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "nugetproxy", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_unpacked_folder_is_a_source(tmp_path: Path, nuget_org: StandIn) -> None:
    """
    `tar` unpacks it, and the SDK restores a graph in locked mode from `packages/`, with nothing else to ask.
    """
    data, bundle, unpacked = tmp_path / "data", tmp_path / "team.bundle", tmp_path / "unpacked"
    lock = shared() / "nuget-org" / "graphs" / "web" / "packages.lock.json"
    nugetproxy("prewarm", "--data", data, "--upstream", nuget_org.url, lock)
    nugetproxy("bundle-key", "new", tmp_path / "key")
    exported = json.loads(nugetproxy("export", "--data", data, "--key", tmp_path / "key", "--to", bundle, "--json"))
    unpacked.mkdir()
    subprocess.run(["tar", "-xf", bundle, "-C", unpacked], check=True)

    assert exported["packages"] == len(list((data / "mirror").rglob("*.nupkg")))
    workplace = Workplace(tmp_path / "work", "unused")
    workplace.configure({"here": Source(str(unpacked / "packages"))})
    workplace.dotnet("restore", "-p:NuGetAudit=false", "--locked-mode", cwd=workplace.graph("web")).must_succeed()
