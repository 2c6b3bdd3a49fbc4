"""kill -9 of the whole server in the middle of pushes: no acknowledged push is lost, and none is partly there."""

import asyncio
import random
from pathlib import Path

from nugetproxy.hosting.upkeep import check_blobs, sweep_unreferenced_blobs
from tests.builders import make_nupkg
from tests.engines.main_database import fetched
from tests.flows.test_private_feed import Visitor, key_of_bob
from tests.hosting.house import House
from tests.private import PROTECTING
from tests.serving import Server

ROUNDS = 9
PUSHERS = 9
"""Each kill interrupts as many pushes. Servers are dear, pushers are not."""


def package(round_: int, who: int, number: int) -> tuple[str, bytes]:
    version = f"{round_}.{who}.{number}"
    return version, make_nupkg("Contoso.Killed", version, payload=version.encode() * 20_000)


async def push_until_the_end(server: Server, key: str, round_: int, who: int, told: list[str]) -> None:
    """Remember what was acknowledged."""
    visitor = Visitor(*await asyncio.open_connection("127.0.0.1", server.port))
    number = 0
    try:
        while True:
            version, content = package(round_, who, number)
            number += 1
            if (await visitor.push(key, content)).status == 201:
                told.append(version)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        await visitor.leave()


async def test_killed_in_the_middle_of_pushes(upstream, tmp_path):
    data = tmp_path / "data"
    server = Server(data, "--workers", "2", upstream=upstream.url, config=PROTECTING)
    moments = random.Random(4)
    acknowledged: list[str] = []
    key = ""
    try:
        for round_ in range(ROUNDS):
            await asyncio.to_thread(server.start)
            key = key or await asyncio.to_thread(key_of_bob, data)
            told: list[str] = []
            pushers = [
                asyncio.create_task(push_until_the_end(server, key, round_, who, told)) for who in range(PUSHERS)
            ]
            async with asyncio.timeout(30):
                while not told:
                    await asyncio.sleep(0.005)
            await asyncio.sleep(moments.uniform(0, 0.1))
            server.kill()
            await asyncio.gather(*pushers)
            acknowledged += told
        await asyncio.to_thread(server.start)
        await everything_is_whole(server, acknowledged)
    finally:
        await asyncio.to_thread(server.stop)
    await nothing_is_left_over(data)


async def everything_is_whole(server: Server, acknowledged: list[str]) -> None:
    visitor = Visitor(*await asyncio.open_connection("127.0.0.1", server.port))
    shown = (await visitor.ask("/v3/flatcontainer/contoso.killed/index.json")).json["versions"]
    assert len(acknowledged) >= ROUNDS
    assert set(acknowledged) <= set(shown)
    for version in shown:
        path = f"/v3/flatcontainer/contoso.killed/{version}/contoso.killed.{version}.nupkg"
        round_, who, number = map(int, version.split("."))
        assert (await visitor.ask(path)).body == package(round_, who, number)[1]
        assert (await visitor.ask(f"/v3/registration/contoso.killed/{version}.json")).status == 200
    hit = (await visitor.ask("/v3/query?q=packageid:contoso.killed")).json["data"][0]
    assert {each["version"] for each in hit["versions"]} == set(shown)
    pages = (await visitor.ask("/v3/catalog0/index.json")).json["items"]
    assert sum(page["count"] for page in pages) == len(shown)
    await visitor.leave()


async def nothing_is_left_over(data: Path) -> None:
    house = House(data)
    assert await check_blobs(house.database, house.packages, house.blobs) == ()
    await sweep_unreferenced_blobs(house.database, house.packages, house.blobs, unneeded_for=0, older_than=-60)
    assert len(house.files()) == len(await house.packages.versions("contoso.killed"))
    assert house.leftovers() == []
    assert fetched(house.database, "PRAGMA integrity_check") == [("ok",)]
    house.close()
