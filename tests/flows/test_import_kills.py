"""kill -9 in the middle of an import: afterwards nothing of the bundle is here, or all of it. It can be repeated."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nugetproxy.config import load
from nugetproxy.runtime.imports import importing_into
from tests.mirroring.bundle.bundles import TRUSTED, File
from tests.mirroring.bundle.importer import bundle, document, kept, package, rows, stored

KILLS = int(os.environ.get("NUGETPROXY_IMPORT_KILLS", "4"))
"""How many: some in each run of the tests, 100 before a release."""
COUNT = 30
URL = "https://feed.test/v3/flat/contoso.p%s/index.json"
FILES = [
    file
    for number in range(COUNT)
    for file in (*package(f"Contoso.P{number}", payload=bytes(5000)), document(URL % number, b"new"))
]
BEFORE = [document(URL % number, b"old", confirmed=1.0) for number in range(COUNT)]


class Worker:
    """See `import_worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> int:
        assert self._process.stdout is not None
        return int(await self._process.stdout.readline())

    async def import_until(self, data: Path, file: Path, seconds: float) -> int:
        """Kill the import after so many seconds; returns its exit code, -9 if it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{data} {file}\n".encode())
        child = await self.line()
        ended = asyncio.ensure_future(self.line())
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(ended), seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        return await ended


@asynccontextmanager
async def worker(folder: Path) -> AsyncIterator[Worker]:
    key = folder / "builds.pub"
    key.write_text(TRUSTED[0].to_text())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.flows.import_worker", str(key), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Worker(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.mark.timeout(60 + 20 * KILLS)
async def test_killed_at_any_moment_it_was_not_or_will_be(tmp_path: Path):
    file = tmp_path / "team.bundle"
    file.write_bytes(bundle(*FILES, sequence=2))
    first = tmp_path / "first.bundle"
    first.write_bytes(bundle(*BEFORE, sequence=1))
    everything = _packages(FILES)
    moments, seen = random.Random(11), {"nothing": 0, "sealed": 0, "ended": 0}
    async with worker(tmp_path) as importer:
        data = tmp_path / "data"
        assert await importer.import_until(data, first, 60.0) == 0
        shutil.copytree(data, tmp_path / "fresh")
        began = time.monotonic()
        assert await importer.import_until(data, file, 60.0) == 0
        duration = time.monotonic() - began
        for kill in range(KILLS):
            shutil.rmtree(data)
            shutil.copytree(tmp_path / "fresh", data)

            code = await importer.import_until(data, file, moments.uniform(0, duration * 1.05))

            for path, content in kept(data).items():
                if path.endswith(".nupkg"):
                    assert content == everything[path], f"kill {kill}: {path} is visible and not complete"
            async with importing_into(load(None, {}, {"storage.path": str(data)})) as importing:
                with importing.alone():
                    finished = await importing.finish()  # as the start of a server does
            found = {path for path in kept(data) if path.endswith(".nupkg")}
            if code == 0 or finished:
                seen["ended" if code == 0 else "sealed"] += 1
                assert found == everything.keys(), f"kill {kill}: only {len(found)} packages"
                assert all(stored(data, URL % number) == b"new" for number in (0, COUNT // 2, COUNT - 1))
                assert rows(data, "SELECT count(*) FROM mirrored_files") == [(COUNT,)]
            else:
                # A package without its row is impossible too: the commit had ended, or had not begun.
                seen["nothing"] += not found
                assert found in (set(), everything.keys()), f"kill {kill}: only {len(found)} packages"
            assert await importer.import_until(data, file, 60.0) == 0
            assert {path: content for path, content in kept(data).items() if path.endswith(".nupkg")} == everything
            assert rows(data, "SELECT count(*), sum(size) FROM mirrored_packages") == [
                (COUNT, sum(map(len, everything.values())))
            ]
            assert stored(data, URL % 7) == b"new"
            assert not (data / "imports").exists()
    print(seen)  # shown with -s: how far the kills were spread


def _packages(files: list[File]) -> dict[str, bytes]:
    return {
        f"nuget.org/{entry.path.removeprefix('packages/')}": content
        for entry, content in files
        if entry.path.endswith(".nupkg")
    }
