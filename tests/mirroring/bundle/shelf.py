"""A data directory with mirrored packages and documents, made without an upstream, and what an export of it holds."""

import io
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from nugetproxy.config import Config
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.mirroring.bundle.base import Base
from nugetproxy.mirroring.bundle.reading import open_bundle
from nugetproxy.mirroring.bundle.target import Pipe
from nugetproxy.mirroring.downloads.keys import package_key
from nugetproxy.mirroring.kept.guard import sha512_of
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, open_ledger
from nugetproxy.mirroring.kept.pins import Pin, Pins
from nugetproxy.mirroring.kept.symbols import KeptSymbols
from nugetproxy.mirroring.symbols.reading import SymbolsReading
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.signature import content_hash
from nugetproxy.runtime.exporting import EVERYTHING, Choice, Export, Exported
from nugetproxy.runtime.verdicts import verdicts_of
from nugetproxy.storage.blobs.filesystem import FilesystemBlobs
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.leases import Leases
from tests.builders import make_nupkg, make_nuspec
from tests.flows.symbols import Build
from tests.mirroring.bundle.bundles import KEY, TRUSTED, File

INDEX = "https://up.test/v3/index.json"
CREATED = "2026-11-29T18:00:00Z"


class Shelf:
    """The directory; its upstream is called "up"."""

    def __init__(self, data: Path) -> None:
        self.data = data
        data.mkdir(exist_ok=True)
        self.blobs = FilesystemBlobs(data / "mirror")
        self._noted: list[dict[str, object]] = []
        self.note_upstream("up")

    def config(self, **more: object) -> Config:
        upstream = {"name": "up", "service_index": INDEX}
        return Config.model_validate(
            {"storage": {"path": str(self.data)}, "mirroring": {"upstream": [upstream]}, **more}
        )

    def note_upstream(self, name: str) -> None:
        """Another upstream has filled the directory before."""
        self._noted.append({"name": name, "service_index": f"https://{name}.test/v3/index.json", "patterns": ["*"]})
        (self.data / "upstreams.json").write_bytes(orjson.dumps(self._noted))

    def path(self, package_id: str, version: str = "1.0.0", upstream: str = "up") -> Path:
        return self.blobs.path(package_key(upstream, package_id.lower(), version))

    async def put(
        self, package_id: str, version: str = "1.0.0", *, upstream: str = "up", row: bool = True, content: bytes = b"",
        payload: bytes = b"",
        **changes: object,
    ) -> None:  # fmt: skip
        """A kept package with its nuspec and, unless it was copied here by hand, its row."""
        path = self.path(package_id, version, upstream)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content or make_nupkg(package_id, version, payload=payload))
        if not row:
            return
        with path.open("rb") as file:
            digest = content_hash(file)
        status = path.stat()
        facts: dict[str, Any] = {"modified": status.st_mtime_ns, "sha512": sha512_of(path)} | changes
        manifest = read_nuspec(make_nuspec(package_id, version))
        with closing(open_ledger(self.data / "inventory.db")) as database:
            Inventory(database).add(KeptPackage(upstream, manifest, status.st_size, digest, 1, **facts))
            await database.write(lambda _: None)

    async def keep_pdb(self, package_id: str, build: Build, version: str = "1.0.0", *, upstream: str = "up") -> Path:
        """The PDB of an assembly of a kept package."""
        key = upstream, package_id.lower(), version
        with closing(open_ledger(self.data / "inventory.db")) as database:
            rows = KeptSymbols(database)
            for pdb in await SymbolsReading(rows, self.blobs, Leases(self.data / "locks")).of(key):
                if pdb.lower_key.startswith(build.guid.hex):
                    path = self.blobs.path(pdb.blob)
                    path.write_bytes(build.pdb)
                    status = path.stat()
                    kept = replace(pdb, size=status.st_size, modified=status.st_mtime_ns, sha512=sha512_of(path))
                    await rows.keep(kept)
                    return path
        raise AssertionError("no assembly names it")

    async def pin(self, package_id: str, version: str, name: str) -> None:
        with closing(open_ledger(self.data / "inventory.db")) as database:
            await Pins(database).add(Pin(package_id, version, name, "", 1))

    async def document(self, url: str, body: bytes, *, status: int = 200, useful_for: float | None = None) -> None:
        with closing(DiskDocuments(self.data / "documents", 100_000_000)) as store:
            stored = StoredResponse(url, status, body, '"tag"', "", "application/json", 10.0, 20.0)
            await store.put(stored, useful_for=useful_for)

    async def export(
        self, choice: Choice = EVERYTHING, base: Path | None = None, **more: object
    ) -> tuple[Exported, bytes]:
        out = io.BytesIO()
        config = self.config(**more)
        async with Export(config) as export:
            verdicts = await verdicts_of(config, export.packages(choice))
            with nullcontext() if base is None else Base(base) as opened:
                exported = await export.write(choice, KEY, Pipe(out), opened, verdicts=verdicts, created=CREATED)
        return exported, out.getvalue()


def files_of(bundle: bytes) -> list[File]:
    """The files of a bundle, after all checks."""
    with open_bundle(io.BytesIO(bundle).read, "x", TRUSTED) as reader:
        return [(file.entry, file.read()) for file in reader.files()]


def paths_of(bundle: bytes) -> list[str]:
    return [entry.path for entry, _ in files_of(bundle)]
