"""A real server and its worker processes: shared downloads, kill -9, a full disk, a mirror of a mirror."""

import asyncio
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.faults import silent, slow
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import files_below
from tests.serving import Server

MEGABYTE = 1_000_000


def path_of(number: int) -> str:
    return f"/v3/flatcontainer/many/1.0.{number}/many.1.0.{number}.nupkg"


async def fetch(session: aiohttp.ClientSession, url: str) -> str:
    """The SHA-256 of the whole body."""
    digest = hashlib.sha256()
    async with session.get(url) as answer:
        assert answer.status == 200, f"{url}: {answer.status} {answer.reason}"
        async for chunk in answer.content.iter_chunked(262_144):
            digest.update(chunk)
    return digest.hexdigest()


def a_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=aiohttp.ClientTimeout(total=60)
    )


async def started(server: Server) -> None:
    await asyncio.to_thread(server.start)


async def stopped(server: Server) -> int | None:
    return await asyncio.to_thread(server.stop)


async def metric(server: Server, name: str) -> float:
    return await asyncio.to_thread(server.metric, name)


def leftovers(data: Path) -> set[str]:
    """Files that a clean mirror does not have: in the spool, and in the tree beside packages and nuspecs."""
    strange = {name for name in files_below(data / "mirror") if not name.endswith((".nupkg", ".nuspec"))}
    return strange | files_below(data / "spool")


def wrong(data: Path, upstream: FakeUpstream) -> set[str]:
    """Stored packages whose bytes differ from the upstream's."""
    return {
        str(path)
        for path in (data / "mirror").rglob("*.nupkg")
        if path.read_bytes() != upstream.gallery.packages[path.parts[-3]][path.parts[-2]].nupkg
    }


async def test_two_hundred_clients_of_two_workers_cost_one_request(upstream, tmp_path):
    """
    Twenty cold megabytes: one stream from the upstream, identical bodies for all.
    """
    package = upstream.add_package("Big", "1.0.0", padding=20 * MEGABYTE)
    upstream.fault("*.nupkg", slow(40 * MEGABYTE))
    server = Server(tmp_path / "data", "--workers", "2", upstream=upstream.url)
    try:
        await started(server)
        url = f"{server.base}/v3/flatcontainer/big/1.0.0/big.1.0.0.nupkg"
        async with a_session() as session:
            digests = await asyncio.gather(*(fetch(session, url) for _ in range(200)))
        assert upstream.requests_for("*.nupkg") == 1
        assert set(digests) == {hashlib.sha256(package.nupkg).hexdigest()}
        assert await metric(server, "nugetproxy_response_bytes_total") >= 200 * 20 * MEGABYTE
    finally:
        await stopped(server)
    assert leftovers(tmp_path / "data") == set()


async def test_documents_are_fetched_once_by_all_workers(upstream, tmp_path):
    for number in range(200):
        upstream.add_package("Many", f"1.0.{number}")
    server = Server(tmp_path / "data", "--workers", "2", upstream=upstream.url)
    paths = ["/v3/flatcontainer/many/index.json", "/v3/registration/many/index.json"]
    try:
        await started(server)
        async with a_session() as session:
            digests = await asyncio.gather(*(fetch(session, server.base + path) for path in paths * 50))
    finally:
        await stopped(server)
    assert len(set(digests)) == 2
    for asked in ("/v3-flatcontainer/many/index.json", "*/registration5-gz-semver2/many/index.json"):
        assert upstream.requests_for(asked) == 1, asked
    assert upstream.requests_for("/v3/index.json") <= 2  # the first contact of a start is one more
    assert upstream.requests_for("*/registration5-gz-semver2/many/page/*") == 4


async def test_killed_in_the_middle_of_a_hundred_downloads(upstream, tmp_path):
    """
    kill -9 of supervisor and workers; after a restart everything is served correctly and no partial files are left.
    """
    for number in range(100):
        upstream.add_package("Many", f"1.0.{number}", padding=200_000 + number)
    upstream.fault("*.nupkg", slow(150_000))
    server = Server(tmp_path / "data", "--workers", "2", upstream=upstream.url)
    try:
        await started(server)
        async with a_session() as session:
            askers = [asyncio.create_task(fetch(session, server.base + path_of(n))) for n in range(100)]
            async with asyncio.timeout(20):
                while upstream.sent < MEGABYTE:
                    await asyncio.sleep(0.01)
            server.kill()
            ended = await asyncio.gather(*askers, return_exceptions=True)
        assert len([end for end in ended if isinstance(end, Exception)]) > 50
        assert wrong(tmp_path / "data", upstream) == set()

        upstream.heal()
        await started(server)
        async with a_session() as session:
            digests = await asyncio.gather(*(fetch(session, server.base + path_of(n)) for n in range(100)))
        expected = [hashlib.sha256(_package(upstream, n)).hexdigest() for n in range(100)]
        assert digests == expected
        async with asyncio.timeout(20):  # a package is stored after its last byte was sent
            while len(list((tmp_path / "data" / "mirror").rglob("*.nupkg"))) < 100:
                await asyncio.sleep(0.05)
    finally:
        await stopped(server)
    assert wrong(tmp_path / "data", upstream) == set()
    assert len(list((tmp_path / "data" / "mirror").rglob("*.nupkg"))) == 100
    assert leftovers(tmp_path / "data") == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
async def test_a_disk_that_is_full_to_the_last_byte(upstream, tmp_path):
    """
    Nothing can be written at all, not even a document: clients notice nothing. With room again, packages are stored.
    """
    upstream.add_package("Many", "1.0.0", padding=2 * MEGABYTE)
    data = tmp_path / "data"
    data.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(data)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode()}")
    server = Server(data, upstream=upstream.url)
    try:
        await started(server)
        with (data / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass
        async with a_session() as session:
            for path in ("/v3/index.json", "/v3/flatcontainer/many/index.json", "/v3/registration/many/index.json"):
                await fetch(session, server.base + path)
            for _ in range(2):
                got = await fetch(session, server.base + path_of(0))
                assert got == hashlib.sha256(_package(upstream, 0)).hexdigest()
            assert await metric(server, "nugetproxy_store_failures_total") > 0
            assert wrong(data, upstream) == set()
            (data / "filler").unlink()
            await fetch(session, server.base + path_of(0))
        async with asyncio.timeout(10):
            while not list((data / "mirror").rglob("*.nupkg")):
                await asyncio.sleep(0.02)
        assert wrong(data, upstream) == set()
    finally:
        try:
            await stopped(server)
        finally:
            subprocess.run(["umount", str(data)], check=True)


async def test_a_mirror_of_a_mirror_has_the_same(stocked, tmp_path):
    """
    Two servers in a chain: lists, registrations, bytes and advisories arrive as from the first.
    """
    for number in range(150):
        stocked.add_package("Big", f"1.0.{number}")
    front = Server(tmp_path / "front", upstream=stocked.url)
    back = Server(tmp_path / "back", upstream=front.url)
    try:
        await started(front)
        await started(back)
        for path in (
            "/v3/flatcontainer/contoso.utils/index.json",
            "/v3/flatcontainer/contoso.utils/2.0.0/contoso.utils.2.0.0.nupkg",
            "/v3/flatcontainer/contoso.utils/2.0.0/contoso.utils.nuspec",
            "/v3/flatcontainer/contoso.utils/2.0.0/readme",
            "/v3/flatcontainer/contoso.utils/2.0.0/icon",
            *(f"/v3/{hive}/{name}/index.json" for name in ("contoso.utils", "big")
              for hive in ("registration", "registration-gz", "registration-gz-semver2")),
            "/v3/registration-gz-semver2/big/page/1.0.0/1.0.63.json",
            "/v3/registration-gz-semver2/contoso.utils/2.0.0.json",
            "/v3/catalog/contoso.utils/2.0.0.json",
            "/v3/query?q=contoso&semVerLevel=2.0.0",
            "/v3/autocomplete?q=contoso",
            "/v3/vulnerabilities/index.json",
            "/v3/vulnerabilities/base.json",
            "/v3/index.json",
        ):  # fmt: skip
            theirs, ours = [await asyncio.to_thread(_said, each, path) for each in (front, back)]
            assert ours == theirs, path
    finally:
        await stopped(back)
        await stopped(front)


async def test_a_client_that_left_does_not_hold_up_the_stop(stocked, tmp_path):
    """
    Its request is retried for half a minute while the upstream is silent; nobody waits for it any more.
    """
    stocked.fault("*", silent())
    server = Server(tmp_path / "data", upstream=stocked.url)
    await started(server)
    async with a_session() as session:
        asker = asyncio.create_task(fetch(session, f"{server.base}/v3/flatcontainer/contoso.utils/index.json"))
        async with asyncio.timeout(10):
            while not stocked.log:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        asker.cancel()
        await asyncio.gather(asker, return_exceptions=True)
    async with asyncio.timeout(15):
        assert await stopped(server) == 0


async def test_warm_answers_come_from_the_lane_with_the_same_headers(stocked, tmp_path):
    """
    The second and third answers skip the application; a client cannot tell.
    """
    server = Server(tmp_path / "data", upstream=stocked.url)
    paths = ("/v3/flatcontainer/contoso.utils/index.json", "/v3/registration-gz-semver2/contoso.utils/index.json",
             "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg", "/v3/index.json")  # fmt: skip
    try:
        await started(server)
        async with a_session() as session:
            for path in paths:
                seen: list[Any] = []
                for _ in range(4):
                    async with session.get(server.base + path) as answer:
                        body = await answer.read()
                        headers = {k: v for k, v in answer.headers.items() if k not in _CHANGING}
                        seen.append((answer.status, sorted(headers.items()), body))
                assert seen[-1] == seen[-2], path
                assert {each[2] for each in seen} == {seen[0][2]}
        assert await metric(server, "nugetproxy_requests_total") >= 4 * len(paths)
    finally:
        await stopped(server)


_CHANGING = ("Date", "X-Request-ID", "Age", "Cache-Status", "Cache-Control", "Connection")


def _said(server: Server, path: str) -> Any:
    """An answer's document, or bytes, whoever wrote it."""
    body = server.get(path, {"Accept-Encoding": "identity"}).replace(server.base.encode(), b"http://us")
    return json.loads(body) if body.startswith((b"{", b"[")) else body


def _package(upstream: FakeUpstream, number: int) -> bytes:
    return upstream.gallery.packages["many"][f"1.0.{number}"].nupkg


async def test_rendered_answers_are_shared_and_survive_a_restart(upstream, tmp_path):
    """
    What one worker rendered is found by the others and after a restart, until something about that package changes.
    """
    upstream.add_package("Many", "1.0.0")
    upstream.add_package("Few", "1.0.0")
    server = Server(tmp_path / "data", "--workers", "2", upstream=upstream.url)
    paths = [f"/v3/flatcontainer/{name}/index.json" for name in ("many", "few")]
    try:
        await started(server)
        async with aiohttp.ClientSession() as session:
            before = [await fetch(session, server.base + path) for path in paths]
            while "nugetproxy serves" not in server.log:  # all workers are there, and stop in an orderly way
                await asyncio.sleep(0.02)
        await stopped(server)
        await started(server)
        async with aiohttp.ClientSession() as session, aiohttp.ClientSession() as another:
            after = [await fetch(one, server.base + path) for one in (session, another) for path in paths * 5]
            await asyncio.sleep(1)  # until they are counted
        lines = (await asyncio.to_thread(server.get, "/metrics")).decode().splitlines()
    finally:
        await stopped(server)
    assert after == before * 10
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("nugetproxy_hot_lookups_total{"))
    assert float(found['nugetproxy_hot_lookups_total{found="disk"}']) >= 2
    assert float(found['nugetproxy_hot_lookups_total{found="none"}']) <= 8  # health and metrics, never the lists
