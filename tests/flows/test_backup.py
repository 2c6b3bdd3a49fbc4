"""A server is backed up while it runs, and a restored copy gives the same answers."""

import asyncio
import sqlite3
from pathlib import Path

from nugetproxy.storage.occupants import Occupant, enter
from tests.builders import make_nupkg
from tests.cli.command_line import CommandLine
from tests.flows.mirror import Got, running
from tests.flows.private_feed import House, opened
from tests.symbol_builders import KEY, make_debuggable, make_snupkg

FEED = {"protected_prefixes": ["Private."]}
MIRRORED = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
SYMBOLS = f"/symbols/contoso.utils.pdb/{KEY}/contoso.utils.pdb"
HOSTED = (
    "/v3/flatcontainer/private.debug/index.json", "/v3/flatcontainer/private.debug/1.0.0/private.debug.1.0.0.nupkg",
    "/v3/flatcontainer/private.debug/1.0.0/private.debug.nuspec", "/v3/registration/private.debug/index.json",
    "/v3/registration-gz-semver2/private.old/index.json", "/v3/catalog0/index.json", "/v3/catalog0/page0.json",
    "/v3/query?q=private&prerelease=true", "/v3/autocomplete?q=private", SYMBOLS,
    "/v3/flatcontainer/private.gone/index.json", "/v3/flatcontainer/contoso.utils/index.json",
    "/api/v2/FindPackagesById()?id='Private.Old'",
)  # fmt: skip


async def answers(house: House) -> dict[str, tuple[object, ...]]:
    """Everything a client can distinguish, for one host; the body of a refusal contains its request id."""

    def told(got: Got) -> tuple[object, ...]:
        kept = (got.headers.get("etag"), got.headers.get("last-modified"), got.body) if got.status == 200 else ()
        return got.status, got.reason, *kept

    return {path: told(await house.get(path, {"Host": "feed.example.com"})) for path in HOSTED}


async def test_every_answer_is_the_same_after_a_restore(stocked, tmp_path: Path):
    """
    Pushed, unlisted and deleted versions, symbols, accounts, keys, the audit log, and mirrored packages.
    """
    live, again = CommandLine(tmp_path / "live"), CommandLine(tmp_path / "again")
    async with opened(live.data, stocked, feed=FEED) as house:
        assert (await house.get(MIRRORED)).status == 200
        assert (await house.push(make_debuggable("Private.Debug"))).status == 201
        assert (await house.send("PUT", "/api/v2/symbolpackage/", body=make_snupkg("Private.Debug"))).status == 201
        for name, version in (("Private.Old", "1.0.0"), ("Private.Old", "2.0.0"), ("Private.Gone", "1.0.0")):
            assert (await house.push(name, version)).status == 201
        assert (await house.send("DELETE", "/api/v2/package/Private.Old/1.0.0")).status == 204
        await asyncio.to_thread(live.done, "package", "delete", "Private.Gone", "1.0.0")
        before, audit = await answers(house), await asyncio.to_thread(live.audited)
        await asyncio.to_thread(live.done, "backup", str(tmp_path / "backup"), "--with-mirror")
    again.done("restore", str(tmp_path / "backup"))

    async with running(again.data, stocked, feed=FEED) as mirror:
        restored = House(mirror.services, again.data, mirror.port)
        after = await answers(restored)
        assert {path for path in HOSTED if before[path] != after[path]} == set()
        assert {answer[0] for answer in after.values()} == {200, 404}
        assert (await restored.push("Private.Old", "2.0.0", key=house.key)).status == 409
        assert (await restored.push("Private.Old", "3.0.0", key=house.key)).status == 201
        assert (await restored.get(MIRRORED)).status == 200
    assert stocked.requests_for("*.nupkg") == 1
    assert (await asyncio.to_thread(again.audited))[: len(audit)] == audit


async def test_a_backup_beside_pushes_holds_whole_packages(stocked, tmp_path: Path):
    live, again = CommandLine(tmp_path / "live"), CommandLine(tmp_path / "again")
    async with opened(live.data, stocked, feed=FEED) as house:
        stop = asyncio.Event()
        pushing = asyncio.create_task(push_until(house, stop))
        async with asyncio.timeout(20):
            while len(list(live.data.rglob("*.nupkg"))) < 2:  # so the row of the first is there too
                await asyncio.sleep(0.01)
        await asyncio.to_thread(live.done, "backup", str(tmp_path / "backup"))
        stop.set()
        pushed = await pushing
    again.done("restore", str(tmp_path / "backup"))

    async with running(again.data, stocked, feed=FEED) as mirror:
        restored = House(mirror.services, again.data, mirror.port)
        versions = (await restored.json("/v3/flatcontainer/private.meanwhile/index.json"))["versions"]
        assert 0 < len(versions) <= pushed
        assert len(list((tmp_path / "backup").rglob("*.nupkg"))) == len(versions)
        for version in versions:
            path = f"/v3/flatcontainer/private.meanwhile/{version}/private.meanwhile.{version}.nupkg"
            assert (await restored.get(path)).body == make_nupkg("Private.Meanwhile", version)


class TestCommands:
    def test_what_is_not_there_is_not_backed_up(self, tmp_path: Path):
        line = CommandLine(tmp_path / "data")
        told = line.refused("backup", str(tmp_path / "backup"))

        assert told == f"nugetproxy: {line.data} has no accounts and no hosted packages: is it the server's --data?\n"
        assert not (tmp_path / "backup").exists()

    def test_a_folder_that_is_not_empty_is_a_usage_error(self, tmp_path: Path):
        line = CommandLine(tmp_path / "data")
        line.done("user", "add", "alice")

        assert f"{tmp_path} is not empty" in line.refused("backup", str(tmp_path), code=2)
        assert f"{tmp_path} is not a backup" in line.refused("restore", str(tmp_path), code=2)

    def test_a_server_in_the_way_is_named(self, tmp_path: Path):
        line = CommandLine(tmp_path / "data")
        line.done("user", "add", "alice")
        line.done("backup", str(tmp_path / "backup"))
        enter(line.data, Occupant("server", "1.0", 7))

        told = line.refused("restore", str(tmp_path / "backup"))
        assert f"while {line.data} is used by a server of nugetproxy 1.0 (process 7): stop it first" in told

    def test_what_could_not_be_backed_up_is_reported_both_times(self, tmp_path: Path):
        line, again = CommandLine(tmp_path / "data"), CommandLine(tmp_path / "again")
        line.done("user", "add", "alice")
        with sqlite3.connect(line.data / "nugetproxy.db") as connection:
            connection.execute(
                "INSERT INTO hosted_pushes VALUES (1, 'a', '1.0', 'A', '1.0', '', x'', 1, '', '', 'a/b', 0)"
            )
            connection.execute("INSERT INTO hosted_packages VALUES ('a', '1.0', 1, 1, 0, 0, NULL, 1)")
        for one, command in ((line, "backup"), (again, "restore")):
            ended = one.run(command, str(tmp_path / "backup"))
            assert ended.exit_code == 1
            assert "not in the backup, because its file is missing or damaged: hosted/a/b" in ended.stderr
        assert "alice" in again.done("user", "list")


async def push_until(house: House, stop: asyncio.Event) -> int:
    number = 0
    while not stop.is_set():
        number += 1
        assert (await house.push("Private.Meanwhile", f"{number}.0.0")).status == 201
    return number
