"""Real packages moved from nuget.org's stand-in, by its feed and from a folder, and restored from here alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import nugetproxy.runtime.moving_in_parts  # noqa: F401 - so that it inspects in threads
from nugetproxy.cli.main import main
from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.private import Accounts
from tests.serving import Server
from tests.shared import shared
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

ANY_ID = '[hosting]\nallowed_ids = ["*"]\n'


def needed(graph: str) -> set[str]:
    """The ids in the lock file of a graph, and those that the SDK adds for netcoreapp3.1."""
    lock = json.loads((shared() / "nuget-org" / "graphs" / graph / "packages.lock.json").read_bytes())
    return {
        package_id for framework in lock["dependencies"].values() for package_id, entry in framework.items()
        if entry["type"] != "Project"
    } | {"Microsoft.NETCore.App.Ref", "Microsoft.AspNetCore.App.Ref"}  # fmt: skip


def moved_in(server: Server, *arguments: str) -> dict[str, Any]:
    words = ["import-packages", *arguments, "--owner", "alice", "--json", "--data", str(server.data)]
    ended = CliRunner().invoke(main, [*words, "--config", str(server.data.parent / f"{server.data.name}.toml")])
    assert ended.exit_code == 0, ended.output
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def test_a_graph_is_restored_from_what_moved_in(tmp_path: Path) -> None:
    """
    A hundred signed packages of ten years, with --locked-mode: every content hash is that of nuget.org. No upstream is
    there.
    """
    ids = needed("legacy")
    selected = [word for each in sorted(ids) for word in ("--include", each)]
    with (
        StandIn() as old,
        serve(tmp_path / "data", upstream="http://127.0.0.1:9/v3/index.json", config=ANY_ID) as server,
    ):
        Accounts(server.data).add_user("alice")
        assert moved_in(server, "--source", old.url, *selected)["imported"] >= len(ids)
        old.die()
        again = moved_in(server, str(shared() / "nuget-org" / "packages"), *selected)
        assert (again["imported"], again["refused"]) == (0, 0), "the folder of the same packages has nothing to add"
        workplace = Workplace(tmp_path / "work", server.url)
        restored = workplace.dotnet("restore", "--locked-mode", "-p:NuGetAudit=false", cwd=workplace.graph("legacy"))
        restored.must_succeed()
