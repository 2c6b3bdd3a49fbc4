"""An upstream whose packages have PDBs on its symbol server, or not."""

import uuid

from tests.fakes.gallery import Document
from tests.fakes.upstream import FakeUpstream
from tests.symbol_builders import make_assembly, make_debuggable, make_pdb

SERVER = "/download/symbols"


class Build:
    """One assembly with its PDB, the same for the same name."""

    def __init__(self, name: str, *, body: bytes = b"sources") -> None:
        self.name = name
        self.guid = uuid.uuid5(uuid.NAMESPACE_DNS, name)
        self.pdb = make_pdb(self.guid, body=body)
        self.dll = make_assembly(self.pdb, guid=self.guid, path=f"/_/src/{name}.pdb".encode())

    @property
    def path(self) -> str:
        """Where debuggers find the PDB, below a symbol server."""
        file = f"{self.name.lower()}.pdb"
        return f"/{file}/{self.guid.hex}FFFFFFFF/{file}"


def publish(upstream: FakeUpstream, package_id: str, version: str, *builds: Build) -> bytes:
    """A package with these assemblies; its symbol server has none of their PDBs."""
    files = {f"lib/net8.0/{build.name}.dll": build.dll for build in builds}
    return upstream.add_package(make_debuggable(package_id, version, files=files)).nupkg


def publish_symbols(upstream: FakeUpstream, *builds: Build) -> None:
    for build in builds:
        upstream.gallery.extra[SERVER + build.path] = Document(build.pdb, "application/octet-stream")


def symbols_of(upstream: FakeUpstream) -> dict[str, str]:
    """Settings of an upstream: its symbol server."""
    return {"symbols": upstream.base + SERVER}
