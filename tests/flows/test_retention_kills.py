"""kill -9 and a full disk in the middle of retiring hosted versions: each is deleted whole, and logged, or there."""

import asyncio
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

from nugetproxy.hosting.upkeep import check_blobs, sweep_unreferenced_blobs
from tests.engines.main_database import fetched
from tests.hosting.house import House

KILLS = 4
PUSHED, KEPT = 80, 2
RULES = f'[[hosting.retention]]\nname = "ci"\naction = "delete"\nkeep_prereleases = {KEPT}\n'
ID = "Contoso.Utils"


async def retire(config: Path, *, kill_after: float | None = None, largest_file: int | None = None) -> tuple[int, str]:
    """The exit code and the messages of `nugetproxy package retain`; `kill_after` seconds once it has begun."""

    def limited() -> None:
        if largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    data = config.parent / "data"
    before = written(data)
    process = subprocess.Popen(
        [sys.executable, "-m", "nugetproxy", "package", "retain", "--config", str(config), "--data", str(data)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=limited,
    )  # fmt: skip
    if kill_after is not None:
        async with asyncio.timeout(30):
            while written(data) == before and process.poll() is None:
                await asyncio.sleep(0.001)
        await asyncio.sleep(kill_after)
        process.kill()
    _, messages = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, messages


def written(data: Path) -> int:
    """Changes with every transaction."""
    file = data / "nugetproxy.db-wal"
    return file.stat().st_size if file.exists() else 0


async def left(data: Path) -> int:
    """How many versions there are. Each is whole, and what is gone is in the audit log."""
    house = House(data)
    try:
        versions = await house.packages.versions(ID.lower())
        assert await check_blobs(house.database, house.packages, house.blobs) == ()
        entries = await house.audit.entries(limit=1_000)
        deleted = [each.subject for each in entries if (each.action, each.result) == ("package.delete", "done")]
        assert len(deleted) == len(set(deleted)) == PUSHED - len(versions)
        assert fetched(house.database, "PRAGMA integrity_check") == [("ok",)]
        return len(versions)
    finally:
        house.close()


async def test_killed_and_out_of_disk_while_retiring(tmp_path):
    data, config = tmp_path / "data", tmp_path / "settings.toml"
    data.mkdir()
    config.write_text(RULES)
    house = House(data)
    actor = await house.actor(administrator=True)
    for number in range(PUSHED):
        await house.push(actor, ID, f"1.0.0-ci.{number}")
    house.close()

    # Room for some deletions, as if the disk were full afterwards.
    code, messages = await retire(config, largest_file=150_000)
    assert code == 1, messages
    assert "disk" in messages
    assert KEPT < await left(data) < PUSHED

    moments = random.Random(5)
    for _ in range(KILLS):
        code, _ = await retire(config, kill_after=moments.uniform(0, 0.05))
        assert code in (-signal.SIGKILL, 0)
        await left(data)

    assert (await retire(config))[0] == 0
    assert await left(data) == KEPT
    house = House(data)
    await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, unneeded_for=0, older_than=-60)
    assert len(house.files()) == KEPT
    house.close()
