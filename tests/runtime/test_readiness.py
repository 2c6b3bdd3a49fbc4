"""A probe gets the truth about the data directory without waiting for it."""

import asyncio
import threading
from pathlib import Path

import pytest

from nugetproxy.runtime import readiness
from nugetproxy.runtime.readiness import Readiness


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "EVERY", 0.01)


async def becomes(checked: Readiness, verdict: tuple[bool, str]) -> bool:
    async with asyncio.timeout(10):
        while await checked.ready() != verdict:
            await asyncio.sleep(0.005)
    return True


async def test_a_directory_that_goes_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir()
    checked = Readiness(path, "mirror")
    running = asyncio.create_task(checked.run())
    assert await checked.ready() == (True, "ready")
    path.rename(tmp_path / "elsewhere")
    assert await becomes(checked, (False, f"the data directory {path} cannot be read"))
    (tmp_path / "elsewhere").rename(path)
    assert await becomes(checked, (True, "ready"))
    running.cancel()


async def test_one_that_hangs_is_reported_without_waiting_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LONGEST_CHECK", 0.2)
    checked, go_on = Readiness(tmp_path, "mirror"), threading.Event()

    def hang() -> tuple[bool, str]:
        go_on.wait(10)
        return True, "ready"

    monkeypatch.setattr(checked, "_check", hang)
    running = asyncio.create_task(checked.run())
    await asyncio.sleep(0)
    assert await checked.ready() == (True, "ready")  # the last verdict, without waiting
    assert await becomes(checked, (False, f"the data directory {tmp_path} does not answer"))
    go_on.set()
    assert await becomes(checked, (True, "ready"))
    running.cancel()
