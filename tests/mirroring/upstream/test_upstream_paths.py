"""Paths to an upstream: through an outgoing proxy, and over TLS with a private CA."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nugetproxy.errors import ConfigError, UpstreamNonsense, UpstreamUnavailable
from tests.certificates import PrivateCA
from tests.fakes import faults
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.clients import a_client


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """The file of a private CA, and a server's context with a certificate of it."""
    ca = PrivateCA(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.issue())
    return ca.file, context


async def test_a_private_ca_is_trusted_when_named(authority):
    ca_file, context = authority
    async with FakeUpstream(tls=context) as upstream, a_client(upstream, ca_file=str(ca_file)) as client:
        assert (await client.fetch(upstream.url, patience=0)).status == 200


async def test_an_unknown_certificate_is_unavailable(authority):
    async with FakeUpstream(tls=authority[1]) as upstream, a_client(upstream) as client:
        with pytest.raises(UpstreamUnavailable, match="certificate verify failed"):
            await client.fetch(upstream.url, patience=0)
    assert upstream.log == []


async def test_from_https_there_is_no_way_to_http(authority, upstream):
    ca_file, context = authority
    async with FakeUpstream(tls=context) as secure, a_client(secure, ca_file=str(ca_file)) as client:
        secure.fault("/moved", faults.redirect(upstream.url))
        client.allow(upstream.url)

        with pytest.raises(UpstreamNonsense, match="https to http"):
            await client.fetch(f"{secure.base}/moved", patience=1)
    assert upstream.connections == 0


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_ca_file_that_cannot_be_used_is_reported_at_start(upstream, tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)

    with pytest.raises(ConfigError, match="ca_file"):
        async with a_client(upstream, ca_file=str(tmp_path / "ca.pem")):
            pass


@asynccontextmanager
async def an_outgoing_proxy(answer: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that gives every request the same answer; its address, and the heads of the requests."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    finally:
        server.close()
        await server.wait_closed()


EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


async def test_the_proxy_of_the_settings_is_used_with_its_password(upstream):
    async with (
        an_outgoing_proxy(EMPTY) as (address, heads),
        a_client(upstream, proxy=f"http://u:p@{address}") as client,
    ):
        assert (await client.fetch(upstream.url, patience=0)).body == b"{}"

    assert heads[0].startswith(f"GET {upstream.url} HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic dTpw" in heads[0]
    assert upstream.connections == 0


async def test_the_proxy_of_the_environment_is_used(upstream):
    async with (
        an_outgoing_proxy(EMPTY) as (address, heads),
        a_client(upstream, environ={"HTTP_PROXY": f"http://{address}"}) as client,
    ):
        await client.fetch(upstream.url, patience=0)

    assert len(heads) == 1


async def test_an_exempt_host_is_reached_directly(upstream):
    environ = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    async with a_client(upstream, environ=environ) as client:
        assert (await client.fetch(upstream.url, patience=0)).status == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_is_unavailable(upstream, scheme):
    refusal = b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    url = f"{scheme}://feed.invalid/index.json"
    async with (
        an_outgoing_proxy(refusal) as (address, heads),
        a_client(upstream, service_index=url, proxy=f"http://{address}") as client,
    ):
        with pytest.raises(UpstreamUnavailable) as caught:
            await client.fetch(url, patience=0)

    assert f"the proxy http://{address} (from the setting proxy) answered 407 Who are you" in str(caught.value)
    assert "user and password of the proxy" in caught.value.remedy
    assert heads[0].startswith("CONNECT feed.invalid:443 " if scheme == "https" else f"GET {url} ")
