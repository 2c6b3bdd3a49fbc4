"""Malformed and hostile requests over raw sockets to a real server: a clear 4xx, and no trace on disk."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.mirror import files_below, running
from tests.serving import Server

TARGETS = [
    "/v3/flatcontainer/..%2F..%2Fetc/index.json",
    "/v3/flatcontainer/%2e%2e/%2e%2e/etc/passwd",
    "/v3/flatcontainer/../../../etc/passwd",
    "/v3/flatcontainer/x/..%5c..%5cx/x.nupkg",
    "/v3/flatcontainer/x%00y/index.json",
    "/v3/flatcontainer/x/1.0.0%00/x.1.0.0.nupkg",
    "/v3/flatcontainer/%/index.json",
    "/v3/flatcontainer/%zz/index.json",
    "/v3/flatcontainer/" + "a" * 101 + "/index.json",
    "/v3/flatcontainer/" + "a" * 5000 + "/index.json",
    "/v3/flatcontainer/x/1.0.0-" + "a" * 5000 + "/x.nupkg",
    "/v3/flatcontainer/x/99999999999999999999.0/x.99999999999999999999.0.nupkg",
    "/v3/flatcontainer/x/not.a.version/x.not.a.version.nupkg",
    "/v3/flatcontainer/./index.json",
    "/v3/flatcontainer/.../index.json",
    "/v3/flatcontainer/-x/index.json",
    "/v3/flatcontainer/x y/index.json",
    "/v3/flatcontainer/x%20y/index.json",
    "/v3/flatcontainer/x%0d%0aSet-Cookie:%20a/index.json",
    "/v3/flatcontainer/%ff%fe/index.json",
    "/v3/flatcontainer//index.json",
    "/v3/registration/..%2f/index.json",
    "/v3/registration/x/page/1.0.0/..%2F.json",
    "/v3/registration-evil/x/index.json",
    "/v3/catalog/..%2F..%2Fx/1.0.0.json",
    "/v3/vulnerabilities/..%2Findex.json",
    "/v3/vulnerabilities/nobody.json",
    "/v3/repository-signatures/certificates/..%2F..%2Fx.crt",
    "http://evil.example.com/v3/index.json",
    "//evil.example.com/v3/index.json",
    "*",
    "v3/index.json",
    "/v3/index.json#fragment",
    "/" + "x" * 9000,
    "/%2e%2e/%2e%2e/etc/passwd",
    "/metrics/../v3/index.json",
]

HEADS = {
    "length and chunks": (
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two lengths": "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length with a sign": "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
    "length of words": "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\nhello",
    "chunked twice": "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "bare line feeds": "GET / HTTP/1.1\nHost: x\n\n",
    "folded header": "GET / HTTP/1.1\r\nHost: x\r\nX-Long: a\r\n b\r\n\r\n",
    "blank before colon": "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "no colon": "GET / HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n",
    "no host": "GET /v3/index.json HTTP/1.1\r\n\r\n",
    "two hosts": "GET /v3/index.json HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "host with a path": "GET /v3/index.json HTTP/1.1\r\nHost: x/../y\r\n\r\n",
    "host with a line end": "GET /v3/index.json HTTP/1.1\r\nHost: x\ry\r\n\r\n",
    "control character": "GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "header flood": "GET / HTTP/1.1\r\nHost: x\r\n" + "X-Y: z\r\n" * 20_000 + "\r\n",
    "endless header": "GET / HTTP/1.1\r\nHost: x\r\nX-Y: " + "z" * 200_000 + "\r\n\r\n",
    "unknown protocol": "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "no protocol": "GET /\r\nHost: x\r\n\r\n",
    "tls to a plain port": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "connect": "CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com:443\r\n\r\n",
    "put": "PUT /v3/package HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "large body": "POST /v3/index.json HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose upstream refuses connections: refused requests must not reach it."""
    config = '[[mirroring.upstream]]\nservice_index = "http://127.0.0.1:9/v3/index.json"\npatience = "100ms"\n'
    with Server(tmp_path_factory.mktemp("bad") / "data", config=config) as running_server:
        yield running_server


def sent(server: Server, request: bytes) -> bytes:
    """Everything received until the server closes, or is silent for a while."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        try:
            connection.sendall(request)
            while part := connection.recv(65536):
                received += part
                connection.settimeout(0.2)
        except (ConnectionError, TimeoutError):
            pass  # it was refused and closed before it had read everything, or waits for more
    return received


def statuses(answer: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", answer, re.MULTILINE)]


def traces(data: Path) -> set[str]:
    return {name for name in files_below(data) if not name.startswith(("documents/", "inventory.db", "metrics"))}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:50])
def test_an_odd_target_is_refused(server, target):
    before = traces(server.data)
    answer = sent(server, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert [status for status in statuses(answer) if not 400 <= status < 500] == []
    assert len(statuses(answer)) == 1
    assert traces(server.data) <= before
    assert b"root:" not in answer


@pytest.mark.parametrize("name", HEADS)
def test_an_odd_head_is_refused(server, name):
    """
    At most one answer, and none to a second request hidden in the first.
    """
    before = traces(server.data)
    hidden = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = sent(server, HEADS[name].encode("latin-1") + hidden)
    assert statuses(answer)[:1] == [] or 400 <= statuses(answer)[0] < 500 or statuses(answer)[0] in (501, 505)
    assert len(statuses(answer)) <= 1
    assert traces(server.data) <= before


@pytest.mark.parametrize(
    "value",
    [
        "bytes=-",
        "bytes=5-1",
        "bytes=a-b",
        "bytes=0-0,5-6",
        "lines=1-2",
        "bytes=99999999999999999999-",
        "bytes==1-2",
        "x",
    ],
)
async def test_an_odd_range_never_breaks_an_answer(stocked, tmp_path, value):
    """
    416 for ranges beyond the file; an invalid range is ignored.
    """
    path = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
    async with running(tmp_path, stocked) as mirror:
        whole = (await mirror.get(path)).body
        answer = await mirror.get(path, {"Range": value})
    assert (answer.status, answer.body) in ((200, whole), (416, b""))


def test_it_still_serves(server):
    """
    After all of the above, in any order.
    """
    assert server.get("/health/live") == b'{"live":true}'
    assert server.metric("nugetproxy_requests_total") > 0
