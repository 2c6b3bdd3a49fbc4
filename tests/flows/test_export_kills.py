"""kill -9 at any moment of an export leaves no bundle, or a complete one; and the next export is right."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nugetproxy.mirroring.bundle.reading import open_bundle
from nugetproxy.mirroring.bundle.volumes import VolumeStream
from tests.mirroring.bundle.bundles import key_of
from tests.mirroring.bundle.shelf import Shelf

# More with NUGETPROXY_KILLS=100.
KILLS = int(os.environ.get("NUGETPROXY_KILLS", "8"))
PACKAGES = 12
SIZE = 200_000


class Worker:
    """A process that exports when it is told to, and can be killed meanwhile."""

    def __init__(self, data: Path, to: Path, volume_size: int) -> None:
        command = [sys.executable, "-m", "tests.flows.export_worker", str(data), str(to), str(volume_size)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def export(self, seconds: float | None = None) -> int:
        """Export, and kill it after so many seconds; returns the status, 0 for a complete export."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n" if seconds is None else f"{seconds}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate("", timeout=30)


@pytest.fixture
async def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path / "data")
    for number in range(PACKAGES):
        await made.put(f"Package{number}", payload=random.Random(number).randbytes(SIZE))
    return made


@pytest.fixture(params=[0, 1_000_000], ids=["one file", "volumes"])
def volume_size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def worker(shelf: Shelf, tmp_path: Path, volume_size: int) -> Iterator[Worker]:
    made = Worker(shelf.data, tmp_path / "to" / "team.bundle", volume_size)
    (tmp_path / "to").mkdir()
    yield made
    made.close()


def packages_in(bundle: Path) -> int:
    """After reading all of it. Raises InvalidBundle."""
    with (
        VolumeStream(bundle) as stream,
        open_bundle(stream.read, str(bundle), [key_of("kills").public("kills")]) as reader,
    ):
        return sum(len(file.read()) > SIZE for file in reader.files())


def test_no_moment_leaves_half_a_bundle(worker: Worker, tmp_path: Path, volume_size: int) -> None:
    bundle = tmp_path / "to" / "team.bundle"
    first = bundle if not volume_size else bundle.with_name("team.bundle.001")
    assert 0 == worker.export()  # its process has loaded everything now
    began = time.monotonic()
    assert 0 == worker.export()
    duration = time.monotonic() - began
    moments, count, killed = random.Random(7), KILLS // 2, 0
    for number in range(count):
        for each in bundle.parent.iterdir():
            if not each.name.endswith(".partial"):
                each.unlink()
        status = worker.export((number + moments.random()) / count * duration)
        killed += status != 0
        if first.exists():
            assert PACKAGES == packages_in(bundle)
        else:
            assert status != 0
    assert 0 == worker.export()
    assert PACKAGES == packages_in(bundle)
    assert not list(bundle.parent.glob("*.partial"))
    assert killed
