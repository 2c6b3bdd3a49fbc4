"""Importing a bundle of small packages, against writing and syncing as many files.

Rounds alternate. The import is the command, with its start: reading, verifying and committing all of the bundle.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.processes import ROOT
from tests.mirroring.bundle.bundles import KEY, File
from tests.mirroring.bundle.importer import bundle, document, package

_PAYLOAD: Final = 4000
_SYNCS_AT_ONCE: Final = 16


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
    (folder / "builds.pub").write_text(KEY.public("builds").to_text())
    documents = (document(f"https://feed.test/{number}", b"{}" * 999) for number in range(0, packages, 5))
    return (folder / "team.bundle").write_bytes(bundle(*documents, *_packages(packages)))


def _packages(count: int) -> Iterator[File]:
    for number in range(count):
        name = f"Contoso.P{number:06}"
        payload = hashlib.shake_128(name.encode()).digest(_PAYLOAD)
        yield from package(name, payload=payload, dependencies={"net8.0": [("Contoso.Base", "1.0.0")]})


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
