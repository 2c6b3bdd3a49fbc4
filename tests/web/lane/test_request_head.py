"""Which heads the lane understands, and what it reads from them."""

import pytest

from nugetproxy.web.http.aiohttp_connection import MAX_FIELDS
from nugetproxy.web.http.compression import Codings
from nugetproxy.web.lane.request_head import MAX_BLOCK, read_head, split

NUGET = (
    b"Host: feed.example:8550\r\n"
    b"User-Agent: NuGet .NET Core MSBuild Task/7.9.0 (LINUX)\r\n"
    b"X-NuGet-Client-Version: 7.9.0\r\n"
    b"X-NuGet-Session-Id: 1b7aee26-5bd2-4d16-a50c-7c1f8be3b3a9\r\n"
    b"Accept-Encoding: gzip, deflate\r\n\r\n"
)


def read(block: bytes, *, is_behind_proxy: bool = False):
    return read_head(block, b"http", is_behind_proxy=is_behind_proxy)


def with_line(line: bytes) -> bytes:
    return b"Host: a\r\n" + line + b"\r\n\r\n"


def test_what_a_nuget_client_sends_is_understood():
    head = read(NUGET)

    assert head is not None
    assert (head.host, head.codings, head.agent, head.request_id) == (
        b"http://feed.example:8550",
        Codings.GZIP,
        "NuGet .NET Core MSBuild Task/7.9.0 (LINUX)",
        None,
    )


@pytest.mark.parametrize(
    "line",
    [
        b"Accept: */*",
        b"Accept-Language: de",
        b"Connection: keep-alive",
        b"Connection: Keep-Alive",
        b"X-Empty:",
        b"X-Tab:\ta\tb",
        b"X-Trailing: a  ",
        b"X-Forwarded-For: 10.0.0.1",
        b"!#$%&'*+-.^_`|~09aZ: token",
    ],
)
def test_a_plain_line_is_understood(line):
    assert read(with_line(line)) is not None


def test_conditions_and_ranges_are_taken_out_of_what_repeats():
    block, conditions = split(b'Host: a\r\nIf-None-Match: "x"\r\nrange:\tbytes=0-3 \r\nAccept: */*\r\n\r\n')

    assert (block, conditions) == (
        b"Host: a\r\nAccept: */*\r\n\r\n",
        {"If-None-Match": '"x"', "Range": "bytes=0-3"},
    )


@pytest.mark.parametrize(
    "line",
    [
        b"Range",
        b"Range : bytes=0-3",
        b"RANGE: bytes=0-3",
        b"Range: \xff",
        b"Range: a\x00",
        b"Range: bytes=0-3\r\nrange: bytes=0-3",
        b"If-Match: *",
        b"If-None-Match: " + b"x" * MAX_BLOCK,
        b"A: b\r\n" * MAX_FIELDS + b"Range: bytes=0-3",
    ],
)
def test_odd_ones_stay_and_are_left_to_aiohttp(line):
    block = with_line(line)

    assert split(block) == (block, {})
    assert read(block) is None


def test_more_headers_than_aiohttp_takes_are_left_to_it():
    lines = [b"A%d: b\r\n" % number for number in range(MAX_FIELDS)]

    assert read(b"Host: a\r\n" + b"".join(lines[:-1]) + b"\r\n") is not None
    assert read(b"Host: a\r\n" + b"".join(lines) + b"\r\n") is None


@pytest.mark.parametrize(
    "line",
    [
        b"If-None-Match: *",
        b"If-Modified-Since: x",
        b"If-Range: x",
        b"Sec-WebSocket-Key1: x",
        b"If-Match: x",
        b"if-unmodified-since: x",
        b"Range: bytes=0-",
        b"Content-Length: 0",
        b"Content-Type: a/b",
        b"Transfer-Encoding: chunked",
        b"TE: trailers",
        b"Trailer: x",
        b"Expect: 100-continue",
        b"Upgrade: websocket",
        b"HTTP2-Settings: x",
        b"Connection: close",
        b"Connection: keep-alive, upgrade",
        b"Proxy-Authorization: Basic x",
        b"Cookie: a=b",
        b"Cache-Control: no-cache",
        b"Pragma: no-cache",
        b"X-NuGet-ApiKey: x",
        b"Host: b",
        b"Accept: a\r\nAccept: b",
        b"Accept : a",
        b" folded",
        b"\tfolded",
        b"Accept: a\r\n folded",
        b"NoColon",
        b": no name",
        b"",
        b"X: a\x00b",
        b"X: a\x01b",
        b"X: a\x7fb",
        b"X: a\xffb",
        b"X: a\rb",
        b"X: a\nY: b",
        b"X\x00: a",
        b"X\xe9: a",
        b"(X): a",
        b"Ra\tnge: a",
    ],
)
def test_what_is_special_or_odd_is_left_to_aiohttp(line):
    assert read(with_line(line)) is None


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\r\n",
        b"\r\n\r\n",
        b"Host: a\r\n",
        b"Host: a\n\n",
        b"Host: a\r\n\n",
        b"Host: a\r\nX: b\n\r\n",
        b"User-Agent: a\r\n\r\n",
        b"Host: \r\n\r\n",
        b"Host: a b\r\n\r\n",
        b"Host: a/b\r\n\r\n",
        b"Host: a@b\r\n\r\n",
        b"Host: -a\r\n\r\n",
        b"Host: a:\r\n\r\n",
        b"Host: a:123456\r\n\r\n",
        b"Host: [::1\r\n\r\n",
        b"Host: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"Host: a\r\nX: " + b"x" * MAX_BLOCK + b"\r\n\r\n",
    ],
)
def test_an_odd_block_is_left_to_aiohttp(block):
    assert read(block) is None


@pytest.mark.parametrize("host", [b"a", b"a.b-c.example", b"127.0.0.1:8550", b"[::1]:8550", b"[::1]"])
def test_a_plain_host_is_part_of_the_key(host):
    head = read(b"Host: " + host + b"\r\n\r\n")

    assert head is not None
    assert head.host == b"http://" + host


@pytest.mark.parametrize(
    ("value", "codings"),
    [
        (b"gzip", Codings.GZIP),
        (b"gzip, deflate, br", Codings.GZIP),
        (b"identity", Codings.NO_GZIP),
        (b"gzip;q=0", Codings.NO_GZIP),
    ],
)
def test_codings_are_read_as_everywhere(value, codings):
    head = read(with_line(b"Accept-Encoding: " + value))

    assert head is not None
    assert head.codings is codings


def test_a_missing_accept_encoding_is_distinguished():
    head = read(b"Host: a\r\n\r\n")

    assert head is not None
    assert head.codings is Codings.SILENT


@pytest.mark.parametrize("line", [b"Forwarded: for=a", b"X-Forwarded-For: a", b"X-Forwarded-Proto: https"])
def test_forwarding_matters_behind_a_proxy(line):
    """
    With trusted proxies configured, what a proxy says about the request is evaluated elsewhere.
    """
    assert read(with_line(line), is_behind_proxy=True) is None
    assert read(with_line(line), is_behind_proxy=False) is not None


def test_an_offered_request_id_is_read():
    head = read(with_line(b"X-Request-Id: abc"))

    assert head is not None
    assert head.request_id == "abc"


def test_credentials_are_read_and_not_judged():
    """
    Whether they matter depends on the answer: where reading is open to all, they are ignored.
    """
    head = read_head(b"Host: a\r\nAuthorization: Basic eDp5\r\n\r\n", b"http", is_behind_proxy=False)

    assert head is not None
    assert head.authorization == "Basic eDp5"
