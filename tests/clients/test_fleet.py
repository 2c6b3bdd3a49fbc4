"""The .NET SDK against three nodes behind a balancer: restores, pushes, and a node that is killed."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from nugetproxy.cli.main import main
from nugetproxy.storage.blobs.s3_client import BucketAddress
from tests.balancer import Balancer
from tests.clients.kit import Workplace
from tests.clients.test_restore import nupkgs
from tests.engines.postgres import PostgresServer
from tests.private import PROTECTING, package
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

PROJECT = (
    '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup>'
    '<ItemGroup><PackageReference Include="Contoso.Private" Version="[1.0.0]" />'
    '<PackageReference Include="Serilog" Version="4.3.0" /></ItemGroup></Project>'
)


@pytest.fixture
def settings(postgres: PostgresServer, shared_database: str, bucket: BucketAddress, tmp_path: Path) -> str:
    dsn = tmp_path / "dsn"
    dsn.write_text(postgres.dsn(shared_database) + "\n")
    return PROTECTING + (
        f'[storage]\nkind = "shared"\n[storage.shared]\ndsn_file = "{dsn}"\nbucket = "{bucket.bucket}"\n'
        f'endpoint = "{bucket.endpoint}"\nregion = "{bucket.region}"\nprefix = "{bucket.prefix}"\n'
        f'access_key_file = "{bucket.access_key_file}"\nsecret_key_file = "{bucket.secret_key_file}"\n'
    )


@pytest.fixture
def nodes(tmp_path: Path, nuget_org: StandIn, settings: str) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(Server(tmp_path / f"node{number}", upstream=nuget_org.url, config=settings))
            for number in range(3)
        ]


@pytest.fixture
def key(nodes: list[Server]) -> str:
    """Alice's, made with the settings of one node."""
    settings = str(nodes[0].data.parent / f"{nodes[0].data.name}.toml")
    shared = ["--config", settings, "--data", str(nodes[0].data)]
    assert CliRunner().invoke(main, ["user", "add", "alice", *shared]).exit_code == 0
    made = CliRunner().invoke(main, ["key", "add", "ci", "--owner", "alice", "--json", *shared])
    assert made.exit_code == 0, made.output
    return str(json.loads(made.stdout)["key"])


def test_restores_and_pushes_through_all_nodes(
    tmp_path: Path, nodes: list[Server], nuget_org: StandIn, key: str
) -> None:
    """
    The upstream sees each package once. A killed node takes nothing with it.
    """
    with Balancer([node.port for node in nodes]) as balancer:
        workplace = Workplace(tmp_path / "work", balancer.url)
        for _ in range(2):
            workplace.forget()
            workplace.dotnet("restore", "--locked-mode", cwd=workplace.graph("web")).must_succeed()
        asked = {path.rsplit("/", 1)[1]: count for path, count in nupkgs(nuget_org.requests()).items()}
        # Foresight also asks for lowest versions that the stand-in lacks: that a package is absent is not shared.
        restored = {file.name for file in workplace.packages.rglob("*.nupkg")}
        assert len(restored) > 60
        assert {asked[name] for name in restored} == {1}
        assert all(balancer.connections.values())

        file = tmp_path / "Contoso.Private.1.0.0.nupkg"
        file.write_bytes(package("Contoso.Private"))
        workplace.dotnet("nuget", "push", str(file), "-s", "here", "-k", key).must_succeed()
        nodes[0].kill()
        project = workplace.folder / "app"
        project.mkdir()
        (project / "app.csproj").write_text(PROJECT)
        workplace.forget()
        workplace.dotnet("restore", cwd=project).must_succeed()
        again = workplace.dotnet("nuget", "push", str(file), "-s", "here", "-k", key).must_fail().output
        assert "409" in again
