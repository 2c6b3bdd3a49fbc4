"""Requests for hot answers in which one or two things are wrong or unusual, as a hypothesis strategy."""

import codecs
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from nugetproxy.web.http.aiohttp_connection import MAX_FIELD, MAX_FIELDS, MAX_LINE
from nugetproxy.web.lane.request_head import MAX_BLOCK
from tests.web.lane.two_ways import HOST, HOT_TARGETS


@dataclass(frozen=True)
class Request:
    """A request as a NuGet client sends it, divided into the parts that can be wrong."""

    target: bytes
    method: bytes = b"GET"
    before: bytes = b" "
    behind: bytes = b" "
    version: bytes = b"HTTP/1.1"
    line_end: bytes = b"\r\n"
    host: bytes = b"Host: " + HOST.encode()
    lines: tuple[bytes, ...] = ()
    end: bytes = b"\r\n"

    @property
    def raw(self) -> bytes:
        first = self.method + self.before + self.target + self.behind + self.version
        lines = (self.host, *self.lines) if self.host else self.lines
        return b"".join(line + self.line_end for line in (first, *lines)) + self.end


def _each(text: str) -> tuple[bytes, ...]:
    """The lines of a table, with escapes resolved; `-` is nothing."""
    lines = [line for line in text.replace("HOST", HOST).splitlines() if line]
    return tuple(codecs.escape_decode(b"" if line == "-" else line.encode())[0] for line in lines)


METHODS = _each(r"""
HEAD
get
Get
GETT
POST
OPTIONS
TRACE
PRI
QUERY
-
\r\nGET
\nGET
\x20GET
\r\n\r\nGET
\x00GET
""")

VERSIONS = _each(r"""
HTTP/1.0
HTTP/2.0
HTTP/0.9
HTTP/1.2
HTTP/3.0
HTTP/9.9
http/1.1
HTTP/1.10
HTTP/01.1
HTTP/1
HTTP/1.1\x20
HTTPS/1.1
HTTP/1,1
-
""")

BLANKS = (b"  ", b"\t", b"", b" \t", b"\x0b", b"\xa0")
LINE_ENDS = (b"\n", b"\r", b"\r\r\n", b"\n\r\n")
ENDS = (b"\n", b"\r\n\r\n", b"\r\n\x00", b"\r\nX", b"", b"\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")

HOSTS = (
    *_each(
        r"""
-
Host:
HoST:\tHOST
Host: HOST\x20
Host : HOST
Host: HOST\r\nHost: HOST
Host: HOST\r\nHost: other.example
Host: feed.example
Host: FEED.example:8550
Host: feed.example.:8550
Host: feed.example:08550
Host: feed.example:
Host: [::1]
Host: [::1]:80
Host: [fe80::1%eth0]
Host: a_b
Host: a b
Host: a/b
Host: a@b
Host: -x
Host: x:99999
Host: \xe9
Host: a,b
Host: HOST\x00
"""
    ),
    b"Host: " + b"x" * 254,
    b"Host: " + b"x" * 255,
)

BROKEN = (
    *_each(r"""
X
X : b
X\t: b
\x20X: b
\tX: b
: b
X:
X: \t a \t
X: a\x00b
X: \x7f
X: \x01
X: \xff
X: \xc3\xa9
X: a\rb
X: a\nY: b
X: a\r\n b
X: a\r\n\tb
X(: y
X"y: z
X/: a
\xe9: a
!#$%&'*+-.^_`|~: y
X: HTTP/1.1
"""),
    b"X: " + b"b" * MAX_BLOCK,
    b"X: " + b"b" * (MAX_FIELD - 3),
    b"X: " + b"b" * MAX_FIELD,
)

MEANING = (
    *_each(r"""
Accept: */*
Accept-Encoding: gzip
Accept-Encoding: GZIP;q=1
Accept-Encoding: gzip;q=0.0001
Accept-Encoding: gzip;q=nan
Accept-Encoding: gzip;q=-1
Accept-Encoding: *;q=0.5, gzip;q=0
Accept-Encoding:
Accept-Encoding: gzip\r\nAccept-Encoding: identity
Authorization: Basic Og==
Authorization: Basic eDp5
Authorization: x
Cache-Control: no-cache
Connection: close
Connection: Keep-Alive
Connection: keep-alive, x
Connection: upgrade\r\nUpgrade: websocket
Content-Encoding: gzip
Content-Length: 0
Content-Length: 00
Content-Length: +0
Content-Length: -1
Content-Length: 0\r\nContent-Length: 0
Content-Type: text/plain
Cookie: a=b
Date: x\r\nDate: y
ETag: a\r\nETag: b
Expect: 100-continue
Expect: x
Forwarded: proto=https
HTTP2-Settings: x
If-None-Match: *
if-none-match: "x"
IF-NONE-MATCH: *
If-None-Match: *\r\nif-none-match: *
If-None-Match
If-Match: *
If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT
If-Modified-Since: x
If-Range: "x"
If-Range: "x"\r\nRange: bytes=0-3
Keep-Alive: 5
Max-Forwards: 0
Origin: a\r\nOrigin: b
Pragma: no-cache
Proxy-Connection: keep-alive
Range: bytes=0-3
range: bytes=-2
Range : bytes=0-3
Range: bytes=0-3\r\nRange: bytes=1-2
Range: bytes=0-3\r\n 4-5
Range: bytes=0-0,2-2
Range: bytes=9999999-
Range: \xff
Range: x
Range:
Range
Referer: a\r\nReferer: b
Sec-WebSocket-Key1: x
TE: trailers
Trailer: x
Transfer-Encoding: identity
Transfer-Encoding : chunked
Transfer-Encoding: chunked\r\nContent-Length: 0
Upgrade: h2c
User-Agent:
User-Agent: a\tb
User-Agent: \x80
User-Agent: a\r\nUser-Agent: b
Via: 1.1 x
X-Forwarded-Proto: https
X-HTTP-Method-Override: DELETE
X-NuGet-ApiKey: k
x-nuget-apikey:
X-Request-Id: abc
X-Request-Id: a b
X-Request-Id:
"""),
    b"X-Request-Id: " + b"x" * 129,
    b"If-None-Match: " + b"x" * MAX_FIELD,
    b"\r\n".join((*(b"A%d: b" % n for n in range(MAX_FIELDS - 1)), b"Range: bytes=0-3")),
    *(b"\r\n".join(b"A%d: b" % n for n in range(count)) for count in (MAX_FIELDS - 2, MAX_FIELDS - 1, MAX_FIELDS, 400)),
)


def odd_targets(target: bytes) -> tuple[bytes, ...]:
    """What may replace a target; `{}` is the target."""
    shapes = _each(r"""
http://HOST{}
http://victim.example{}
HTTP://HOST{}
{} http://HOST
{} http://victim.example:80
{}\thttp://HOST
{}\r\nX: y
{}#x
{}?
{}&&
{}%
{}?%00
{};a
{}/
{}%20
{}\t
{}\x7f
{}\xff
{}?x="<>\\^`|
/.{}
/x/..{}
/%2e{}
//feed.example{}
*
-
HOST
""")
    long = (MAX_LINE - len(target) - 16, MAX_LINE - len(target) - 1, MAX_LINE)
    return (
        *(shape.replace(b"{}", target) for shape in shapes),
        target.upper(),
        target.replace(b"/", b"//", 1),
        target[1:],
        *(target + b"?" + b"a" * size for size in long),
    )


_CHOICES = {
    "method": METHODS,
    "before": BLANKS,
    "behind": BLANKS,
    "version": VERSIONS,
    "line_end": LINE_ENDS,
    "host": HOSTS,
    "end": ENDS,
}


@st.composite
def odd_requests(draw: st.DrawFn) -> Request:
    request = Request(draw(st.sampled_from(HOT_TARGETS)).encode(), draw(st.sampled_from((b"GET", b"HEAD"))))
    parts = (*_CHOICES, "target", "broken", "meaning", "meaning")
    for part in draw(st.lists(st.sampled_from(parts), min_size=1, max_size=2)):
        if part == "target":
            request = replace(request, target=draw(st.sampled_from(odd_targets(request.target))))
        elif part in ("broken", "meaning"):
            line = draw(st.sampled_from(BROKEN if part == "broken" else MEANING))
            lines = (*request.lines, line) if draw(st.booleans()) else (line, *request.lines)
            request = replace(request, lines=lines)
        else:
            changed: dict[str, Any] = {part: draw(st.sampled_from(_CHOICES[part]))}
            request = replace(request, **changed)
    return request
