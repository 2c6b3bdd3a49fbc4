"""A mirror with a budget smaller than one restore: `dotnet restore` never notices, and the mirror stays small."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600), not_in_fleet("the budget of one disk")]

BUDGET = 3_000_000


@pytest.fixture
def server(tmp_path: Path, nuget_org: StandIn) -> Iterator[Server]:
    budget = f"[mirroring]\nbudget = {BUDGET}\n"
    with Server(tmp_path / "data", "--workers", "2", upstream=nuget_org.url, config=budget) as running:
        yield running


def test_restores_within_a_budget(server: Server, workplace: Workplace) -> None:
    """
    Packages are evicted between and beside the restores, and everything that is left is right.
    """
    line = CommandLine(server.data)
    for _ in range(2):
        workplace.forget()
        workplace.dotnet("restore", "--locked-mode", cwd=workplace.graph("web")).must_succeed()
        until = time.monotonic() + 60
        while (size := line.json("mirror", "statistics")["bytes"]) > BUDGET and time.monotonic() < until:
            time.sleep(0.5)
        assert size <= BUDGET
    assert server.metric("nugetproxy_mirror_evicted_bytes_total") > BUDGET
    assert line.json("mirror", "verify")["clean"]
