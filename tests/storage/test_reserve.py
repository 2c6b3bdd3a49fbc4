"""The space that mirrored content leaves free on the disk."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.refusals import QUIET, Refusals
from nugetproxy.storage.reserve import AUTOMATIC, NO_RESERVE, Reserve
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder

Free = Callable[..., None]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    """Call it with the free and the total bytes of the file system."""
    real = os.statvfs

    def is_free(now: int, total: int = 10**12) -> None:
        def statvfs(path: Path) -> os.statvfs_result:
            found = list(real(path))
            found[0:5] = [512, 512, total // 512, now // 512, now // 512]
            return os.statvfs_result(found)

        monkeypatch.setattr(os, "statvfs", statvfs)

    return is_free


@pytest.mark.parametrize(
    ("total", "reserve"), [(10**12, AUTOMATIC), (20 * AUTOMATIC, AUTOMATIC), (2 * 10**9, 10**8), (512 * 100, 512 * 5)]
)
def test_the_automatic_reserve_is_small_on_a_small_disk(tmp_path: Path, free: Free, total: int, reserve: int):
    free(0, total)
    assert Reserve(tmp_path, None).size == reserve


def test_what_fits_above_the_reserve_is_kept(tmp_path: Path, free: Free):
    reserve = Reserve(tmp_path, 5120)
    free(10240)
    reserve.check(5120)
    with pytest.raises(StorageUnavailable, match=r"only the reserve of 5120 bytes \(storage\.reserve\) is left"):
        reserve.check(5121)
    free(5120)
    reserve.check(0)


def test_no_reserve_refuses_nothing(tmp_path: Path, free: Free):
    free(0)
    Reserve(tmp_path, 0).check(10**9)
    NO_RESERVE.check(10**9)


def test_nothing_is_refused_where_free_space_is_unknown(tmp_path: Path):
    Reserve(tmp_path / "none", 10**18).check(1)
    Reserve(tmp_path / "none", None).check(1)


def test_a_spool_of_mirrored_content_leaves_the_reserve(tmp_path: Path, free: Free):
    """
    The announced size is checked first, arriving bytes block by block; a refused block is not part of the spool.
    """
    folder = SpoolFolder(tmp_path, MemoryBudget(0), Reserve(tmp_path, 5120))
    free(10240)
    with pytest.raises(StorageUnavailable, match="reserve"):
        folder.create("x", 6000)
    spool = folder.create("x", 5000)
    spool.append(b"a" * 1000)
    free(5500)
    with pytest.raises(StorageUnavailable, match="reserve"):
        spool.append(b"b" * 1000)
    assert spool.read(0, 10_000) == b"a" * 1000
    SpoolFolder(tmp_path, MemoryBudget(0)).create("push", 6000).append(b"c" * 6000)


class TestRefusals:
    def test_the_first_is_logged_and_the_end_with_the_count(self):
        now = 0.0
        refusals = Refusals("kept_again", clock=lambda: now)
        with structlog.testing.capture_logs() as lines:
            refusals.kept()
            for _ in range(82):
                refusals.refused("relayed", "full", package="A 1.0.0")
            now += QUIET - 1
            refusals.kept()
            now += 1
            refusals.kept()
            refusals.kept()
            refusals.refused("relayed", "full again", package="B 1.0.0")
        assert lines == [
            {"event": "relayed", "log_level": "error", "why": "full", "package": "A 1.0.0"},
            {"event": "kept_again", "log_level": "info", "refused": 82},
            {"event": "relayed", "log_level": "error", "why": "full again", "package": "B 1.0.0"},
        ]
