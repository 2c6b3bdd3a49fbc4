"""What `nugetproxy prove` says about a directory is what `dotnet restore` finds on an offline server over it."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nugetproxy.cli.main import main
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace
from tests.serving import Server
from tests.shared import shared
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900), not_in_fleet("carries the data directory of one machine")]

REMOVALS = int(os.environ.get("PROVE_REMOVALS", "6"))
"""Each takes about four seconds."""


def nugetproxy(*arguments: str) -> tuple[int, Any]:
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    assert ended.stdout, ended.output
    return ended.exit_code, json.loads(ended.stdout)


def restores(data: Path, folder: Path, place: Workplace, *arguments: str) -> tuple[bool, str]:
    """Whether `dotnet restore` succeeds against an offline server over `data`, and what it said."""
    place.forget()
    for made in ("obj", "bin"):
        for each in (folder / made).rglob("*"):
            if each.is_file():
                each.unlink()
    with Server(data, "--offline", port=int(place.source.rpartition(":")[2].partition("/")[0])):
        ended = place.dotnet("restore", *arguments, cwd=folder)
    return ended.code == 0, ended.output


@pytest.mark.parametrize("graph", ["web", "legacy"])
@pytest.mark.parametrize("form", ["lock file", "project"])
def test_what_it_calls_complete_restores(
    graph: str, form: str, tmp_path: Path, workplace: Workplace, server: Server, nuget_org: StandIn
) -> None:
    """From a lock file, restored in locked mode; from a project without one, restored freely."""
    server.stop()
    folder, data = workplace.graph(graph), tmp_path / "kept"
    if form == "project":
        (folder / "packages.lock.json").unlink()
    code, row = nugetproxy("prewarm", str(folder), "--data", str(data), "--upstream", nuget_org.url)
    assert (code, row["problems"]) == (0, [])

    assert nugetproxy("prove", str(folder), "--data", str(data), "--locked")[0] == 0
    nuget_org.forget()
    done, output = restores(data, folder, workplace, *(["--locked-mode"] if form == "lock file" else []))
    assert done, output
    assert nuget_org.requests() == {}
    expected = (shared() / "nuget-org" / "graphs" / graph / "packages.lock.json").read_text("utf-8-sig")
    assert json.loads((folder / "packages.lock.json").read_text()) == json.loads(expected)


def test_removals_agree(tmp_path: Path, workplace: Workplace, server: Server, nuget_org: StandIn) -> None:
    """
    Remove random files of a directory that keeps more than the project needs: proof and restore always agree.
    """
    folder, data = workplace.project("small", ("Serilog.AspNetCore", "10.0.0"), ("Polly", "8.9.1")), tmp_path / "kept"
    workplace.dotnet("restore", "--use-lock-file", cwd=folder).must_succeed()
    server.stop()
    web = shared() / "nuget-org" / "graphs" / "web" / "packages.lock.json"
    given = ("--data", str(data), "--upstream", nuget_org.url)
    assert nugetproxy("prewarm", str(folder), str(web), *given)[0] == 0

    files = sorted((data / "mirror").rglob("*.nupkg"))
    locked = json.loads((folder / "packages.lock.json").read_text("utf-8-sig"))["dependencies"]["net10.0"]
    needed = [file for file in files if file.parent.parent.name in {name.lower() for name in locked}]
    choice = random.Random(20261129)
    found = []
    for removed in [choice.choice(files if turn % 2 else needed) for turn in range(REMOVALS)]:
        aside = tmp_path / removed.name
        removed.rename(aside)
        code, row = nugetproxy("prove", str(folder), "--data", str(data), "--locked")
        done, output = restores(data, folder, workplace, "--locked-mode")
        aside.rename(removed)
        assert (code == 0) == done, f"without {removed.name}: {row['gaps']}\n{output}"
        found.append(done)
    assert set(found) == {True, False}
    assert restores(data, folder, workplace, "--locked-mode")[0]
