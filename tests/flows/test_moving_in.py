"""`nugetproxy import-packages` beside a running server: killed at any moment with kill -9, and run again."""

import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from nugetproxy.hosting.upkeep import check_blobs, sweep_unreferenced_blobs
from tests.hosting.house import House
from tests.hosting.moving_in.desk import stored
from tests.private import PROTECTING, Accounts, package
from tests.serving import Server

IDS, VERSIONS = 8, 10


def command(server: Server, folder: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "nugetproxy", "import-packages", str(folder), "--owner", "alice", "--json"]
    words += ["--config", str(server.data.parent / f"{server.data.name}.toml"), "--data", str(server.data)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def shown(server: Server) -> int:
    pages = json.loads(server.get("/v3/catalog0/index.json"))["items"]
    return sum(page["count"] for page in pages)


def test_killed_in_the_middle(upstream, tmp_path):
    folder = tmp_path / "old"
    contents = {}
    for number in range(IDS):
        for minor in range(VERSIONS):
            names = f"Contoso.Id{number}", f"1.{minor}.0"
            contents[names] = package(*names)
            stored(folder, *names, contents[names])
    moments = random.Random(8)
    with Server(tmp_path / "data", upstream=upstream.url, config=PROTECTING) as server:
        Accounts(server.data).add_user("alice")
        before = -1
        for _ in range(3):
            running = command(server, folder)
            until = max(shown(server), 0) + moments.randrange(1, 20)
            deadline = time.monotonic() + 30
            while shown(server) < until and time.monotonic() < deadline and running.poll() is None:
                time.sleep(0.005)
            running.kill()
            running.communicate()
            assert shown(server) > before, "each is visible as soon as it is imported, and stays"
            before = shown(server)
        assert before < len(contents), "it was killed in the middle"
        out, err = (running := command(server, folder)).communicate()
        assert running.returncode == 0, err
        report = json.loads(out)
        assert (report["imported"], report["kept"]) == (len(contents) - before, before)
        assert shown(server) == len(contents)
        for (package_id, version), content in contents.items():
            lower = package_id.lower()
            assert server.get(f"/v3/flatcontainer/{lower}/{version}/{lower}.{version}.nupkg") == content
        assert json.loads(server.get("/v3/query?q=contoso&take=100"))["totalHits"] == IDS
    asyncio.run(nothing_is_left_over(server.data))


async def nothing_is_left_over(data: Path) -> None:
    house = House(data)
    assert check_blobs(house.packages, house.blobs) == ()
    await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, unneeded_for=0, older_than=-60)
    house.spools.sweep()
    assert (len(house.files()), house.leftovers()) == (IDS * VERSIONS, [])
    house.close()
