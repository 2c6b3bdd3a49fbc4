"""Who may read what: everything, what is mirrored, nothing; on every route, hot or not."""

import asyncio
import threading
from typing import Any

import pytest

from nugetproxy.storage.database.sqlite import SqliteDatabase
from tests.builders import make_nupkg
from tests.fakes.upstream import FakeUpstream
from tests.flows.private_feed import House, basic, hang_up, head, opened, opened_with_lane, read_answer

OUTSIDE = {"hosting": {"allowed_ids": ["Open.*", "Both"]}}
FEED = {"protected_prefixes": ["Contoso."], "merged_ids": ["Both"]}
OURS = ("Contoso.Utils", "Open.Tool", "Both")
SECRET = b"7.7.7"
"""The version of everything hosted, and of nothing else."""

OPEN = ("/", "/health/live", "/health/ready", "/metrics")
MIRRORED = (
    "/v3/index.json",
    "/v3/flatcontainer/public/index.json",
    "/v3/flatcontainer/public/1.0.0/public.1.0.0.nupkg",
    "/v3/flatcontainer/public/1.0.0/public.nuspec",
    "/v3/registration/public/index.json",
    "/v3/registration-gz-semver2/public/1.0.0.json",
    "/v3/catalog/public/1.0.0.json",
    "/v3/query?q=public",
    "/v3/query?q=",
    "/v3/autocomplete?q=pub",
    "/v3/autocomplete?id=public",
    "/v3/vulnerabilities/index.json",
    "/api/v2/package/Public/1.0.0",
    "/api/v2/package/Public",
    "/api/v2",
    "/api/v2/$metadata",
)
V2 = (
    "/api/v2/Packages()",
    "/api/v2/Packages(Id='Public',Version='1.0.0')",
    "/api/v2/FindPackagesById()?id='Public'",
    "/api/v2/Search()?searchTerm='public'",
    "/api/v2/Search()/$count?searchTerm='public'",
    "/api/v2/GetUpdates()?packageIds='Public'&versions='0.1'",
    "/api/v2/package-ids?partialId=pub",
    "/api/v2/package-versions/Public",
)
TOLD_OF_OURS = (
    "/v3/query?q={id}",
    "/v3/query?q=packageid:{id}&prerelease=true&semVerLevel=2.0.0",
    "/v3/query?q=",
    "/v3/autocomplete?q={id}",
    "/v3/autocomplete?id={id}",
)
"""What anonymous clients may request, without learning anything about hosted packages."""


def hosted_paths(package_id: str) -> tuple[str, ...]:
    lower = package_id.lower()
    return (
        f"/v3/flatcontainer/{lower}/index.json",
        f"/v3/flatcontainer/{package_id.upper()}/INDEX.json",
        f"/v3/flatcontainer/{lower}/7.7.7/{lower}.7.7.7.nupkg",
        f"/v3/flatcontainer/{lower}/7.7.7.0/{lower}.7.7.7.nupkg",
        f"/v3/flatcontainer/{lower}/7.7.7/{lower}.nuspec",
        f"/v3/flatcontainer/{lower}/7.7.7/readme",
        *(f"/v3/{hive}/{lower}/index.json" for hive in ("registration", "registration-gz", "registration-gz-semver2")),
        f"/v3/registration/{lower}/7.7.7.json",
        f"/v3/registration/{lower}/page/7.7.7/7.7.7.json",
        f"/v3/catalog/{lower}/7.7.7.json",
        f"/api/v2/package/{package_id}/7.7.7",
        f"/api/v2/package/{package_id}",
        f"/api/v2/Packages(Id='{package_id}',Version='7.7.7')",
        f"/api/v2/FindPackagesById()?id='{package_id}'",
        f"/api/v2/package-versions/{package_id}",
    )


CATALOG = ("/v3/catalog0/index.json", "/v3/catalog0/page0.json")


async def stock(house: House, upstream: FakeUpstream) -> None:
    upstream.add_package("Public", "1.0.0")
    upstream.add_package("Both", "1.0.0")
    for package_id in OURS:
        told = await house.push(make_nupkg(package_id, "7.7.7", readme="# private"))
        assert told.status == 201, told


def mode(anonymous: str) -> dict[str, Any]:
    return {"accounts": {"anonymous_read": anonymous}, "feed": FEED, **OUTSIDE}


@pytest.mark.parametrize("anonymous", ["all", "mirrored", "none"])
async def test_authenticated_clients_read_everything(upstream, tmp_path, anonymous):
    async with opened_with_lane(tmp_path, upstream, **mode(anonymous)) as house:
        await stock(house, upstream)
        reader = basic("x", house.key)
        for _ in range(2):
            for path in (*OPEN, *MIRRORED, *V2, *CATALOG, *(path for each in OURS for path in hosted_paths(each))):
                assert (await house.get(path, reader)).status == 200, path
            for package_id in OURS:
                for path in TOLD_OF_OURS[:2]:
                    assert SECRET in (await house.get(path.format(id=package_id), reader)).body, path


async def test_anonymous_clients_read_everything_that_is_open(upstream, tmp_path):
    async with opened_with_lane(tmp_path, upstream, **mode("all")) as house:
        await stock(house, upstream)
        for _ in range(2):
            for path in (*OPEN, *MIRRORED, *V2, *CATALOG, *(path for each in OURS for path in hosted_paths(each))):
                got = await house.get(path)
                assert got.status == 200, path
                assert "private" not in got.headers.get("cache-control", ""), path


async def test_anonymous_clients_learn_nothing_about_hosted_packages(upstream, tmp_path):
    """
    Cold, then after an authenticated client used the same addresses: hot answers to it are not for anonymous clients.
    """
    async with opened_with_lane(tmp_path, upstream, **mode("mirrored")) as house:
        await stock(house, upstream)
        reader = basic("x", house.key)
        for _ in range(3):
            for package_id in OURS:
                for path in (*hosted_paths(package_id), *CATALOG):
                    told = await house.get(path)
                    assert (told.status, told.headers.get("www-authenticate")) == (401, 'Basic realm="nugetproxy"'), (
                        path
                    )
                    assert SECRET not in told.body
                for path in TOLD_OF_OURS:
                    told = await house.get(path.format(id=package_id))
                    assert told.status == 200, path
                    assert SECRET not in told.body, path
                for path in (*hosted_paths(package_id), *TOLD_OF_OURS, *CATALOG):
                    await house.get(path.format(id=package_id), reader)
            for path in V2:
                assert (await house.get(path)).status == 401, path
                await house.get(path, reader)
            for path in MIRRORED:
                got = await house.get(path)
                assert got.status == 200, path
                assert SECRET not in got.body, path
                await house.get(path, reader)
            # Files become hot in the background; give them time.
            await asyncio.sleep(0.05)


async def test_an_id_that_becomes_ours_is_closed_immediately(upstream, tmp_path):
    upstream.add_package("Open.Tool", "1.0.0")
    path = "/v3/flatcontainer/open.tool/index.json"
    async with opened_with_lane(tmp_path, upstream, **mode("mirrored")) as house:
        for _ in range(3):
            assert (await house.get(path)).json == {"versions": ["1.0.0"]}
        assert (await house.push("Open.Tool", "7.7.7")).status == 201
        assert (await house.get(path)).status == 401
        assert (await house.get(path, basic("x", house.key))).json == {"versions": ["7.7.7"]}


async def test_where_nothing_is_open_every_anonymous_client_is_challenged(upstream, tmp_path):
    async with opened_with_lane(tmp_path, upstream, **mode("none")) as house:
        await stock(house, upstream)
        reader = basic("x", house.key)
        paths = (*MIRRORED, *V2, *CATALOG, *hosted_paths("Contoso.Utils"), "/symbols/a.pdb/x/a.pdb",
                 "/api/v2/symbolpackage/Contoso.Utils/7.7.7", "/v3/flatcontainer/nobody/index.json")  # fmt: skip
        for _ in range(2):
            for path in paths:
                told = await house.get(path)
                assert (told.status, told.headers["www-authenticate"]) == (401, 'Basic realm="nugetproxy"'), path
                await house.get(path, reader)
        for path in OPEN:
            assert (await house.get(path)).status == 200, path


async def test_no_shared_cache_keeps_what_not_everybody_may_read(upstream, tmp_path):
    async with opened_with_lane(tmp_path, upstream, **mode("mirrored")) as house:
        await stock(house, upstream)
        public = "/v3/flatcontainer/public/1.0.0/public.1.0.0.nupkg"
        for path in (*hosted_paths("Contoso.Utils"), "/v3/query?q=contoso", "/v3/index.json", public):
            for _ in range(2):
                told = (await house.get(path, basic("x", house.key))).headers["cache-control"]
                assert told.startswith("private"), path


async def test_anonymous_clients_do_not_see_that_everything_is_signed(upstream, tmp_path):
    """
    A client reads this before it is asked for credentials, and applies it to hosted packages, too.
    """
    upstream.gallery.all_repository_signed = True
    settings = {**mode("mirrored"), "server": {"public_url": "https://us.example"}}
    async with opened_with_lane(tmp_path, upstream, **settings) as house:
        for reader in ({}, basic("x", house.key), {}):
            told = await house.json("/v3/repository-signatures/5.0.0/index.json", reader)
            assert told["allRepositorySigned"] is False


async def test_credentials_count_at_open_addresses_too(upstream, tmp_path):
    """
    A search shows authenticated clients what it hides from anonymous ones, and wrong credentials are not ignored.
    """
    async with opened(tmp_path, upstream, **mode("mirrored")) as house:
        await stock(house, upstream)
        path = "/v3/query?q=contoso.utils"
        assert (await house.json(path))["totalHits"] == 0
        assert (await house.json(path, basic("x", house.key)))["totalHits"] == 1
        assert (await house.get(path, basic("x", "wrong one"))).status == 401


class TestChallenge:
    async def test_is_tiny_and_keeps_the_connection(self, upstream, tmp_path):
        async with opened_with_lane(tmp_path, upstream, **mode("none")) as house:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            for number in range(20):
                headers = basic("x", house.key) if number % 2 else {}
                writer.write(head("GET", "/v3/index.json", {"Host": "x", **headers}))
                told = await read_answer(reader)
                assert told.status == (200 if number % 2 else 401)
                if not number % 2:
                    assert len(str(told.headers)) + len(told.body) < 700
                    assert told.headers["cache-control"] == "no-store"
            await hang_up(writer)

    async def test_touches_no_storage(self, upstream, tmp_path, monkeypatch):
        async with opened(tmp_path, upstream, **mode("none")) as house:
            asked: list[str] = []
            fetch = SqliteDatabase.fetch_now

            def counted(self, sql, parameters=()):
                if threading.current_thread() is threading.main_thread():  # the hourly upkeep has threads of its own
                    asked.append(sql)
                return fetch(self, sql, parameters)

            monkeypatch.setattr(SqliteDatabase, "fetch_now", counted)
            for path in (*MIRRORED, *hosted_paths("Contoso.Utils")):
                assert (await house.get(path)).status == 401
            assert asked == []
            assert upstream.requests_for("*public*") == 0
