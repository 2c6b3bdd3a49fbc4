"""No room on the disk: clients are served as usual, failures are counted, and nothing wrong is stored."""

import asyncio
import contextlib
import errno
import os
import subprocess
import time
from pathlib import Path

import pytest
import structlog
from prometheus_client import REGISTRY

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.kept.last_use import LastUse
from nugetproxy.storage import spool
from nugetproxy.storage.documents.disk import DiskDocuments
from tests.fakes.catalog import FakeCatalog
from tests.flows.mirror import running
from tests.flows.private_feed import opened
from tests.flows.test_catalog import FOLLOWING, show

PATH = "/v3/flatcontainer/big/1.0.0/big.1.0.0.nupkg"
LIST = "/v3/flatcontainer/a/index.json"


def failures(store: str) -> float:
    return REGISTRY.get_sample_value("nugetproxy_store_failures_total", {"store": store}) or 0.0


async def test_packages_are_relayed_whole(upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    The disk is full after 100 KB; with room again the next requested package is stored.
    """
    package = upstream.add_package("Big", "1.0.0", padding=500_000)
    write, written, before = spool.write_to_disk, 0, failures("content")

    def full(descriptor: int, block: bytes | memoryview, offset: int) -> int:
        nonlocal written
        written += len(block)
        if written > 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, block, offset)

    monkeypatch.setattr(spool, "write_to_disk", full)
    async with running(tmp_path, upstream) as mirror:
        for _ in range(2):
            assert (await mirror.get(PATH)).body == package.nupkg
        assert failures("content") > before
        assert not list(tmp_path.rglob("*.nupkg"))
        monkeypatch.setattr(spool, "write_to_disk", write)
        for _ in range(2):
            assert (await mirror.get(PATH)).body == package.nupkg
        assert [path.read_bytes() for path in tmp_path.rglob("*.nupkg")] == [package.nupkg]
    assert upstream.requests_for("*.nupkg") == 3


async def test_documents_are_answered(stocked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = failures("documents")

    async def full(self, stored, **_):
        raise StorageUnavailable("no space left on device")

    monkeypatch.setattr(DiskDocuments, "put", full)
    async with running(tmp_path, stocked) as mirror:
        for path in ("/v3/flatcontainer/contoso.utils/index.json", "/v3/registration/contoso.utils/index.json",
                     "/v3/query?q=x", "/v3/vulnerabilities/index.json"):  # fmt: skip
            assert (await mirror.get(path)).status == 200
    assert failures("documents") > before


async def test_the_reserve_is_for_what_is_pushed(upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    With only the reserve left, mirrored packages and documents are relayed while pushes and accounts are stored; this
    is logged once. With room again, everything is stored.
    """
    package = upstream.add_package("Big", "1.0.0", padding=100_000)
    before, real, free = failures("content"), os.statvfs, 0

    def statvfs(path: Path) -> os.statvfs_result:
        found = list(real(path))
        found[4] = free // found[1]
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", statvfs)
    with structlog.testing.capture_logs() as lines:
        async with opened(tmp_path, upstream, storage={"reserve": 50_000_000}) as house:
            free = 50_000_000
            for _ in range(3):
                assert (await house.get(PATH)).body == package.nupkg
                assert (await house.get("/v3/flatcontainer/big/index.json")).status == 200
            assert (await house.push()).status == 201
            assert not list((tmp_path / "mirror").rglob("*.nupkg"))
            free = 60_000_000
            assert (await house.get(PATH)).body == package.nupkg
    assert [path.read_bytes() for path in (tmp_path / "mirror").rglob("*.nupkg")] == [package.nupkg]
    assert (upstream.requests_for("*.nupkg"), failures("content")) == (4, before + 3)
    told = [line["event"] for line in lines if line["log_level"] == "error"]
    assert sorted(told) == ["content_relayed", "document_not_kept"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
async def test_a_small_disk_that_a_mirror_filled_takes_pushes(upstream, tmp_path: Path):
    """
    The automatic reserve of a real file system: packages that no longer fit are relayed completely.
    """
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(tmp_path)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode()}")
    packages = [upstream.add_package("Big", f"{number}.0.0", padding=1_500_000) for number in range(1, 25)]
    try:
        async with opened(tmp_path, upstream) as house:
            for number, package in enumerate(packages, 1):
                path = f"/v3/flatcontainer/big/{number}.0.0/big.{number}.0.0.nupkg"
                assert (await house.get(path)).body == package.nupkg
            assert 5 < len(list((tmp_path / "mirror").rglob("*.nupkg"))) < len(packages)
            for number in range(5):
                assert (await house.push("Contoso.A", f"{number}.0.0", payload=os.urandom(100_000))).status == 201
            await house.user("dave")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
async def test_a_budget_keeps_a_small_disk_usable(upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    Packages that take more than the disk has, one after another: the disk never gets to its reserve, and the last is
    stored too.
    """
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(tmp_path)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode()}")
    monkeypatch.setattr(LastUse, "is_recent", lambda *_: False)
    packages = [upstream.add_package("Big", f"{number}.0.0", padding=1_500_000) for number in range(1, 25)]
    before = failures("content")
    try:
        async with running(tmp_path, upstream, mirroring={"budget": "50%"}) as mirror:
            assert mirror.services.care is not None
            for number, package in enumerate(packages, 1):
                path = f"/v3/flatcontainer/big/{number}.0.0/big.{number}.0.0.nupkg"
                for _ in range(2):  # the second waits until it is stored
                    assert (await mirror.get(path)).body == package.nupkg
                await mirror.services.care.upkeep.look()
            sizes = [each.stat().st_size for each in (tmp_path / "mirror").rglob("*.nupkg")]
            assert 5 < len(sizes) < 12
            assert (tmp_path / "mirror/up/big/24.0.0/big.24.0.0.nupkg").exists()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert failures("content") == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
async def test_verification_and_the_catalog_on_a_full_disk(upstream, tmp_path: Path):
    """
    Damage is found and an upstream changes while not one byte can be written: nothing wrong is served, and with room
    again everything is made up for.
    """
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(tmp_path)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode()}")
    made = [upstream.add_package(name, "1.0.0", padding=100_000) for name in ("A", "B")]
    catalog = FakeCatalog(upstream.base)
    catalog.add(time.time() - 30, "Somebody.Else")
    show(catalog, upstream)
    try:
        async with running(tmp_path, upstream, mirroring=FOLLOWING) as mirror:
            assert mirror.services.care is not None
            verify = mirror.services.care.verification.verify

            async def right() -> bool:
                paths = [f"/v3/flatcontainer/{each.lid}/1.0.0/{each.lid}.1.0.0.nupkg" for each in made]
                return [(await mirror.get(path)).body for path in paths] == [each.nupkg for each in made]

            assert await right()
            assert await right()  # now they are stored
            assert (await mirror.json(LIST))["versions"] == ["1.0.0"]
            filler = tmp_path / "filler"
            fill(filler)
            stored = tmp_path / "mirror/up/a/1.0.0/a.1.0.0.nupkg"
            stored.write_bytes(stored.read_bytes()[:-1] + b"x")
            upstream.add_package("A", "2.0.0")
            catalog.add(time.time(), "A", "2.0.0")
            show(catalog, upstream)
            with contextlib.suppress(StorageUnavailable):
                await verify(time.time() + 1)
            await asyncio.sleep(1.5)  # a poll of the catalog
            assert await right()

            filler.unlink()
            await verify(time.time() + 1)
            assert await right()
            assert await right()
            assert (await verify(time.time() + 1)).is_clean
            async with asyncio.timeout(10):
                while (await mirror.json(LIST))["versions"] != ["1.0.0", "2.0.0"]:
                    await asyncio.sleep(0.1)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def fill(path: Path) -> None:
    """To the last byte of the file system."""
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)):
            pass
