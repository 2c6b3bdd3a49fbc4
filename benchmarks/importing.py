"""Importing a bundle of small packages, against writing and syncing as many files.

Rounds alternate. The import is the command, with its start: reading, verifying and committing all of the bundle.
"""

import base64
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.processes import ROOT
from nugetproxy.mirroring.bundle.container import ContainerWriter
from nugetproxy.mirroring.bundle.head import HEAD, Head, Holds
from nugetproxy.mirroring.bundle.manifest import (
    MANIFEST,
    DocumentFacts,
    Entry,
    Facts,
    FileFacts,
    Kind,
    PackageFacts,
    path_of,
)
from nugetproxy.mirroring.bundle.signature import SIGNATURE, PrivateKey

_PAYLOAD: Final = 4000
_SYNCS_AT_ONCE: Final = 16
_NUSPEC: Final = """<?xml version="1.0"?><package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
<metadata><id>{id}</id><version>1.0.0</version><authors>Contoso</authors><description>A package of a benchmark.
</description><tags>one two three</tags><dependencies><group targetFramework="net8.0"><dependency id="Contoso.Base"
version="1.0.0" /></group></dependencies></metadata></package>"""


def measure(*, packages: int, rounds: int) -> str:
    """The table of packages a second."""
    rows = ["| round | import | synced files | ratio |", "| --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory(dir=ROOT.parent, prefix="bench-import-") as folder:
        place = Path(folder)
        size = write_bundle(place, packages)
        for number in range(1, rounds + 1):
            ours, synced = _imported(place, packages, number), _synced(place, packages, number)
            rows.append(f"| {number} | {ours:,.0f} /s | {synced:,.0f} /s | {ours / synced:.2f} |")
    return "\n".join((f"{packages:,} packages, a bundle of {size / 1e6:.0f} MB", "", *rows))


def write_bundle(folder: Path, packages: int) -> int:
    """`team.bundle` and `builds.pub`; returns the bytes of the bundle. A document comes with every fifth package."""
    key = PrivateKey.generate()
    (folder / "builds.pub").write_text(key.public("builds").to_text())
    entries = [entry for entry, _ in _files(packages)]
    manifest = b"".join(entry.to_line() for entry in entries)
    counts = {kind.value: sum(entry.kind is kind for entry in entries) for kind in {entry.kind for entry in entries}}
    head = Head(
        bundle="0" * 32, created="2026-01-01T00:00:00Z", tool="benchmark", source="1" * 32, key=key.fingerprint,
        sequence=1, since=None, holds=Holds("everything"),
        upstreams={"nuget.org": "https://api.nuget.org/v3/index.json"}, counts=counts,
        size=sum(entry.size for entry in entries), manifest_size=len(manifest), manifest_sha512=_sha512(manifest),
    )  # fmt: skip
    content = head.to_bytes()
    with (folder / "team.bundle").open("wb") as out:
        writer = ContainerWriter(out.write)
        for path, small in ((HEAD, content), (SIGNATURE, key.sign(content)), (MANIFEST, manifest)):
            writer.add(path, len(small), [small])
        for entry, small in _files(packages):
            writer.add(entry.path, entry.size, [small])
        writer.end()
    return (folder / "team.bundle").stat().st_size


def _files(packages: int) -> Iterator[tuple[Entry, bytes]]:
    """In the order of paths. The same for each call."""
    documents = [
        _entry(
            Kind.DOCUMENT, DocumentFacts(f"https://feed.test/{number}", 200, "", "", "", 1.0, 1.0, False), b"{}" * 999
        )
        for number in range(0, packages, 5)
    ]
    yield from sorted(documents, key=lambda each: each[0].path)
    for number in range(packages):
        package_id = f"Contoso.P{number:06}"
        content = _nupkg(package_id)
        digest, beside = _sha512(content), FileFacts(package_id, "1.0.0")
        yield _entry(Kind.PACKAGE, PackageFacts(package_id, "1.0.0", digest, ("nuget.org",), 1), content)
        yield _entry(Kind.PACKAGE_HASH, beside, digest.encode())
        yield _entry(Kind.NUSPEC, beside, _NUSPEC.format(id=package_id).encode())


def _entry(kind: Kind, facts: Facts, content: bytes) -> tuple[Entry, bytes]:
    return Entry(path_of(kind, facts), len(content), _sha512(content), kind, facts), content


def _nupkg(package_id: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in (
            (f"{package_id}.nuspec", _NUSPEC.format(id=package_id).encode()),
            ("lib/net8.0/a.dll", hashlib.shake_128(package_id.encode()).digest(_PAYLOAD)),
        ):
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def _sha512(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


def _imported(folder: Path, packages: int, number: int) -> float:
    command = [sys.executable, "-m", "nugetproxy", "import", "--data", str(folder / f"data-{number}")]
    began = time.perf_counter()
    subprocess.run(
        [*command, "--trust", "builds.pub", "team.bundle"], check=True, cwd=folder, stdout=subprocess.DEVNULL
    )
    return packages / (time.perf_counter() - began)


def _synced(folder: Path, packages: int, number: int) -> float:
    """A package and its nuspec each, in a folder of their own, all synced: what an import leaves on the disk."""
    block = os.urandom(_PAYLOAD)

    def write(at: int) -> None:
        version = folder / f"files-{number}" / str(at) / "1.0.0"
        version.mkdir(parents=True)
        for path in (version / "a.nupkg", version / "a.nuspec"):
            with path.open("wb") as out:
                out.write(block)
                out.flush()
                os.fsync(out.fileno())

    began = time.perf_counter()
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        for _ in pool.map(write, range(packages)):
            pass
    return packages / (time.perf_counter() - began)
