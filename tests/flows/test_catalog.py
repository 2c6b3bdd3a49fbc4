"""Following the upstream's catalog through the whole application."""

import asyncio
import json
import re
import time

import pytest

from tests.fakes.catalog import FakeCatalog
from tests.fakes.gallery import Document
from tests.flows.mirror import MOMENT, running, short_lived
from tests.serving import Server
from tests.standin import StandIn

UTILS = "/v3/flatcontainer/contoso.utils/index.json"
BASE = "/v3/flatcontainer/contoso.base/index.json"
FOLLOWING = {"catalog": "auto", "catalog_poll": 1.0}


def show(catalog: FakeCatalog, upstream) -> None:
    for url, body in catalog.documents().items():
        upstream.gallery.extra[url.removeprefix(upstream.base)] = Document(body)


async def until(condition, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_only_what_changed_is_asked_for_again(stocked, tmp_path):
    catalog = FakeCatalog(stocked.base)
    catalog.add(time.time() - 30, "Somebody.Else")
    show(catalog, stocked)
    async with running(tmp_path, stocked, freshness=short_lived(), mirroring=FOLLOWING) as mirror:

        async def followed():
            await mirror.get(BASE)
            await asyncio.sleep(2 * MOMENT)
            return "; hit; ttl=" in (await mirror.get(BASE)).cache

        await until(followed)
        await mirror.get(UTILS)
        before = stocked.requests_for("*/contoso.base/index.json")
        stocked.add_package("Contoso.Utils", "9.0.0")
        catalog.add(time.time(), "Contoso.Utils", "9.0.0")
        show(catalog, stocked)
        asked = stocked.requests_for("*/catalog0/*")

        async def seen():
            await mirror.get(BASE)
            return "9.0.0" in (await mirror.json(UTILS))["versions"]

        await until(seen)
        assert before == stocked.requests_for("*/contoso.base/index.json")
        assert stocked.requests_for("*/catalog0/*") - asked <= 4


def test_kill_9_while_following_misses_nothing(tmp_path):
    """
    With the default minute of freshness a version published while the server is dead would be hidden for that long.
    """
    with StandIn() as upstream:
        server = Server(
            tmp_path / "data",
            "--workers",
            "2",
            upstream=upstream.url,
            environ={"NUGETPROXY_MIRRORING__CATALOG_POLL": "1s"},
        )
        with server:
            wait(lambda: polls(server, "changed") >= 1)
            assert "9.9.9" not in versions(server, "dapper")
            server.kill()
            upstream.control("publish", {"id": "Dapper", "version": "9.9.9"})
            server.start()
            wait(lambda: "9.9.9" in versions(server, "dapper"))
            asked = [path for path in upstream.requests() if "catalog0/page" in path]
            assert 1 <= len(asked) <= 2
            upstream.faults({"match": "catalog0", "kind": "html", "times": 100})
            wait(lambda: polls(server, "failed") >= 1)
            assert "9.9.9" in versions(server, "dapper")


def polls(server: Server, result: str) -> float:
    found = re.findall(rf'nugetproxy_catalog_polls_total{{result="{result}".*}} (\S+)', server.get("/metrics").decode())
    return sum(map(float, found))


def versions(server: Server, lower_id: str) -> list[str]:
    return list(json.loads(server.get(f"/v3/flatcontainer/{lower_id}/index.json"))["versions"])


def wait(condition, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("not in time")
        time.sleep(0.1)
