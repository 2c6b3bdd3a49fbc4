"""Requests that no legitimate client sends: a clear 4xx, nothing asked of the feed, and a short log."""

import asyncio
import json
import logging

import pytest

from nugetproxy.feeds.base import Part, SmallContent
from nugetproxy.web.hot.table import HotTable
from tests.fakes.feed import FakeFeed
from tests.web.serving import raw, serving

PACKAGE = "/v3/flatcontainer/contoso.utils"


def get(target: str, headers: str = "Host: x\r\n") -> bytes:
    return f"GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode("latin-1")


BAD_TARGETS = [
    f"{PACKAGE}/..%2f..%2fetc%2fpasswd/index.json",
    f"{PACKAGE}/..%2F..%2Fetc/passwd",
    "/v3/flatcontainer/../../etc/passwd",
    "/v3/flatcontainer/%2e%2e/%2E%2E/index.json",
    "/v3/flatcontainer/./index.json",
    f"{PACKAGE}/1.0.0/..",
    "/v3/flatcontainer/contoso%00utils/index.json",
    "/v3/flatcontainer/contoso%0d%0autils/index.json",
    "/v3/flatcontainer/contoso%7futils/index.json",
    "/v3/flatcontainer/contoso%5cutils/index.json",
    "/v3/flatcontainer/contoso\\utils/index.json",
    "/v3/flatcontainer/contoso%zzutils/index.json",
    "/v3/flatcontainer/contoso%20utils/index.json",
    "/v3/flatcontainer/contoso$utils/index.json",
    "/v3/flatcontainer/%FF%FE/index.json",
    "/v3/flatcontainer/.../index.json",
    f"/v3/flatcontainer/{'a' * 101}/index.json",
    f"/v3/flatcontainer/{'a' * 4000}/index.json",
    f"/v3/registration/{'a' * 300}/index.json",
    f"{PACKAGE}/one/contoso.utils.one.nupkg",
    f"{PACKAGE}/99999999999.0.0/contoso.utils.99999999999.0.0.nupkg",
    f"{PACKAGE}/1.0.0-{'a' * 300}/contoso.utils.nuspec",
    "/v3/registration/contoso.utils/one.json",
    "/v3/registration/contoso.utils/page/one/two.json",
    "/v3/catalog/contoso.utils/one.json",
    "http://elsewhere.test/v3/index.json",
    "https://127.0.0.1/v3/index.json",
    "//elsewhere.test/v3/index.json/../..",
    "/v3/index.json#fragment",
]


@pytest.mark.parametrize("target", BAD_TARGETS, ids=lambda target: target[:60])
async def test_a_bad_target_is_refused(target):
    """
    400 with the reason in the status line and in the body; the feed is not asked.
    """
    feed = FakeFeed()
    async with serving(feed) as client:
        answer = await raw(client, get(target))

    head, _, body = answer.partition(b"\r\n\r\n")
    status_line = head.split(b"\r\n")[0].decode()
    assert status_line.startswith("HTTP/1.1 400 ")
    assert "Bad Request" not in status_line
    assert status_line.removeprefix("HTTP/1.1 400 ") == json.loads(body)["error"]
    assert feed.asked == []


HOSTS = ["", "a b", "x/y", "u@x", '"x"', "x:port", "-"]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_bad_host_is_refused(host):
    """
    The Host would be written into every document.
    """
    feed = FakeFeed()
    async with serving(feed) as client:
        answer = await raw(client, get("/v3/index.json", f"Host: {host}\r\n"))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert feed.asked == []


KEY = "nugetproxy_ab12cd34ef56" + "aB3dE6" * 6 + "Zz"
"""In the form of `accounts.credentials`; the same in every test process."""


@pytest.mark.parametrize(
    "target",
    [
        f"/v3/query?q={KEY}",
        f"/v3/query?q=packageid:{KEY}&take=5",
        f"/v3/query?prerelease=true&q=a+{KEY[:40]}",
        f"/v3/query?q={KEY.replace('_', '%5F')}",
        f"/v3/autocomplete?q={KEY}",
        f"/v3/autocomplete?id={KEY.lower()}",
        f"/v3/flatcontainer/{KEY.lower()}/index.json",
        f"/v3/registration-gz-semver2/{KEY}/index.json",
        f"/v3/index.json?apikey={KEY}",
        f"/api/v2/Packages()?$filter=Id%20eq%20'{KEY}'",
        f"/api/v2/FindPackagesById()?id='{KEY}'",
        f"/api/v2/Search()?searchTerm='{KEY}'",
        f"/api/v2/package/{KEY}/1.0.0",
        f"/nowhere/{KEY}",
    ],
    ids=lambda target: target.replace(KEY, "KEY")[:40],
)
async def test_what_looks_like_a_key_is_not_searched_for(target):
    """
    It would be sent to an upstream and stay in caches; the response says what happened and does not repeat the key.
    """
    feed, table = FakeFeed(), HotTable(1_000_000)
    async with serving(feed, hot=table) as client:
        answer = await raw(client, get(target))
        assert len(table) == 0

    assert answer.startswith(b"HTTP/1.1 400 this looks like an API key")
    assert KEY[:30].encode() not in answer
    assert feed.asked == []


async def test_a_key_is_not_used_as_request_id():
    async with serving(FakeFeed()) as client, client.get("/health/live", headers={"X-Request-Id": KEY}) as answer:
        assert KEY not in answer.headers["X-Request-Id"]


MALFORMED = {
    "no path": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "two framings": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, chunkedx\r\n\r\n",
    "blank before colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 9000 + b"\r\n\r\n",
    "long target": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "header flood": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(200)) + b"\r\n",
    "NUL in target": b"GET /v3/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_requests_are_refused_in_one_line(request_bytes, caplog):
    """
    A 400 and a closed connection; no traceback, which would let any client flood the log.
    """
    caplog.set_level(logging.INFO)
    feed = FakeFeed()
    async with serving(feed) as client:
        answer = await raw(client, request_bytes)

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert feed.asked == []
    assert [record for record in caplog.records if record.exc_info or record.levelno > logging.WARNING] == []
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
async def test_other_methods_are_not_allowed(method):
    """
    405 names what is allowed, in Allow and in the reason.
    """
    async with serving(FakeFeed()) as client, client.request(method, "/v3/index.json") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert f"{method} is not allowed here; allowed: GET, HEAD" == answer.reason


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/v2/package/"),
        ("PUT", "/api/v2/package"),
        ("POST", "/v3/packages"),
    ],
)
async def test_unsupported_actions_are_refused_with_a_reason(method, path):
    """
    A client that pushes is told what this server is.
    """
    async with serving(FakeFeed()) as client, client.request(method, path, data=b"x" * 100) as answer:
        assert answer.status == 404
        assert answer.reason is not None
        assert answer.reason.startswith("this server only mirrors: it does not accept packages")
        assert answer.reason.endswith("/v3/index.json")


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 2000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + b"x" * 0x8000 + b"\r\n"],
    ids=["announced", "chunked"],
)
async def test_a_body_above_the_limit_is_413(framing):
    """
    Reading needs no body, and a long one is not waited for.
    """
    async with serving(FakeFeed(), {"server": {"max_body": "10 KB"}}) as client:
        answer = await raw(client, b"GET /v3/index.json HTTP/1.1\r\nHost: x\r\n" + framing, enough=b"}")

    assert answer.startswith(b"HTTP/1.1 413 the request's body is larger than the limit of 10000 bytes\r\n")


async def test_a_small_body_is_read_and_forgotten():
    """
    The connection stays usable.
    """
    async with serving(FakeFeed()) as client:
        first = b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        answer = await raw(client, first + get("/health/live"))

    assert answer.count(b"HTTP/1.1 200 ") == 2


async def test_a_body_that_does_not_come_is_not_waited_for():
    """
    A body that trickles in occupies a request no longer than a head may take.
    """
    async with serving(FakeFeed(), {"server": {"header_timeout": "100ms"}}) as client:
        answer = await raw(client, b"GET /v3/index.json HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nh", enough=b"}")

    assert answer.startswith(b"HTTP/1.1 400 the request's body did not arrive in time\r\n")


async def test_an_unknown_expectation_is_417():
    """
    Only 100-continue is known.
    """
    async with serving(FakeFeed()) as client:
        answer = await raw(client, get("/v3/index.json", "Host: x\r\nExpect: miracles\r\n"))

    assert answer.startswith(b"HTTP/1.1 417 ")


async def test_ids_of_any_language_are_welcome():
    """
    Old packages have such ids: percent-encoded UTF-8 is legitimate.
    """
    feed = FakeFeed("Пакет.Ünï")
    feed.contents[Part.README] = SmallContent(b"x", "text/plain", "tag")
    async with serving(feed) as client, client.get("/v3/flatcontainer/Пакет.Ünï/1.0.0/readme") as answer:
        assert answer.status == 200


async def test_pipelined_requests_are_answered_in_order():
    """
    A good request behind a bad path is still answered.
    """
    async with serving(FakeFeed()) as client:
        bad = b"GET /v3/flatcontainer/.../index.json HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await raw(client, bad + get("/health/live"))
        await asyncio.sleep(0)

    assert 0 <= answer.find(b"HTTP/1.1 400 ") < answer.find(b"HTTP/1.1 200 ")
