"""Downloads that do not wait before they continue."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nugetproxy.httpcache.decisions import Mode
from nugetproxy.mirroring.downloads import fetching
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.storage.leases import Leases


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_SECONDS_AFTER_A_BREAK", 0.001)
    monkeypatch.setattr(fetching, "_FAILURE_IS_SHOWN", 0.001)


@pytest.fixture
async def downloads(tmp_path: Path, impatient: None) -> AsyncIterator[MirroredDownloads]:
    made = MirroredDownloads(tmp_path, Leases(tmp_path / "leases"), 2_000_000, Mode.ONLINE)
    yield made
    await made.close(5)
