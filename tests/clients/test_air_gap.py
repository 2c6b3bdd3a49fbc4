"""Across the air gap with the real SDK: two data directories, and nothing between them but a bundle."""

import json
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.certificates import PrivateCA
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace
from tests.serving import Server
from tests.shared import shared
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600), not_in_fleet("carries the data directory of one machine")]

GRAPHS = ("web", "legacy")
PACKS = "Microsoft.NETCore.App.Ref 3.1.0\nMicrosoft.AspNetCore.App.Ref 3.1.10\n"
"""Of netcoreapp3.1: the SDK fetches them, and no lock file names them."""
TOOL = "dotnet-ef"
SDK = ("Microsoft.Build.NoTargets", "3.7.0")
CONFIG = """
[[mirroring.upstream]]
name = "nuget.org"
service_index = "{upstream}"
ca_file = "{ca}"
"""


def nugetproxy(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "nugetproxy", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def bundled(folder: Path, *sources: Path, upstream: StandIn, ca: PrivateCA | None = None) -> Path:
    """Prewarm from these sources on the connected side, and export all of it; the key is `key.pub` beside it."""
    connected = folder / "connected"
    if ca is None:
        options: list[str | Path] = ["--upstream", upstream.url]
    else:
        (folder / "connected.toml").write_text(CONFIG.format(upstream=upstream.url, ca=ca.file))
        options = ["--config", folder / "connected.toml"]
    nugetproxy("prewarm", "--data", connected, *options, *sources)
    if not (folder / "key").exists():
        nugetproxy("bundle-key", "new", folder / "key")
    nugetproxy("export", "--data", connected, "--key", folder / "key", "--to", folder / "team.bundle")
    return folder / "team.bundle"


def imported(folder: Path, bundle: Path) -> Path:
    """The data directory of the isolated side."""
    isolated = folder / "isolated"
    nugetproxy("import", "--data", isolated, "--trust", folder / "key.pub", bundle)
    return isolated


@pytest.fixture(scope="module")
def across(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PrivateCA]:
    """The isolated data directory, filled from the folders of both graphs over https; the upstream is gone."""
    folder = tmp_path_factory.mktemp("air-gap")
    ca = PrivateCA(folder / "ca")
    graphs = [shared() / "nuget-org" / "graphs" / graph for graph in GRAPHS]
    packs = folder / "packs.txt"
    packs.write_text(PACKS)
    with StandIn("--no-made", tls=ca.issue("upstream")) as nuget_org:
        bundle = bundled(folder, *graphs, packs, upstream=nuget_org, ca=ca)
    return imported(folder, bundle), ca


def test_a_graph_restores_in_locked_mode_and_its_audit_warns(across: tuple[Path, PrivateCA], tmp_path: Path):
    """
    The advisories come with the bundle.
    """
    with Server(across[0], "--offline") as server:
        workplace = Workplace(tmp_path / "work", server.url)
        restored = workplace.dotnet("restore", "--locked-mode", cwd=workplace.graph("legacy")).must_succeed()

        assert "GHSA-5crp-9r3c-p9vr" in restored.output


def test_signatures_are_verified_over_https(across: tuple[Path, PrivateCA], tmp_path: Path):
    """
    The isolated server advertises the signatures that the upstream published, and the client asks for them.
    """
    data, ca = across
    with Server(data, "--offline", tls=ca.issue("isolated")) as server:
        trust = ssl.create_default_context(cafile=str(ca.file))
        with urllib.request.urlopen(server.url, context=trust, timeout=30) as answer:
            types = {resource["@type"] for resource in json.load(answer)["resources"]}
        assert "RepositorySignatures/5.0.0" in types

        workplace = Workplace(tmp_path / "work", server.url, insecure=False, ca=ca.file)
        workplace.dotnet("restore", "--locked-mode", cwd=workplace.graph("web")).must_succeed()
        assert "repository_signatures_5.0.0.dat" in {path.name for path in (workplace.home / "http").rglob("*.dat")}


def test_tools_and_msbuild_sdks(tmp_path: Path, nuget_org: StandIn):
    """
    Both are fetched outside of restore: tools by their manifest, SDKs while a project is evaluated.
    """
    repository = tmp_path / "repository"
    (repository / ".config").mkdir(parents=True)
    newest = max(each.stem for each in (shared() / "nuget-org" / "packages").rglob(f"{TOOL}.*.nupkg"))
    version = newest.removeprefix(f"{TOOL}.")
    tools = {"version": 1, "isRoot": True, "tools": {TOOL: {"version": version, "commands": [TOOL]}}}
    (repository / ".config" / "dotnet-tools.json").write_text(json.dumps(tools))
    (repository / "app.csproj").write_text(
        f'<Project Sdk="{SDK[0]}/{SDK[1]}"><PropertyGroup><TargetFramework>netstandard2.0</TargetFramework>'
        "</PropertyGroup></Project>\n"
    )
    data = imported(tmp_path, bundled(tmp_path, repository, upstream=nuget_org))
    nuget_org.die()

    with Server(data, "--offline") as server:
        workplace = Workplace(repository, server.url)
        workplace.dotnet("tool", "restore", cwd=repository).must_succeed()
        workplace.dotnet("restore", cwd=repository).must_succeed()
