"""The other commands of real clients through the server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def nuget_org() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, nuget_org: StandIn) -> Iterator[Server]:
    """One for all tests that change nothing of it."""
    with serve(tmp_path_factory.mktemp("commands") / "data", upstream=nuget_org.url) as running:
        yield running


class Own(NamedTuple):
    """A server and an upstream that a test may stop."""

    nuget_org: StandIn
    server: Server
    workplace: Workplace


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    with StandIn() as nuget_org, serve(tmp_path / "own", upstream=nuget_org.url) as server:
        yield Own(nuget_org, server, Workplace(tmp_path / "own-work", server.url))


def test_list_package_outdated_vulnerable_deprecated(workplace: Workplace) -> None:
    """
    The three reports come from registrations: newest version, advisory and deprecation reason.
    """
    project = workplace.project(
        "reported",
        ("Newtonsoft.Json", "12.0.1"),
        ("System.Text.Json", "6.0.0"),
        ("Made.Many", "1.0.0"),
        audit=False,
    )
    workplace.dotnet("restore", cwd=project).must_succeed()

    outdated = workplace.dotnet("list", "package", "--outdated", cwd=project).must_succeed().output
    assert "13.0.4" in outdated
    vulnerable = workplace.dotnet("list", "package", "--vulnerable", cwd=project).must_succeed().output
    assert "GHSA-5crp-9r3c-p9vr" in vulnerable
    deprecated = workplace.dotnet("list", "package", "--deprecated", cwd=project).must_succeed().output
    assert "System.Text.Json" in deprecated
    assert "Critical" in deprecated


def test_outdated_works_offline_over_what_is_kept(own: Own) -> None:
    """
    Offline, no version newer than the kept ones is offered, and no request is sent upstream.
    """
    nuget_org, server, workplace = own
    project = workplace.project("reported", ("Newtonsoft.Json", "12.0.1"), audit=False)
    workplace.dotnet("restore", cwd=project).must_succeed()
    server.stop()
    nuget_org.forget()
    with serve(server.data, "--offline", upstream=nuget_org.url, port=server.port):
        output = workplace.dotnet("list", "package", "--outdated", cwd=project).must_succeed().output
    assert "13.0.4" not in output
    assert nuget_org.requests() == {}


def test_package_search(workplace: Workplace) -> None:
    found = workplace.dotnet("package", "search", "serilog", "--format", "json").must_succeed().output
    ids = {package["id"] for package in json.loads(found)["searchResult"][0]["packages"]}
    assert "Serilog" in ids

    exact = workplace.dotnet("package", "search", "Newtonsoft.Json", "--exact-match", "--format", "json")
    packages = json.loads(exact.must_succeed().output)["searchResult"][0]["packages"]
    assert {"12.0.1", "13.0.3"} <= {package["version"] for package in packages}


def test_package_search_without_the_upstream_finds_what_is_kept(own: Own) -> None:
    """
    With the upstream down, search answers from kept packages instead of failing.
    """
    nuget_org, _, workplace = own
    project = workplace.project("one", ("Newtonsoft.Json", "13.0.3"), audit=False)
    workplace.dotnet("restore", cwd=project).must_succeed()
    nuget_org.die()
    found = workplace.dotnet("package", "search", "newtonsoft", "--format", "json").must_succeed().output
    packages = json.loads(found)["searchResult"][0]["packages"]
    assert [package["id"] for package in packages] == ["Newtonsoft.Json"]


def test_package_add_takes_the_latest_listed_version(workplace: Workplace) -> None:
    project = workplace.project("adding", audit=False)
    workplace.dotnet("package", "add", "Dapper", "--project", str(project)).must_succeed()
    assert '"Dapper" Version="2.1.86"' in (project / "adding.csproj").read_text()


def test_tool_install(workplace: Workplace, tmp_path: Path) -> None:
    workplace.dotnet("tool", "install", "dotnet-ef", "--tool-path", str(tmp_path / "tools")).must_succeed()
    assert (tmp_path / "tools" / "dotnet-ef").is_file()


def test_a_project_sdk_comes_through_the_server(workplace: Workplace, nuget_org: StandIn) -> None:
    """
    MSBuild's SDK resolver finds Microsoft.Build.NoTargets through the server.
    """
    project = workplace.folder / "sdk"
    project.mkdir()
    (project / "sdk.csproj").write_text(
        '<Project Sdk="Microsoft.Build.NoTargets/3.7.0"><PropertyGroup>'
        "<TargetFramework>netstandard2.0</TargetFramework><NuGetAudit>false</NuGetAudit>"
        "</PropertyGroup></Project>\n"
    )
    workplace.dotnet("restore", cwd=project).must_succeed()
    assert (
        nuget_org.requests()["/v3-flatcontainer/microsoft.build.notargets/3.7.0/microsoft.build.notargets.3.7.0.nupkg"]
        == 1
    )


def test_nuget_exe_installs(workplace: Workplace) -> None:
    """
    nuget.exe 5.8 resolves a chain of dependencies from registrations and downloads through the server.
    """
    workplace.nuget_exe(
        "install", "Made.Chain20", "-OutputDirectory", "out", "-NonInteractive", "-Source", workplace.source
    ).must_succeed()
    installed = {path.name.rsplit(".", 3)[0] for path in (workplace.folder / "out").iterdir()}
    assert installed == {f"Made.Chain{number}" for number in range(20, 30)}


def test_an_unknown_id_is_said_to_be_unknown(workplace: Workplace) -> None:
    """
    A definite absence is NU1101 immediately, not a failing source.
    """
    project = workplace.project("unknown", ("No.Such.Package.Anywhere", "1.0.0"), audit=False)
    output = workplace.dotnet("restore", cwd=project).must_fail().output
    assert "NU1101" in output
    assert "NU1301" not in output
