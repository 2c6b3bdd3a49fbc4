"""Dependency confusion: no client and no command of ours shows or fetches what the upstream offers under our ids.

Each test ends with a check of the complete upstream log: no request named one of our ids.
"""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import make_nupkg
from tests.clients.kit import Run, Workplace
from tests.clients.lures import THEIRS, hosting_ours, luring, ours_in
from tests.private import package
from tests.serving import Server
from tests.shared import shared
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

TOOL = (
    '<?xml version="1.0" encoding="utf-8"?><DotNetCliTool Version="1"><Commands>'
    '<Command Name="contoso-tool" EntryPoint="contoso-tool.dll" Runner="dotnet" /></Commands></DotNetCliTool>'
)
OURS_ALONE = ["Contoso.Aged 1.1.0", "Contoso.Logging 1.0.0", "Contoso.Secret 1.0.0", "Contoso.Tool 1.0.0"]


@pytest.fixture(scope="module")
def upstream() -> Iterator[StandIn]:
    with luring() as standin:
        yield standin


@pytest.fixture(scope="module")
def hosting(tmp_path_factory: pytest.TempPathFactory, upstream: StandIn) -> Iterator[Server]:
    more = (package("Contoso.Aged"), package("Contoso.Aged", "1.1.0"), tool())
    with hosting_ours(tmp_path_factory.mktemp("private"), upstream, *more) as running:
        yield running


@pytest.fixture
def server(hosting: Server, upstream: StandIn) -> Iterator[Server]:
    yield hosting
    assert ours_in(upstream.log()) == []


def tool() -> bytes:
    """Enough of a .NET tool to be installed: any assembly is enough, because it is not run."""
    (file,) = (shared() / "nuget-org" / "packages" / "newtonsoft.json" / "13.0.3").glob("*.nupkg")
    with zipfile.ZipFile(file) as archive:
        assembly = archive.read("lib/netstandard2.0/Newtonsoft.Json.dll")
    folder = "tools/net8.0/any"
    files = {f"{folder}/DotnetToolSettings.xml": TOOL.encode(), f"{folder}/contoso-tool.dll": assembly}
    more = '<packageTypes><packageType name="DotnetTool" /></packageTypes>'
    return make_nupkg("Contoso.Tool", "1.0.0", files=files, more=more)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def ours_alone(run: Run) -> list[str]:
    """The ids and versions under our prefix that a list shows, in order."""
    assert not THEIRS.search(run.must_succeed().output.encode()), run.output
    return sorted(re.sub(r"[ |]+", " ", found) for found in re.findall(r"Contoso\.\w+[ |]+[0-9.]+", run.output))


class TestSdk10:
    def test_a_floating_version_is_ours(self, workplace: Workplace) -> None:
        project = workplace.project("app", ("Contoso.Secret", "*"), ("Contoso.Logging", "*-*"), ("Dapper", "2.0.78"))
        workplace.dotnet("restore", cwd=project).must_succeed()
        assert names(workplace.packages / "contoso.secret") == ["1.0.0"]
        assert names(workplace.packages / "contoso.logging") == ["1.0.0"]

        outdated = workplace.dotnet("list", "package", "--outdated", cwd=project).must_succeed().output
        assert not THEIRS.search(outdated.encode())

    def test_a_version_of_theirs_is_not_found(self, workplace: Workplace) -> None:
        """
        Not even if a planted public package depends on theirs.
        """
        project = workplace.project("trapped", ("Public.Trap", "1.0.0"), audit=False)
        output = workplace.dotnet("restore", cwd=project).must_fail().output

        assert "NU1102: Unable to find package Contoso.Secret with version (= 99.0.0)" in output
        assert "Found 1 version(s) in here [ Nearest version: 1.0.0 ]" in output
        assert not (workplace.packages / "contoso.secret").exists()

    def test_add(self, workplace: Workplace) -> None:
        project = workplace.project("adding", audit=False)
        workplace.dotnet("add", str(project), "package", "Contoso.Logging").must_succeed()
        assert '"Contoso.Logging" Version="1.0.0"' in (project / "adding.csproj").read_text()

        theirs = ("Contoso.Secret", "--version", "99.0.0")
        workplace.dotnet("package", "add", *theirs, "--project", str(project)).must_fail()
        assert not (workplace.packages / "contoso.secret").exists()

    def test_update(self, workplace: Workplace) -> None:
        project = workplace.project("ageing", ("Contoso.Aged", "1.0.0"))
        workplace.dotnet("package", "update", "--project", str(project)).must_succeed()

        assert '"Contoso.Aged" Version="1.1.0"' in (project / "ageing.csproj").read_text()
        assert names(workplace.packages / "contoso.aged") == ["1.1.0"]

    def test_download(self, workplace: Workplace) -> None:
        workplace.dotnet("package", "download", "Contoso.Secret", "--output", "out").must_succeed()
        assert names(workplace.folder / "out" / "contoso.secret") == ["1.0.0"]

        workplace.dotnet("package", "download", "contoso.SECRET@99.0.0", "--output", "theirs").must_fail()
        assert names(workplace.folder / "theirs") == []

    def test_tool_install(self, workplace: Workplace) -> None:
        workplace.dotnet("tool", "install", "Contoso.Tool", "--tool-path", "tools").must_succeed()
        assert names(workplace.folder / "tools" / ".store" / "contoso.tool") == ["1.0.0"]

        theirs = ("Contoso.Tool", "--version", "99.0.0", "--tool-path", "theirs")
        workplace.dotnet("tool", "install", *theirs).must_fail()
        assert names(workplace.folder / "theirs" / ".store" / "contoso.tool") == []

    def test_search(self, workplace: Workplace) -> None:
        """
        By a word, by a word of both sides, and for every version of one id.
        """
        found = workplace.dotnet("package", "search", "contoso", "--prerelease", "--format", "json").must_succeed()
        hits = json.loads(found.output)["searchResult"][0]["packages"]
        assert sorted(f"{hit['id']} {hit['latestVersion']}" for hit in hits) == OURS_ALONE
        mixed = workplace.dotnet("package", "search", "logging", "--take", "100")
        assert ours_alone(mixed) == ["Contoso.Logging 1.0.0"]
        exact = workplace.dotnet("package", "search", "Contoso.Secret", "--exact-match")
        assert ours_alone(exact) == ["Contoso.Secret 1.0.0"]


class TestSdk31:
    def test_a_floating_version_is_ours(self, workplace: Workplace) -> None:
        project = workplace.project("old", ("Contoso.Secret", "*"), frameworks="netcoreapp3.1")
        workplace.dotnet31("restore", cwd=project).must_succeed()

        assert names(workplace.packages / "contoso.secret") == ["1.0.0"]

    def test_a_version_of_theirs_is_not_found(self, workplace: Workplace) -> None:
        project = workplace.project("old", ("Contoso.Secret", "[99.0.0]"), frameworks="netcoreapp3.1")
        output = workplace.dotnet31("restore", cwd=project).must_fail().output

        assert "NU1102: Unable to find package Contoso.Secret with version (= 99.0.0)" in output
        assert "Found 1 version(s) in here [ Nearest version: 1.0.0 ]" in output
        assert not (workplace.packages / "contoso.secret").exists()


class TestNuget5:
    @pytest.mark.parametrize("protocol", ["v3", "v2"])
    def test_install(self, protocol: str, workplace: Workplace, server: Server) -> None:
        source = ("-Source", server.url if protocol == "v3" else f"{server.base}/api/v2", "-NonInteractive")
        workplace.nuget_exe("install", "Contoso.Secret", "-OutputDirectory", "out", *source).must_succeed()
        assert names(workplace.folder / "out") == ["Contoso.Secret.1.0.0"]

        theirs = ("Contoso.Secret", "-Version", "99.0.0", "-OutputDirectory", "theirs")
        workplace.nuget_exe("install", *theirs, *source).must_fail()
        assert names(workplace.folder / "theirs") == []

    def test_list_and_search(self, workplace: Workplace) -> None:
        source = ("-PreRelease", "-NonInteractive", "-Source", workplace.source)
        assert ours_alone(workplace.nuget_exe("list", "secret", "-AllVersions", *source)) == ["Contoso.Secret 1.0.0"]
        found = workplace.nuget_exe("search", "contoso", *source)
        assert ours_alone(found) == OURS_ALONE, found.output


class TestNuget2:
    def test_list(self, workplace: Workplace, server: Server) -> None:
        listed = workplace.old_nuget("list", "contoso", "-Prerelease", "-Source", f"{server.base}/api/v2")

        assert ours_alone(listed) == OURS_ALONE

    def test_install(self, workplace: Workplace, server: Server) -> None:
        source = ("-Source", f"{server.base}/api/v2")
        workplace.old_nuget("install", "Contoso.Secret", "-OutputDirectory", "out", *source).must_succeed()
        assert names(workplace.folder / "out") == ["Contoso.Secret.1.0.0"]

        theirs = ("Contoso.Secret", "-Version", "99.0.0", "-OutputDirectory", "theirs")
        workplace.old_nuget("install", *theirs, *source).must_fail()
        assert names(workplace.folder / "theirs") == []


def test_prewarm(hosting: Server, server: Server, upstream: StandIn, tmp_path: Path) -> None:
    """
    A list that names them gets an error for each; the rest is fetched, and ours are here already.
    """
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(
        "Contoso.Secret 99.0.0\ncontoso.LOGGING 7.7.7\nContoso.Unhosted 99.0.0\nContoso.Secret 1.0.0\nSerilog 4.3.0\n"
    )
    command = [sys.executable, "-m", "nugetproxy", "prewarm", str(wanted), "--data", str(hosting.data)]
    command += ["--config", str(hosting.data.parent / f"{hosting.data.name}.toml"), "--upstream", upstream.url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    refused = re.findall(r"^Could not be fetched: (\S+(?: \S+)?):", ended.stderr, re.MULTILINE)
    assert refused == ["contoso.LOGGING 7.7.7", "Contoso.Secret 99.0.0", "Contoso.Unhosted"], ended.stderr
    assert not THEIRS.search(server.get("/v3/query?q=contoso&take=1000"))
    assert not list((hosting.data / "mirror").glob("*/contoso*"))
    assert list((hosting.data / "mirror").glob("*/serilog/4.3.0/*.nupkg"))
