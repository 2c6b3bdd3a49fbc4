"""The private feed in a real server with two workers: a change through one of them is immediately visible in both."""

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.builders import make_nupkg
from tests.flows.mirror import Got
from tests.flows.private_feed import basic, chunked, hang_up, head, official_form, read_answer
from tests.private import PROTECTING, Accounts
from tests.serving import Server

CLOSED = '[accounts]\nanonymous_read = "none"\n'
FRESH = '[mirroring.freshness.search]\nfresh = "1h"\n'
# Every address that shows the newest version.
RENDERINGS = (
    "/v3/flatcontainer/contoso.utils/index.json",
    "/v3/registration/contoso.utils/index.json",
    "/v3/registration-gz/contoso.utils/index.json",
    "/v3/registration-gz-semver2/contoso.utils/index.json",
    "/v3/query?q=contoso.utils",
    "/v3/query?q=packageid:contoso.utils&semVerLevel=2.0.0",
    "/v3/query?q=",
    "/v3/autocomplete?id=contoso.utils",
    "/api/v2/FindPackagesById()?id='Contoso.Utils'",
    "/api/v2/Search()?searchTerm='contoso'&$filter=IsLatestVersion",
    "/api/v2/Packages()?$filter=Id%20eq%20'Contoso.Utils'",
    "/api/v2/package-versions/Contoso.Utils",
    "/v3/catalog0/page0.json",
)
PARTS = (
    "/v3/flatcontainer/contoso.utils/{v}/contoso.utils.{v}.nupkg",
    "/v3/flatcontainer/contoso.utils/{v}/contoso.utils.nuspec",
    "/v3/flatcontainer/contoso.utils/{v}/readme",
    "/v3/flatcontainer/contoso.utils/{v}/icon",
    "/v3/flatcontainer/contoso.utils/{v}/license",
    "/v3/registration/contoso.utils/{v}.json",
    "/v3/catalog/contoso.utils/{v}.json",
    "/api/v2/package/Contoso.Utils/{v}",
    "/api/v2/Packages(Id='Contoso.Utils',Version='{v}')",
)


class Visitor:
    """A client that keeps its connection, and with it its worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.worker = ""

    async def ask(
        self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
    ) -> Got:
        self._writer.write(head(method, path, {"Host": "us", **(headers or {})}) + body)
        got = await read_answer(self._reader)
        self.worker = got.headers.get("x-request-id", "").partition("-")[0]
        return got

    async def push(self, key: str, package: bytes) -> Got:
        form, body = official_form(package)
        headers = {**form, "X-NuGet-ApiKey": key, "Transfer-Encoding": "chunked"}
        return await self.ask("/api/v2/package/", headers, method="PUT", body=chunked(body))

    async def leave(self) -> None:
        await hang_up(self._writer)


@contextlib.asynccontextmanager
async def visitors(server: Server, each: int = 1) -> AsyncIterator[list[Visitor]]:
    """This many of each of the two workers, alternating in the list."""
    found: dict[str, list[Visitor]] = {}
    everybody: list[Visitor] = []
    try:
        async with asyncio.timeout(60):
            while len(found) < 2 or min(map(len, found.values())) < each:
                new = [Visitor(*await asyncio.open_connection("127.0.0.1", server.port)) for _ in range(10)]
                everybody += new
                await asyncio.gather(*(visitor.ask("/health/live") for visitor in new))
                for visitor in new:
                    found.setdefault(visitor.worker, []).append(visitor)
        yield [visitor for pair in zip(*found.values(), strict=False) for visitor in pair][: 2 * each]
    finally:
        for visitor in everybody:
            await visitor.leave()


@contextlib.asynccontextmanager
async def served(data: Path, upstream: str, *sections: str) -> AsyncIterator[tuple[Server, str]]:
    """A server of two workers, and a key of bob's."""
    server = Server(data, "--workers", "2", upstream=upstream, config="\n".join((PROTECTING, *sections)))
    await asyncio.to_thread(server.start)
    try:
        yield server, await asyncio.to_thread(key_of_bob, data)
    finally:
        await asyncio.to_thread(server.stop)


def key_of_bob(data: Path) -> str:
    """Through the commands, which run their own event loop."""
    accounts = Accounts(data)
    accounts.add_user("bob")
    return accounts.add_key("ci", "bob")


def package(version: str, said: str = "") -> bytes:
    return make_nupkg(
        "Contoso.Utils", version, readme=f"# {version} {said}", icon=b"\x89PNG\r\n\x1a\n", license=f"MIT {version}"
    )


async def all_of(both: Sequence[Visitor], path: str) -> list[Got]:
    return list(await asyncio.gather(*(visitor.ask(path) for visitor in both)))


@pytest.mark.parametrize("order", [0, 1])
async def test_a_push_shows_in_every_rendering_of_both_workers_at_once(upstream, tmp_path, order):
    """
    Everything was requested before and is hot, including absences; the first answers after the 201 are new.
    """
    upstream.add_package("Public", "1.0.0")
    async with served(tmp_path / "data", upstream.url, FRESH) as (server, key), visitors(server) as both:
        pushing = both[order]
        for path in RENDERINGS:
            for _ in range(2):
                await all_of(both, path)
        for number in (1, 2, 3):
            version = f"{number}.0.0"
            assert (await pushing.push(key, package(version))).status == 201
            for path in (*RENDERINGS, *(part.format(v=version) for part in PARTS)):
                for got in await all_of(both, path):
                    assert got.status == 200, path
                    if not path.endswith("/icon"):
                        assert version.encode() in got.body or path.endswith(".nupkg") or "/package/" in path, path
                if path.endswith(".nupkg"):
                    assert {got.body for got in await all_of(both, path)} == {package(version)}
            for path in RENDERINGS:  # and hot again
                await all_of(both, path)
        mine = {"X-NuGet-ApiKey": key}
        assert (await pushing.ask("/api/v2/package/Contoso.Utils/3.0.0", mine, method="DELETE")).status == 204
        for got in await all_of(both, "/v3/query?q=contoso.utils"):
            assert got.json["data"][0]["version"] == "2.0.0"
        await asyncio.to_thread(Accounts(tmp_path / "data").run, "prefix", "reserve", "Contoso.*", "--owner", "bob")
        for got in await all_of(both, "/v3/query?q=contoso.utils"):
            assert got.json["data"][0]["verified"] is True


async def test_a_revoked_key_is_refused_by_the_very_next_request(upstream, tmp_path):
    """
    Revoked by a command in another process, while answers to its reader are hot in both workers.
    """
    data = tmp_path / "data"
    async with served(data, upstream.url, CLOSED) as (server, key), visitors(server) as both:
        for visitor in both:
            for _ in range(3):
                assert (await visitor.ask("/v3/index.json", basic("x", key))).status == 200
        hits = await asyncio.to_thread(server.metric, "nugetproxy_requests_total")
        assert hits > 0
        assert await asyncio.to_thread(server.metric, "nugetproxy_loop_lag_seconds_count") > 0
        command = [sys.executable, "-m", "nugetproxy", "key", "revoke", "ci", "--data", str(data)]
        ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
        for visitor in both:
            assert (await visitor.ask("/v3/index.json", basic("x", key))).status == 401
            assert (await visitor.push(key, package("1.0.0"))).status == 403


async def test_a_version_that_a_command_deleted_may_come_back_with_other_bytes(upstream, tmp_path):
    """
    Deleted by a command while it is hot in both workers, and pushed again once its name is free.
    """
    data = tmp_path / "data"
    first, other = package("1.0.0", "the first"), package("1.0.0", "the other")
    file = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
    delete = ("package", "delete", "Contoso.Utils", "1.0.0")
    async with served(data, upstream.url, FRESH) as (server, key), visitors(server) as both:
        assert (await both[0].push(key, first)).status == 201
        for path in (file, *RENDERINGS):
            for _ in range(2):
                await all_of(both, path)
        await asyncio.to_thread(Accounts(data).run, *delete)
        for path in (file, *RENDERINGS[:4]):
            assert [got.status for got in await all_of(both, path)] == [404, 404], path
        assert [got.json["totalHits"] for got in await all_of(both, "/v3/query?q=contoso.utils")] == [0, 0]
        refused = await both[1].push(key, other)
        assert (refused.status, refused.reason.partition(": ")[2]) == (
            409, "nugetproxy package delete Contoso.Utils 1.0.0 --allow-reuse"
        )  # fmt: skip
        await asyncio.to_thread(Accounts(data).run, *delete, "--allow-reuse")
        assert (await both[1].push(key, other)).status == 201
        assert {got.body for got in await all_of(both, file)} == {other}
        for path in RENDERINGS:
            assert all(b"1.0.0" in got.body for got in await all_of(both, path)), path


async def test_of_fifty_who_push_one_version_one_wins(upstream, tmp_path):
    """
    Over both workers, each with different bytes: one 201, whose bytes are served; the others' are gone.
    """
    data = tmp_path / "data"
    async with served(data, upstream.url) as (server, key):
        packages = [package("1.0.0", f"of pusher {number}") for number in range(50)]
        async with visitors(server, 25) as pushers:
            told = await asyncio.gather(*(who.push(key, what) for who, what in zip(pushers, packages, strict=True)))
            assert Counter(got.status for got in told) == {201: 1, 409: 49}
            assert {got.reason for got in told if got.status == 409} == {
                "A package with ID 'Contoso.Utils' and version '1.0.0' already exists and cannot be modified."
            }
            winner = next(number for number, got in enumerate(told) if got.status == 201)
            for who in pushers:
                got = await who.ask("/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg")
                assert got.body == packages[winner]
    assert len([path for path in (data / "hosted").rglob("*") if path.is_file()]) == 1
    assert list((data / "spool").glob("*")) == []
