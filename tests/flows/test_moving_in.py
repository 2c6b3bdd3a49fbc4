"""`nugetproxy import-packages` beside a running server: killed at any moment with kill -9, and run again."""

import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

import nugetproxy.runtime.moving_in_parts  # noqa: F401 - so that it inspects in threads
from nugetproxy.cli.main import main
from nugetproxy.hosting.upkeep import check_blobs, sweep_unreferenced_blobs
from tests import private
from tests.hosting.house import House
from tests.hosting.moving_in.desk import stored
from tests.private import PROTECTING, Accounts, package, send
from tests.serving import Server
from tests.symbol_builders import make_debuggable, make_snupkg

IDS, VERSIONS = 6, 8


def command(server: Server, *arguments: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "nugetproxy", "import-packages", *arguments, "--owner", "alice", "--json"]
    words += ["--config", str(server.data.parent / f"{server.data.name}.toml"), "--data", str(server.data)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def shown(server: Server) -> int:
    pages = json.loads(server.get("/v3/catalog0/index.json"))["items"]
    return sum(page["count"] for page in pages)


async def test_killed_in_the_middle(upstream, tmp_path):
    await asyncio.to_thread(kill_in_the_middle, upstream.url, tmp_path)
    await nothing_is_left_over(tmp_path / "data")


def kill_in_the_middle(upstream: str, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    contents = {}
    for number in range(IDS):
        for minor in range(VERSIONS):
            names = f"Contoso.Id{number}", f"1.{minor}.0"
            contents[names] = package(*names)
            stored(folder, *names, contents[names])
    moments = random.Random(8)
    with Server(tmp_path / "data", upstream=upstream, config=PROTECTING) as server:
        Accounts(server.data).add_user("alice")
        before = -1
        for _ in range(2):
            running = command(server, str(folder))
            until = max(shown(server), 0) + moments.randrange(1, 20)
            deadline = time.monotonic() + 30
            while shown(server) < until and time.monotonic() < deadline and running.poll() is None:
                time.sleep(0.005)
            running.kill()
            running.communicate()
            assert shown(server) > before, "each is visible as soon as it is imported, and stays"
            before = shown(server)
        assert before < len(contents), "it was killed in the middle"
        out, err = (running := command(server, str(folder))).communicate()
        assert running.returncode == 0, err
        report = json.loads(out)
        assert (report["imported"], report["kept"]) == (len(contents) - before, before)
        assert shown(server) == len(contents)
        for (package_id, version), content in contents.items():
            lower = package_id.lower()
            assert server.get(f"/v3/flatcontainer/{lower}/{version}/{lower}.{version}.nupkg") == content
        assert json.loads(server.get("/v3/query?q=contoso&take=100"))["totalHits"] == IDS


async def nothing_is_left_over(data: Path) -> None:
    house = House(data)
    assert await check_blobs(house.database, house.packages, house.blobs) == ()
    await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, unneeded_for=0, older_than=-60)
    house.spools.sweep()
    assert (len(house.files()), house.leftovers()) == (IDS * VERSIONS, [])
    house.close()


def run(server: Server, *arguments: str) -> Result:
    words = ["import-packages", *arguments, "--owner", "alice", "--json", "--data", str(server.data)]
    return CliRunner().invoke(main, [*words, "--config", str(server.data.parent / f"{server.data.name}.toml")])


def done(server: Server, *arguments: str) -> dict[str, Any]:
    ended = run(server, *arguments)
    assert ended.exit_code == 0, ended.output
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def states(server: Server) -> dict[str, list[tuple[Any, ...]]]:
    """Of every version what an import keeps. Not its downloads, because the import itself counts as one."""
    accounts = Accounts(server.data)
    return {
        row["id"]: [
            (each["version"], each["state"], each["published"], each["bytes"], each["deprecated"])
            for each in accounts.run("package", "list", row["id"])
        ]
        for row in accounts.run("package", "list")
    }


async def test_another_server_as_a_v3_and_as_a_v2_feed(upstream, tmp_path):
    """
    Everything arrives as it was, symbols too; what the old server only mirrors stays there.
    """
    upstream.add_package("Fabrikam.Mirrored", "1.0.0")
    await asyncio.to_thread(move_by_feeds, upstream.url, tmp_path)


def move_by_feeds(upstream: str, tmp_path: Path) -> None:
    config = PROTECTING + '[accounts]\nanonymous_read = "none"\n'
    secret = tmp_path / "password"
    with (
        Server(tmp_path / "old", upstream=upstream, config=config) as old,
        Server(tmp_path / "v3", upstream=upstream, config=PROTECTING) as v3,
        Server(tmp_path / "v2", upstream=upstream, config=PROTECTING) as v2,
    ):
        accounts = Accounts(old.data)
        accounts.add_user("alice", "correct horse battery")
        key = accounts.add_key("push", "alice")
        secret.write_text(key)
        private.push(old, key, make_debuggable(), *(package("Contoso.Core", f"{major}.0.0") for major in (1, 2, 10)))
        assert send(old, "PUT", "/api/v2/symbolpackage", key=key, body=make_snupkg()).status == 201
        accounts.run("package", "unlist", "Contoso.Core", "1.0.0")
        accounts.run("package", "deprecate", "Contoso.Core", "2.0.0", "--message", "Old.")
        for server in (v3, v2):
            Accounts(server.data).add_user("alice")
        given = ("--source", old.url, "--user", "alice", "--password-file", str(secret))

        planned = done(v3, *given, "--symbols", "--dry-run")
        assert (planned["imported"], planned["refused"], states(v3)) == (4, 0, {})
        report = done(v3, *given, "--symbols", "--include", "Contoso.*")
        assert (report["imported"], report["left_out"], report["refused"]) == (5, 3, 0)
        assert states(v3) == states(old)
        path = "/api/v2/symbolpackage/Contoso.Utils/1.0.0"
        assert v3.get(path) == send(old, "GET", path, key=key).body
        again = done(v3, *given, "--symbols")
        assert (again["imported"], again["kept"]) == (0, 5)

        # Our V2 shows listed versions only, and V2 has no deprecation.
        by_v2 = ("--source", f"{old.base}/api/v2", "--api-key-file", str(secret), "--exclude", "Fabrikam.*")
        report = done(v2, *by_v2)
        assert (report["imported"], report["left_out"], report["refused"]) == (3, 1, 0)
        assert {row[:4] for rows in states(v2).values() for row in rows} == {
            row[:4] for rows in states(old).values() for row in rows if row[1] == "listed"
        }
        assert done(v2, *by_v2)["kept"] == 3

        secret.write_text("wrong")
        ended = run(v3, *given)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert "401" in ended.stderr
