"""Real clients and real packages behind rules about signatures, licences and vulnerabilities."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.deployment import serve
from tests.clients.kit import Run, Workplace
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

SIGNED = """
[[policy.rule]]
name = "signed"
action = "block"
unsigned = true
"""
CONFIG = f"""{SIGNED}
[[policy.rule]]
name = "no-postgresql"
action = "block"
licences = ["PostgreSQL"]
unknown_licence = "ignore"

[[policy.rule]]
name = "severe"
action = "block"
severity = "high"
"""


@pytest.fixture
def ruled(tmp_path: Path, nuget_org: StandIn) -> Iterator[Server]:
    with serve(tmp_path / "data", upstream=nuget_org.url, config=CONFIG) as server:
        yield server


def test_packages_of_nuget_org_are_signed_and_others_refused(tmp_path: Path, nuget_org: StandIn) -> None:
    """
    Packages are verified when they are downloaded for the first time; offline it is the same.
    """
    made = "/v3/flatcontainer/made.semver2/1.1.0/made.semver2.1.1.0.nupkg"
    with serve(tmp_path / "data", upstream=nuget_org.url, config=SIGNED) as server:
        place = Workplace(tmp_path / "work", server.url)
        # One is signed by its author too.
        signed = place.project("signed", ("Serilog", "*"), ("Newtonsoft.Json", "13.*"))
        place.dotnet("restore", cwd=signed).must_succeed()
        with pytest.raises(urllib.error.HTTPError, match=r"403: .* 'signed': it is not signed"):
            urllib.request.urlopen(server.base + made, timeout=30)
    with serve(server.data, "--offline", upstream=nuget_org.url, config=SIGNED, port=server.port):
        place.forget()
        place.dotnet("restore", cwd=signed).must_succeed()
        unsigned = place.project("unsigned", ("Made.SemVer2", "*-*"), audit=False)
        assert "withheld by the policy rule 'signed'" in place.dotnet("restore", cwd=unsigned).must_fail().output


def test_versions_with_known_vulnerabilities_and_licences(tmp_path: Path, ruled: Server) -> None:
    """
    The newest version without a severe vulnerability is chosen; of an id with a refused licence there is none.
    """
    place = Workplace(tmp_path / "work", ruled.url)
    place.dotnet("restore", cwd=place.project("safe", ("System.Text.Json", "[6.0.0, 7.0)"))).must_succeed()
    assert (place.packages / "system.text.json" / "6.0.11").is_dir()
    assert not (place.packages / "system.text.json" / "6.0.0").exists()
    project = place.project("postgres", ("Npgsql", "*"), audit=False)
    output = place.dotnet("restore", cwd=project).must_fail().output
    assert "Npgsql 10.0.3 is withheld by the policy rule 'no-postgresql' (it has the licence PostgreSQL)" in output


@pytest.mark.parametrize("path", ["/v3/index.json", "/api/v2"])
def test_old_clients(tmp_path: Path, ruled: Server, path: str) -> None:
    place = Workplace(tmp_path / "work", f"{ruled.base}{path}")

    def install(package: str, *more: str) -> Run:
        return place.nuget_exe("install", package, *more, "-OutputDirectory", "out", "-DependencyVersion", "Ignore")

    assert "Successfully installed 'Serilog 4.3.0'" in install("Serilog").must_succeed().output
    assert "withheld by the policy rule 'signed': it is not signed" in install("Made.SemVer2").must_fail().output
    assert "Unable to find package 'Npgsql'" in install("Npgsql").must_fail().output
    assert "Newtonsoft.Json" in install("Newtonsoft.Json", "-Version", "12.0.1").must_fail().output
