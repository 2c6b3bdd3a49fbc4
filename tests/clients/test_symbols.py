"""Symbols from the real compiler: packed, pushed over HTTP, found by the key in the assembly."""

import io
import urllib.error
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from nugetproxy.nuget.debug_directory import DebugDirectory, read_debug_directory
from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.private import PROTECTING, Accounts, Reply, send
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

SOURCE = "namespace Contoso.Debugged { public class C { public int M(int x) { return x + 1; } } }\n"
PROJECT = (
    '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>'
    "<TargetFramework>net10.0</TargetFramework><Version>1.2.3</Version><Authors>Contoso</Authors>"
    "<PackageLicenseExpression>MIT</PackageLicenseExpression>"
    "<IncludeSymbols>true</IncludeSymbols><SymbolPackageFormat>snupkg</SymbolPackageFormat>"
    "</PropertyGroup></Project>\n"
)
STEM = "lib/net10.0/Contoso.Debugged"


class Packed(NamedTuple):
    """The packages created by `dotnet pack`."""

    nupkg: bytes
    snupkg: bytes

    @property
    def pdb(self) -> bytes:
        return member(self.snupkg, f"{STEM}.pdb")

    @property
    def debug_directory(self) -> DebugDirectory:
        return read_debug_directory(member(self.nupkg, f"{STEM}.dll"))

    @property
    def path(self) -> str:
        """The URL that a debugger uses."""
        return f"/symbols/contoso.debugged.pdb/{self.debug_directory.ids[0].key}/contoso.debugged.pdb"


def member(package: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return archive.read(name)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """Needs no server: the project has no references."""
    workplace = Workplace(tmp_path_factory.mktemp("packing") / "work", "http://127.0.0.1:9/v3/index.json")
    project = workplace.folder / "Contoso.Debugged"
    project.mkdir()
    (project / "Contoso.Debugged.csproj").write_text(PROJECT)
    (project / "C.cs").write_text(SOURCE)
    workplace.dotnet("pack", "-o", str(workplace.folder), cwd=project).must_succeed()
    made: list[Path] = [workplace.folder / f"Contoso.Debugged.1.2.3.{ending}" for ending in ("nupkg", "snupkg")]
    return Packed(*(path.read_bytes() for path in made))


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Server]:
    with StandIn() as nuget_org, serve(tmp_path / "data", upstream=nuget_org.url, config=PROTECTING) as running:
        yield running


@pytest.fixture
def key(private: Server) -> str:
    accounts = Accounts(private.data)
    accounts.add_user("alice")
    return accounts.add_key("ci", "alice")


def put_symbols(server: Server, key: str, content: bytes) -> Reply:
    return send(server, "PUT", "/api/v2/symbolpackage/", key=key, body=content)


def test_a_debugger_finds_the_compilers_pdb(packed: Packed, private: Server, key: str) -> None:
    """
    Only by the assembly's debug directory; the bytes are the compiler's. The one warning is for the readme that the
    project does not have.
    """
    reply = send(private, "PUT", "/api/v2/package/", key=key, body=packed.nupkg)
    assert reply.status == 201
    assert reply.headers["x-nuget-warning"].startswith("The package does not contain a readme.")
    assert put_symbols(private, key, packed.snupkg).status == 201

    known = packed.debug_directory.checksums[0]
    checksum = f"{known.algorithm}:{known.digest.hex()}"
    assert packed.pdb == private.get(packed.path, {"SymbolChecksum": checksum})
    assert packed.pdb == private.get(packed.path)
    assert packed.snupkg == private.get("/api/v2/symbolpackage/Contoso.Debugged/1.2.3")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        private.get(packed.path, {"SymbolChecksum": "SHA256:" + "0" * 64})


def test_symbols_of_another_build_are_refused(packed: Packed, private: Server, key: str) -> None:
    """
    One byte of the PDB differs: a debugger would reject it, so it is not stored.
    """
    early = put_symbols(private, key, packed.snupkg)
    assert early.status == 403
    assert early.reason.endswith("alice owns no such package; push a package before its symbols")
    assert send(private, "PUT", "/api/v2/package/", key=key, body=packed.nupkg).status == 201

    damaged = bytearray(packed.pdb)
    damaged[-1] ^= 1
    with zipfile.ZipFile(io.BytesIO(packed.snupkg)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, bytes(damaged) if name.endswith(".pdb") else content)
    reply = put_symbols(private, key, buffer.getvalue())

    assert reply.status == 400
    assert "was changed after" in reply.reason
