"""kill -9 in the middle of eviction and verification: what is kept is right, and everything can be downloaded."""

import asyncio
import random
import sys
from contextlib import closing

from nugetproxy.mirroring.kept.inventory import Inventory, Totals, open_ledger
from tests.flows.mirror import running

ROUNDS = 3
COUNT = 12


async def test_killed_in_the_middle_of_eviction_and_verification(upstream, tmp_path):
    made = [upstream.add_package(f"P{number}", "1.0.0", padding=50_000) for number in range(COUNT)]
    moments = random.Random(9)
    for _ in range(ROUNDS):
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.flows.care_worker", str(tmp_path), upstream.url, str(COUNT),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert worker.stdout is not None
        async with asyncio.timeout(30):
            while (line := await worker.stdout.readline()) != b"begun\n":
                assert line, "the worker ended by itself"
        await asyncio.sleep(moments.uniform(0, 0.2))
        worker.kill()
        await worker.wait()

    async with running(tmp_path, upstream) as mirror:
        assert mirror.services.care is not None
        found = await mirror.services.care.verification.verify(2e9)
        assert (found.damaged, found.differing) == ([], [])
        for number, package in enumerate(made):
            path = f"/v3/flatcontainer/p{number}/1.0.0/p{number}.1.0.0.nupkg"
            for _ in range(2):  # the second waits until it is stored
                assert (await mirror.get(path)).body == package.nupkg
    assert not (tmp_path / "quarantine").exists()
    kept = [path.stat().st_size for path in tmp_path.rglob("*.nupkg")]
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        assert Inventory(database).totals() == Totals(COUNT, sum(kept)) == Totals(len(kept), sum(kept))
