"""What the first contact with an upstream reports: each way in which settings can be wrong, over real sockets."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.config import UpstreamSettings
from nugetproxy.httpcache.stored import ReceivedAnswer
from nugetproxy.mirroring.upstream.first_contact import (
    FirstContact,
    clock_difference,
    first_contact,
    judge_service_index,
)
from tests.certificates import PrivateCA
from tests.fakes import faults
from tests.fakes.upstream import FakeUpstream
from tests.ports import dead_port

ROOM = b'<?xml version="1.0" encoding="utf-8"?>\n'


def answered(body: bytes, status: int = 200) -> ReceivedAnswer:
    return ReceivedAnswer(status=status, body=body, etag="", last_modified="", content_type="", url="", headers={})


@pytest.mark.parametrize(
    ("answer", "why", "remedy"),
    [
        (answered(b"", 404), "answered 404", "check service_index"),
        (answered(b""), "no V3 service index: not JSON", "check service_index"),
        (answered(b"pong"), "no V3 service index: not JSON", "check service_index"),
        (answered(b"[]"), "no V3 service index: expected a JSON object", "check service_index"),
        (answered(b'{"status":"ok"}'), "its version is not 3.x", "check service_index"),
        (answered(b'{"version":"3.0.0","resources":[]}'), "lists neither packages nor", "check service_index"),
        (answered(b"<!DOCTYPE html><p>Log in"), "a web page", "captive portal"),
        (answered(b"\xef\xbb\xbf \n<HTML lang='de'>"), "a web page", "captive portal"),
        (answered(ROOM + b'<service xmlns="http://www.w3.org/2007/app">'), "a V2 (OData) feed", "V2 feeds cannot"),
        (answered(ROOM + b'<feed xmlns="http://www.w3.org/2005/Atom">'), "a V2 (OData) feed", "V2 feeds cannot"),
        (answered(ROOM + b"<Error><Code>AccessDenied</Code></Error>"), "XML", "check service_index"),
    ],
)
def test_an_answer_that_is_no_service_index(answer, why, remedy):
    told = judge_service_index(answer)

    assert why in told[0]
    assert remedy in told[1]


async def contact(url: str, environ: dict[str, str] | None = None, **settings: Any) -> FirstContact:
    given: dict[str, Any] = {"name": "feed", "service_index": url, "head_timeout": 0.3, "connect_timeout": 5.0}
    return await first_contact(UpstreamSettings(**given | settings), user_agent="t", environ=environ or {})


async def test_an_upstream_that_can_be_used(upstream):
    told = await contact(f"{upstream.url}?sig=s3cret")

    assert (told.upstream, told.service_index, told.why, told.remedy) == ("feed", upstream.url, "", "")
    assert 0 < told.seconds < 5
    assert upstream.requests_for("*") == 1


@pytest.mark.parametrize(
    ("fault", "why", "remedy"),
    [
        (faults.status(401), "answered 401 Unauthorized", "username and password_file"),
        (faults.status(403), "answered 403 Forbidden", "username and password_file"),
        (faults.status(503), "answered 503 Service Unavailable", ""),
        (faults.status(404), "answered 404", "check service_index"),
        (faults.silent(), "no answer in time", "HTTPS_PROXY"),
        (faults.closed(), "the connection broke", ""),
        (faults.captive_portal(), "a web page", "captive portal"),
        (faults.redirect("https://other.example/v3/index.json"), "it names https://other.example:443", "allowed_hosts"),
    ],
)
async def test_one_that_answers_something_else(upstream, fault, why, remedy):
    upstream.fault("*", fault)
    told = await contact(upstream.url)

    assert why in told.why
    assert remedy in told.remedy


async def test_one_that_is_not_there():
    with dead_port() as port:
        told = await contact(f"http://127.0.0.1:{port}/v3/index.json")

    assert told.why == "cannot connect to 127.0.0.1: Connection refused"
    assert "check host and port" in told.remedy


async def test_a_name_that_does_not_resolve():
    told = await contact("https://no-such-host.invalid/v3/index.json")

    assert told.why.startswith("cannot connect to no-such-host.invalid: ")
    assert "check the host in service_index" in told.remedy


@asynccontextmanager
async def a_secure_upstream(folder: Path) -> AsyncIterator[tuple[FakeUpstream, Path]]:
    ca = PrivateCA(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.issue())
    async with FakeUpstream(tls=context) as upstream:
        yield upstream, ca.file


async def test_certificates(tmp_path, monkeypatch):
    """
    The certificate is for localhost and 127.0.0.1.
    """
    async with a_secure_upstream(tmp_path) as (secure, ca_file):
        unknown = await contact(secure.url)
        known = await contact(secure.url, ca_file=str(ca_file))
        resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", secure.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved)
        another = await contact(secure.url.replace("127.0.0.1", "feed.example"), ca_file=str(ca_file))

    assert known.why == ""
    assert (
        unknown.why == "cannot connect to 127.0.0.1: certificate verify failed: unable to get local issuer certificate"
    )
    assert "ca_file" in unknown.remedy
    assert "certificate verify failed: Hostname mismatch" in another.why
    assert "a host name that its certificate is for" in another.remedy


async def test_a_port_that_speaks_no_tls():
    async with a_server(b"HTTP/1.1 400 Bad Request\r\n\r\n", after=b"\x16\x03") as port:
        told = await contact(f"https://127.0.0.1:{port}/v3/index.json")

    assert told.why == "cannot connect to 127.0.0.1: TLS failed: wrong version number"
    assert "use http://" in told.remedy


@asynccontextmanager
async def a_server(answer: bytes, *, after: bytes) -> AsyncIterator[int]:
    """Its port: every connection gets the same answer as soon as this was read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(after)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_an_outgoing_proxy_that_is_not_there():
    with dead_port() as port:
        proxy = f"http://me:s3cret@127.0.0.1:{port}"
        told = await contact("https://feed.example/v3/index.json", {"HTTPS_PROXY": proxy})

    assert told.through == f"the proxy http://***@127.0.0.1:{port} (from HTTPS_PROXY)"
    assert told.why == f"cannot connect to {told.through}: Connection refused"
    assert told.remedy == "check the address in HTTPS_PROXY, and that the proxy runs"


@pytest.mark.parametrize(("status", "remedy"), [(b"407 Who", "user and password"), (b"403 No", "may reach the server")])
async def test_an_outgoing_proxy_that_refuses(status, remedy):
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with a_server(answer, after=b"\r\n\r\n") as port:
        proxy = f"http://127.0.0.1:{port}"
        told = await contact("https://feed.example/v3/index.json", {"HTTPS_PROXY": proxy})

    assert told.why == f"the proxy {proxy} (from HTTPS_PROXY) answered {status.decode()}"
    assert remedy in told.remedy


async def test_a_proxy_that_cannot_be_used():
    told = await contact("https://feed.example/v3/index.json", {"HTTPS_PROXY": "socks5://127.0.0.1:1080"})

    assert "HTTPS_PROXY does not name an outgoing proxy" in told.why


async def test_a_proxy_that_works(upstream):
    """
    The upstream acts as the proxy too: it accepts requests for whole URLs.
    """
    async with FakeUpstream() as proxy:
        told = await contact("http://feed.example/v3/index.json", {"HTTP_PROXY": proxy.base})

    assert told.through == f"the proxy {proxy.base} (from HTTP_PROXY)"
    assert [each.path for each in proxy.log] == ["http://feed.example/v3/index.json"]


@pytest.mark.parametrize(
    ("headers", "ahead"),
    [
        ({"date": "Fri, 15 Jan 2027 08:00:07 GMT"}, 7.0),
        ({"date": "Fri, 15 Jan 2027 07:59:00 GMT", "age": "30"}, -30.0),
        ({"date": "Fri, 15 Jan 2027 08:00:00 GMT", "age": "soon"}, None),
        ({"date": "yesterday"}, None),
        ({"date": ""}, None),
        ({}, None),
    ],
)
def test_the_clock_of_an_upstream(headers, ahead):
    assert clock_difference(headers, 1_800_000_000.0) == ahead
