"""Where connections are made: over real sockets, with names that resolve as a test chooses.

Everything here listens on loopback, so 127.0.0.2 is declared a public address; 127.0.0.1 is one of our own.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import pytest
from structlog.testing import capture_logs

from nugetproxy.errors import UpstreamNonsense, UpstreamUnavailable
from nugetproxy.mirroring.upstream import egress
from nugetproxy.mirroring.upstream.addresses import Address, Place, place_of
from nugetproxy.mirroring.upstream.client import UpstreamClient
from tests.fakes import faults
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.clients import a_client
from tests.ports import dead_port

OURS, PUBLIC = "127.0.0.1", "127.0.0.2"
LIST = "/v3-flatcontainer/a/index.json"


class Names:
    """A resolver: the addresses of each name, and how often it was asked."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked: list[str] = []

    def resolve(self, host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "",
             (address, port, 0, 0) if ":" in address else (address, port))
            for address in self.addresses[host]
        ]  # fmt: skip


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    def place(address: Address) -> Place:
        return Place.PUBLIC if address == ip_address(PUBLIC) else place_of(address)

    resolver = Names()
    resolver.addresses = {"feed.example": [OURS], "cdn.example": [PUBLIC]}
    monkeypatch.setattr(socket, "getaddrinfo", resolver.resolve)
    monkeypatch.setattr("aiohttp.connector._DNSCacheTable.expired", lambda *_: True)
    monkeypatch.setattr(egress, "place_of", place)
    return resolver


@asynccontextmanager
async def public_client(home: FakeUpstream, **settings: Any) -> AsyncIterator[UpstreamClient]:
    """A client of the upstream at http://feed.example, which is public by its name."""
    async with a_client(
        home, **{"service_index": f"http://feed.example:{home.port}/v3/index.json"} | settings
    ) as client:
        yield client


@pytest.fixture
async def inside() -> AsyncIterator[FakeUpstream]:
    """A server in our own network that no upstream may reach."""
    async with FakeUpstream(host=OURS) as running:
        running.add_package("A", "1.0.0")
        yield running


async def test_the_service_index_may_lie_in_our_own_network(names, upstream):
    """
    The operator named it: an internal mirror may have the public name.
    """
    async with public_client(upstream) as client:
        assert (await client.fetch(f"http://feed.example:{upstream.port}/v3/index.json", patience=0)).status == 200


async def test_a_name_of_the_service_index_that_leads_inside_is_not_connected_to(names, upstream, inside):
    names.addresses["cdn.example"] = [OURS]
    async with public_client(upstream) as client:
        client.allow(f"http://cdn.example:{inside.port}/v3-flatcontainer/")

        with capture_logs() as logs, pytest.raises(UpstreamNonsense, match="leads to a loopback address") as caught:
            await client.fetch(f"http://cdn.example:{inside.port}{LIST}", patience=5)
        health = client.health_of(f"http://cdn.example:{inside.port}{LIST}")

    assert inside.connections == 0
    assert OURS not in str(caught.value), "clients read this"
    assert [(each["event"], each["host"], each["address"]) for each in logs] == [
        ("upstream_address_refused", "cdn.example", OURS)
    ]
    assert health.name == "GOOD", "no request was sent, so nothing is known"


async def test_a_redirect_to_a_name_that_leads_inside_is_not_followed(names, upstream, inside):
    names.addresses["cdn.example"] = [OURS]
    upstream.fault("/moved", faults.redirect(f"http://cdn.example:{inside.port}{LIST}"))
    async with public_client(upstream) as client:
        client.allow(f"http://cdn.example:{inside.port}/")

        with pytest.raises(UpstreamNonsense, match="leads to"):
            await client.fetch(f"http://feed.example:{upstream.port}/moved", patience=5)

    assert inside.connections == 0


async def test_a_download_is_not_connected_either(names, upstream, inside):
    names.addresses["cdn.example"] = [OURS]
    async with public_client(upstream) as client:
        client.allow(f"http://cdn.example:{inside.port}/")

        with pytest.raises(UpstreamNonsense, match="leads to"):
            async with client.download(f"http://cdn.example:{inside.port}/a.nupkg", patience=5):
                pass

    assert inside.connections == 0


async def test_a_name_that_leads_inside_the_second_time_is_refused_then(names, upstream, inside):
    """
    The checked address is the one that is connected to: there is no gap in between (DNS rebinding).
    """
    cdn = FakeUpstream(host=PUBLIC)
    cdn.port = inside.port
    async with cdn, public_client(upstream) as client:
        client.allow(f"http://cdn.example:{cdn.port}/")
        assert (await client.fetch(cdn.url.replace(PUBLIC, "cdn.example"), patience=0)).status == 200

        names.addresses["cdn.example"] = [OURS]
        await cdn.die()  # otherwise its connection would be reused
        with pytest.raises(UpstreamNonsense, match="leads to"):
            await client.fetch(cdn.url.replace(PUBLIC, "cdn.example"), patience=5)

    assert (cdn.connections, inside.connections) == (1, 0)


@pytest.mark.parametrize("addresses", [[OURS, PUBLIC], [PUBLIC, OURS], ["::1", "10.0.0.1", PUBLIC]])
async def test_of_several_addresses_the_public_ones_are_used(names, upstream, addresses):
    names.addresses["cdn.example"] = addresses
    async with FakeUpstream(host=PUBLIC) as cdn, public_client(upstream) as client:
        client.allow(f"http://cdn.example:{cdn.port}/")

        assert (await client.fetch(cdn.url.replace(PUBLIC, "cdn.example"), patience=0)).status == 200


@pytest.mark.parametrize("addresses", [["10.0.0.1", "192.168.0.1"], ["::1", OURS], ["fd00::1", "64:ff9b::a00:1"]])
async def test_several_addresses_of_which_none_is_public(names, upstream, addresses):
    names.addresses["cdn.example"] = addresses
    async with public_client(upstream) as client:
        client.allow(f"http://cdn.example:{upstream.port}/")

        with pytest.raises(UpstreamNonsense, match="leads to"):
            await client.fetch(f"http://cdn.example:{upstream.port}/x", patience=5)
    assert upstream.connections == 0


async def test_a_connection_of_the_service_index_is_not_lent_to_a_name_of_the_upstream(names, inside):
    """
    Both are the same server and port: one name may be used there, the other may not.
    """
    names.addresses["feed.example."] = [OURS]
    names.addresses["cdn.example"] = [OURS]
    async with public_client(inside) as client:
        client.allow(f"http://cdn.example:{inside.port}/")
        await client.fetch(f"http://feed.example:{inside.port}{LIST}", patience=0)

        with pytest.raises(UpstreamNonsense, match="leads to"):
            await client.fetch(f"http://cdn.example:{inside.port}{LIST}", patience=0)
    assert inside.connections == 1


ALLOWED = [
    (["cdn.example"], True),
    (["cdn.example:{port}"], True),
    (["*.example.net"], False),
    (["*.cdn.example"], False),
]


@pytest.mark.parametrize(("allowed", "is_reached"), ALLOWED)
async def test_allowed_hosts_opens_the_hosts_that_it_names(names, upstream, inside, allowed, is_reached):
    """
    A wildcard names no host: the owner of a name under that domain would decide where it leads.
    """
    names.addresses |= {"cdn.example": [OURS], "a.example.net": [OURS], "a.cdn.example": [OURS]}
    host = allowed[0].replace("*", "a").partition(":")[0]
    entries = [entry.format(port=inside.port) if "{" in entry else f"{entry}:{inside.port}" for entry in allowed]
    async with public_client(upstream, allowed_hosts=entries) as client:
        if is_reached:
            assert (await client.fetch(f"http://{host}:{inside.port}{LIST}", patience=0)).status == 200
        else:
            with pytest.raises(UpstreamNonsense, match="name it in allowed_hosts"):
                await client.fetch(f"http://{host}:{inside.port}{LIST}", patience=0)

    assert inside.connections == int(is_reached)


async def test_an_upstream_at_an_address_of_our_own_may_name_hosts_inside(names, upstream, inside):
    names.addresses["cdn.example"] = [OURS]
    async with a_client(upstream) as client:
        client.allow(f"http://cdn.example:{inside.port}/")

        assert (await client.fetch(f"http://cdn.example:{inside.port}{LIST}", patience=0)).status == 200


@pytest.mark.parametrize("host", ["feed.example", "cdn.example"])
async def test_no_name_leads_to_the_metadata_service_of_a_cloud(names, upstream, host):
    names.addresses[host] = ["169.254.169.254"]
    async with public_client(upstream, allowed_hosts=["cdn.example:80"]) as client:
        with pytest.raises(UpstreamNonsense, match=r"leads to a cloud's metadata service$"):
            await client.fetch(f"http://{host}:{upstream.port if host == 'feed.example' else 80}/x", patience=5)


async def test_names_are_not_resolved_where_a_proxy_does_it(names, upstream, inside):
    """
    The proxy is internal and is asked for a name that leads inside; the proxy itself must refuse this.
    """
    environ = {"HTTP_PROXY": inside.base}
    async with public_client(upstream, environ=environ) as client:
        client.allow("http://cdn.example/")
        await client.fetch(f"http://cdn.example{LIST}", patience=0)
        asked, connections = list(names.asked), inside.connections

        client.allow("http://10.0.0.1/")
        with pytest.raises(UpstreamNonsense, match="leads to a private network"):
            await client.fetch("http://10.0.0.1/x", patience=0)
    assert "cdn.example" not in asked
    assert (connections, inside.connections) == (1, 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_dead_proxy_is_named_with_its_source(names, upstream, scheme):
    home, source = f"{scheme}://feed.example/v3/index.json", f"{scheme.upper()}_PROXY"
    with dead_port() as port:
        environ = {source: f"http://me:s3cret@127.0.0.1:{port}"}
        async with a_client(upstream, service_index=home, environ=environ) as client:
            with pytest.raises(UpstreamUnavailable) as caught:
                await client.fetch(home, patience=0)

    assert f"cannot connect to the proxy http://***@127.0.0.1:{port} (from {source})" in str(caught.value)
    assert source in caught.value.remedy
