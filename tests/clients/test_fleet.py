"""What only a fleet can show to the .NET SDK: one upstream request for three nodes, and a node that is killed."""

from pathlib import Path

import pytest

from tests.clients.deployment import only_in_fleet, serve
from tests.clients.kit import Workplace
from tests.clients.test_restore import nupkgs
from tests.fleet_serving import Fleet
from tests.private import PROTECTING, Accounts, package
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600), only_in_fleet]


def test_a_killed_node_takes_nothing_with_it(tmp_path: Path, nuget_org: StandIn) -> None:
    """
    Every node took part, and the upstream saw each package once.
    """
    with serve(tmp_path / "data", upstream=nuget_org.url, config=PROTECTING) as fleet:
        assert isinstance(fleet, Fleet)
        accounts = Accounts(fleet.data)
        accounts.add_user("alice")
        key = accounts.add_key("ci", "alice")
        workplace = Workplace(tmp_path / "work", fleet.url)
        web = workplace.graph("web")
        workplace.dotnet("restore", "--locked-mode", cwd=web).must_succeed()
        file = tmp_path / "Contoso.Private.1.0.0.nupkg"
        file.write_bytes(package("Contoso.Private"))
        workplace.dotnet("nuget", "push", str(file), "-s", "here", "-k", key).must_succeed()
        asked = {path.rsplit("/", 1)[1]: count for path, count in nupkgs(nuget_org.requests()).items()}
        restored = {each.name for each in workplace.packages.rglob("*.nupkg")}
        assert len(restored) > 60
        assert {asked[name] for name in restored} == {1}
        assert all(node.metric("nugetproxy_requests_total") > 20 for node in fleet.nodes)

        fleet.nodes[0].kill()
        nuget_org.forget()
        workplace.forget()
        project = workplace.project("app", ("Contoso.Private", "[1.0.0]"), ("Serilog", "4.3.0"))
        workplace.dotnet("restore", cwd=project).must_succeed()
        workplace.dotnet("restore", "--locked-mode", cwd=workplace.graph("web")).must_succeed()
        assert not nupkgs(nuget_org.requests()).keys() & asked.keys()
        again = workplace.dotnet("nuget", "push", str(file), "-s", "here", "-k", key).must_fail().output
        assert "409" in again
