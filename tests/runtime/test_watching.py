"""Noticing that a file on which the settings depend was changed."""

import asyncio
from pathlib import Path

import pytest

from nugetproxy.runtime import watching
from nugetproxy.runtime.watching import looked_at, when_changed


async def test_each_change_is_noticed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "WATCH_SECONDS", 0.005)
    file = tmp_path / "upstreams.json"
    read = [looked_at(str(file))]
    changes: list[str] = []
    watch = asyncio.create_task(when_changed(lambda: read[0], lambda: changes.append(file.read_text())))
    await asyncio.sleep(0.05)
    assert changes == []

    file.write_text("one")
    await asyncio.sleep(0.1)
    assert changes == ["one"]  # the settings are not read again, and it is not repeated

    read[0] = looked_at(str(file))
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").replace(file)
    await asyncio.sleep(0.1)
    assert changes == ["one", "two"]

    read[0] = ""
    file.write_text("three")
    await asyncio.sleep(0.05)
    watch.cancel()
    assert changes == ["one", "two"]


async def test_a_change_before_the_first_look_is_noticed(tmp_path: Path):
    file = tmp_path / "upstreams.json"
    read = looked_at(str(file))
    file.write_text("one")
    changed = asyncio.Event()

    watch = asyncio.create_task(when_changed(lambda: read, changed.set))

    async with asyncio.timeout(5):
        await changed.wait()
    watch.cancel()
