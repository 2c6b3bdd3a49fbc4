"""Several nodes as one feed: what one node acknowledged, no node contradicts; an upstream sees one of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from nugetproxy.accounts.audit import AuditEntry
from nugetproxy.storage.blobs.s3 import BucketBlobs
from nugetproxy.storage.blobs.s3_client import BucketClient
from nugetproxy.storage.database.postgres import PostgresDatabase
from nugetproxy.storage.database.postgres_transactions import InTransaction
from nugetproxy.storage.fleet.leases import FleetLease, FleetLeases
from tests.builders import make_nupkg
from tests.cli.command_line import CommandLine
from tests.fakes.upstream import FakeUpstream
from tests.flows.fleet import Fleet
from tests.flows.private_feed import House
from tests.flows.symbols import Build, publish, publish_symbols, symbols_of

LIST = "/v3/flatcontainer/contoso.utils/index.json"
REGISTRATION = "/v3/registration-gz-semver2/contoso.utils/index.json"
PACKAGE = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
MIRRORED = "/v3/flatcontainer/newtonsoft.json/13.0.1/newtonsoft.json.13.0.1.nupkg"


@pytest.fixture
def fleet(tmp_path: Path, upstream: FakeUpstream, postgres, shared_database: str, bucket) -> Fleet:
    return Fleet(tmp_path, upstream, postgres, shared_database, bucket)


async def hot(house: House) -> None:
    """The list is in the memory of a node that may answer from it."""
    assert house.services.revisions is not None
    async with asyncio.timeout(10):
        while not house.services.revisions.may_remember():
            await asyncio.sleep(0.02)
    for _ in range(2):
        assert await house.json(LIST) == {"versions": ["1.0.0"]}


async def test_what_was_pushed_to_one_node_is_at_all_of_them(fleet: Fleet):
    package = make_nupkg("Contoso.Utils", "1.0.0", payload=b"x" * 100_000)
    async with fleet.opened("one", "two", "three") as [one, *others]:
        assert (await one.push(package)).status == 201
        for other in others:
            assert await other.json(LIST) == {"versions": ["1.0.0"]}
            assert (await other.json("/v3/query?q=utils"))["totalHits"] == 1
            assert (await other.get(PACKAGE)).body == package
            assert (await other.push(package)).status == 409


async def test_a_push_asks_the_database_few_times(fleet: Fleet, monkeypatch: pytest.MonkeyPatch):
    """
    Between the beginning and the commit of its transaction: what it reads, its number, its rows, its announcement.
    """
    asked: dict[int, list[str]] = {}
    answer = InTransaction._answer

    def counting(self: InTransaction, waiting: Any) -> Any:
        asked.setdefault(id(self), []).append(str(waiting))
        return answer(self, waiting)

    async with fleet.opened("one") as [one]:
        assert (await one.push("Contoso.Utils", "1.0.0")).status == 201
        monkeypatch.setattr(InTransaction, "_answer", counting)
        assert (await one.push("Contoso.Utils", "1.1.0")).status == 201
        monkeypatch.undo()
    assert max(map(len, asked.values())) == 4


async def test_no_node_answers_from_before_an_acknowledged_change(fleet: Fleet):
    """
    Each list was hot at every node when it changed.
    """
    async with fleet.opened("one", "two") as houses:
        known: list[str] = []
        for number in range(1, 9):
            writer, reader = houses[number % 2], houses[1 - number % 2]
            assert (await writer.push("Contoso.Utils", f"1.0.{number}")).status == 201
            known.append(f"1.0.{number}")
            for _ in range(3):
                assert await reader.json(LIST) == {"versions": known}
        for number in range(1, 5):
            writer, reader = houses[number % 2], houses[1 - number % 2]
            assert (await writer.send("DELETE", f"/api/v2/package/Contoso.Utils/1.0.{number}")).status == 204
            for _ in range(3):
                [page] = (await reader.json(REGISTRATION))["items"]
                listed = [item["catalogEntry"]["version"] for item in page["items"] if item["catalogEntry"]["listed"]]
                assert listed == known[number:]


async def test_a_revoked_key_is_refused_by_every_node_at_once(fleet: Fleet):
    async with fleet.opened("one", "two") as [one, two]:
        key = await one.key_of("alice", name="build")
        assert (await two.push("Contoso.Other", key=key)).status == 201
        await one.accounts.directory.revoke_key("build")
        assert (await two.push("Contoso.Other", "2.0.0", key=key)).status == 403
        assert (await two.get("/v3/flatcontainer/contoso.other/index.json")).json == {"versions": ["1.0.0"]}


async def test_the_upstream_sees_one_node(fleet: Fleet, upstream: FakeUpstream):
    package = make_nupkg("Newtonsoft.Json", "13.0.1", payload=b"y" * 300_000)
    upstream.add_package("Newtonsoft.Json", "13.0.1", nupkg=package)
    async with fleet.opened("one", "two", "three") as houses:
        bodies = await asyncio.gather(*(house.get(MIRRORED) for house in houses))
        assert [got.body == package for got in bodies] == [True] * 3
        lists = await asyncio.gather(*(house.get("/v3/flatcontainer/newtonsoft.json/index.json") for house in houses))
        assert [got.json for got in lists] == [{"versions": ["13.0.1"]}] * 3
    assert upstream.requests_for("*newtonsoft.json.13.0.1.nupkg") == 1
    assert upstream.requests_for("*newtonsoft.json/index.json") == 1
    assert upstream.requests_for("/v3/index.json") == 1


async def test_what_another_node_asked_for_a_moment_ago_needs_no_lease(
    fleet: Fleet, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    try_hold = FleetLeases.try_hold

    async def noting(self: FleetLeases, key: str) -> FleetLease | None:
        asked.append(key)
        return await try_hold(self, key)

    upstream.add_package("Newtonsoft.Json", "13.0.1")
    monkeypatch.setattr(FleetLeases, "try_hold", noting)
    async with fleet.opened("one", "two") as houses:
        for house in houses:
            assert await house.json("/v3/flatcontainer/newtonsoft.json/index.json") == {"versions": ["13.0.1"]}
    assert [key.partition("://")[0] for key in asked if key.endswith("newtonsoft.json/index.json")] == ["document http"]
    assert upstream.requests_for("*newtonsoft.json/index.json") == 1


async def test_reads_go_on_and_pushes_wait_while_postgres_is_away(fleet: Fleet):
    async with fleet.opened("one", "two") as [one, two]:
        assert (await one.push("Contoso.Utils")).status == 201
        for house in (one, two):
            await hot(house)
        fleet.postgres.kill()
        try:
            for house in (one, two):
                assert await house.json(LIST) == {"versions": ["1.0.0"]}
            async with asyncio.timeout(10):
                while (await one.json("/health/ready"))["reason"] != "ready, degraded: PostgreSQL cannot be reached":
                    await asyncio.sleep(0.1)
            refused = await one.push("Contoso.Utils", "2.0.0")
            assert (refused.status, "retry-after" in refused.headers) == (503, True)
        finally:
            fleet.postgres.start()
        async with asyncio.timeout(30):
            while (await one.push("Contoso.Utils", "2.0.0")).status != 201:
                await asyncio.sleep(0.2)
        assert await two.json(LIST) == {"versions": ["1.0.0", "2.0.0"]}


async def test_a_node_without_a_database_serves_what_it_knows_for_a_while_and_then_fails_closed(fleet: Fleet):
    async with fleet.opened("one", outage="1s") as [one]:
        assert (await one.push("Contoso.Utils")).status == 201
        for _ in range(3):
            assert await one.json(LIST) == {"versions": ["1.0.0"]}
        fleet.postgres.kill()
        try:
            assert (await one.get(LIST)).status == 200
            async with asyncio.timeout(20):
                while (await one.get(LIST)).status == 200:
                    await asyncio.sleep(0.2)
            assert [(await one.get(path)).status for path in (LIST, PACKAGE, "/v3/query?q=utils")] == [503] * 3
        finally:
            fleet.postgres.start()
        async with asyncio.timeout(30):
            while (await one.get(LIST)).status != 200:
                await asyncio.sleep(0.2)


async def test_a_failover_that_loses_commits_is_noticed_and_noted(fleet: Fleet):
    """
    PostgreSQL starts again from an older copy of its data. What was pushed since is gone, and its name is free.
    """
    again = make_nupkg("Contoso.Utils", "2.0.0", payload=b"again")
    lost, second = "/v3/flatcontainer/contoso.utils/2.0.0/contoso.utils.2.0.0.nupkg", ["1.0.0", "2.0.0"]
    async with fleet.opened("one", "two") as [one, two]:
        assert (await one.push("Contoso.Utils")).status == 201
        await asyncio.to_thread(fleet.postgres.save)
        async with asyncio.timeout(30):
            while (await one.push("Contoso.Utils", "2.0.0")).status != 201:
                await asyncio.sleep(0.1)
        blobs = blobs_of(fleet)
        assert len(blobs) == 2
        for house in (one, two):
            assert await house.json(LIST) == {"versions": second}
            assert (await house.get(lost)).status == 200
        with capture_logs() as logged:
            failing = asyncio.create_task(push_until(two, "Contoso.Other"))
            await asyncio.to_thread(fleet.postgres.go_back)
            async with asyncio.timeout(30):
                await failing
                for house in (one, two):
                    while (got := await house.get(LIST)).status != 200 or got.json != {"versions": ["1.0.0"]}:
                        await asyncio.sleep(0.1)
                noted: tuple[AuditEntry, ...] = ()
                while len(noted) < 2:
                    await asyncio.sleep(0.1)
                    noted = await one.accounts.audit.entries(action="database.went-back")
        assert {line.subject.rsplit("/")[-1] for line in noted} == {"one", "two"}
        assert [line["database_went_back"] for line in logged if line["event"] == "fleet_changes_lost"] == [True] * 2
        assert blobs <= blobs_of(fleet)
        assert [(await house.get(lost)).status for house in (one, two)] == [404] * 2
        assert (await two.push(again)).status == 201
        assert [(await house.get(lost)).body for house in (one, two)] == [again] * 2


def blobs_of(fleet: Fleet) -> set[str]:
    """The keys of all hosted packages in the bucket."""
    return {str(info.key) for info in BucketBlobs(BucketClient(fleet.bucket)).walk("packages")}


async def push_until(house: House, package_id: str) -> None:
    """Until it is acknowledged."""
    while (await house.push(package_id)).status != 201:
        await asyncio.sleep(0.05)


async def test_a_pin_made_on_one_node_holds_on_all(fleet: Fleet, upstream: FakeUpstream):
    upstream.add_package("Newtonsoft.Json", "13.0.1", padding=10_000)
    one, two = (CommandLine(fleet.place / name) for name in ("one", "two"))
    async with fleet.opened("one", "two") as houses:
        for house in houses:
            assert (await house.get(MIRRORED)).status == 200
            assert house.services.care is not None
            async with asyncio.timeout(10):
                while not house.services.care.inventory.keeps("newtonsoft.json", "13.0.1"):
                    await asyncio.sleep(0.01)
        given = ("--config", fleet.settings("one"))
        await asyncio.to_thread(one.json, "mirror", "pin", "Newtonsoft.Json", "--name", "release", *given)
        [row] = await asyncio.to_thread(two.json, "mirror", "list", *given)
        refused = await asyncio.to_thread(
            two.refused, "mirror", "evict", "Newtonsoft.Json", "--dry-run", *given, code=2
        )
        assert (row["pinned"], "is pinned" in refused) == (True, True)
        for house in houses:
            assert house.services.care is not None
            assert (await house.services.care.eviction.free(1)).packages == 0


async def test_without_the_bucket_pushes_wait_and_packages_are_relayed(fleet: Fleet, upstream: FakeUpstream):
    package = make_nupkg("Newtonsoft.Json", "13.0.1", payload=b"y" * 300_000)
    upstream.add_package("Newtonsoft.Json", "13.0.1", nupkg=package)
    async with fleet.opened("one", "two", endpoint="http://127.0.0.1:9") as [one, two]:
        refused = await one.push("Contoso.Utils")
        assert (refused.status, "retry-after" in refused.headers) == (503, True)
        for house in (one, two):
            assert (await house.get(MIRRORED)).body == package
        assert (await two.get(LIST)).status == 404


async def test_a_symbol_server_is_asked_once_for_a_pdb_and_for_one_that_it_lacks(fleet: Fleet, upstream: FakeUpstream):
    there, absent = Build("Fabrikam.There"), Build("Fabrikam.Absent")
    publish(upstream, "Fabrikam.Tools", "1.0.0", there, absent)
    publish_symbols(upstream, there)
    fleet.upstream_settings = symbols_of(upstream)
    package = "/v3/flatcontainer/fabrikam.tools/1.0.0/fabrikam.tools.1.0.0.nupkg"
    async with fleet.opened("one", "two", "three") as houses:
        for house in houses:
            assert (await house.get(package)).status == 200
            assert house.services.care is not None
            async with asyncio.timeout(10):
                while not house.services.care.inventory.keeps("fabrikam.tools", "1.0.0"):
                    await asyncio.sleep(0.01)
        await shared(fleet, "shared_packages")
        got = await asyncio.gather(*(house.get(f"/symbols{there.path}") for house in houses))
        lacking = await asyncio.gather(*(house.get(f"/symbols{absent.path}") for house in houses))
        assert [each.body == there.pdb for each in got] == [True] * 3
        assert [each.status for each in lacking] == [404] * 3
        await shared(fleet, "shared_pdbs")
    assert upstream.requests_for(f"*{there.path}") == 1
    assert upstream.requests_for(f"*{absent.path}") == 1


async def shared(fleet: Fleet, table: str) -> None:
    """Until a node has left something in the bucket."""
    database = PostgresDatabase(fleet.postgres.dsn(fleet.database))
    try:
        async with asyncio.timeout(10):
            while await database.fetch(f"SELECT count(*) FROM {table}") == [(0,)]:
                await asyncio.sleep(0.02)
    finally:
        database.close()
