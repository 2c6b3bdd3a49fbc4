"""The follower over the real client: an upstream that fails costs few requests, and never a wrong answer."""

import pytest

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import UpstreamError
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.mirroring.upstream.client import UpstreamClient
from tests.fakes.catalog import FakeCatalog
from tests.fakes.faults import captive_portal, closed, reset_midway, slow, status, truncated, wrong_length
from tests.fakes.gallery import Document
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.catalog.world import World

FAULTS = {
    "500": status(500),
    "404": status(404),
    "a captive portal": captive_portal(),
    "truncated": truncated(100),
    "reset": reset_midway(100),
    "closed": closed(),
    "a wrong length": wrong_length(7),
}


@pytest.fixture
async def followed(world, server, monkeypatch):
    """A process whose upstream is a server on loopback. Its catalog has one event."""
    process = world.process()
    settings = UpstreamSettings(name="up", service_index=server.url, patience=0.2)
    client = UpstreamClient(settings, user_agent="test")
    await client.start()
    process.follower._source = MirroredSource(
        client, service_index=server.url, mode=process.source.mode, documents=process.documents
    )
    monkeypatch.setattr("nugetproxy.mirroring.catalog.follower._PATIENCE", 0.2)
    yield process
    await client.close()


@pytest.fixture
async def server():
    async with FakeUpstream() as server:
        yield server


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    yield world
    await world.close()


def show(server, catalog: FakeCatalog) -> None:
    for url, body in catalog.documents().items():
        server.gallery.extra[url.removeprefix(server.base)] = Document(body)


@pytest.mark.parametrize("where", ["index.json", "page0.json"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_a_failed_poll(world, server, followed, fault, where):
    catalog = FakeCatalog(server.base)
    catalog.add(world.now, "Contoso.Base")
    show(server, catalog)
    server.fault(f"*/catalog0/{where}", FAULTS[fault])
    with pytest.raises(UpstreamError):
        await followed.follow()

    assert followed.record.find("up") is None
    assert 1 <= server.requests_for("*/catalog0/*") <= 12


async def test_a_slow_catalog_is_read_all_the_same(world, server, followed):
    catalog = FakeCatalog(server.base)
    for number in range(100):
        catalog.add(world.now + number, f"Id{number}")
    show(server, catalog)
    server.fault("*/catalog0/*", slow(50_000))
    await followed.follow()

    assert world.now == followed.record.find("up").polled
