"""Upstream data other than documents: addresses, gzip, and the heads and bodies of a download that breaks."""

import asyncio
import contextlib
import gzip
import socket
from collections.abc import AsyncIterator
from functools import cache
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, Final, cast

from multidict import CIMultiDict

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import DocumentAbsent, UpstreamNonsense, UpstreamUnavailable
from nugetproxy.mirroring.upstream.addresses import Place, place_of, place_of_host
from nugetproxy.mirroring.upstream.decoding import PIECE, Gunzip
from nugetproxy.mirroring.upstream.egress import Egress, origin_of, read_url
from nugetproxy.mirroring.upstream.exchange import Exchange
from nugetproxy.mirroring.upstream.faults import PassingFault
from nugetproxy.mirroring.upstream.resuming import UpstreamDownload
from nugetproxy.protocol.web_addresses import web_address
from tests.fuzzing.choices import Choices
from tests.fuzzing.target import Outcome, Target
from tests.fuzzing.texts import ODD_CHARACTERS, address

# --- addresses --------------------------------------------------------------------------------------------------------

_SCHEMES: Final = ("https://", "https://", "https://", "http://", "HTTPS://", "//", "javascript:", "file://", "")
_HOSTS: Final = (
    *("feed.example", "cdn.example", "FEED.example.", "a.blob.example", "a.b.blob.example", "blob.example", "1.2.3.4"),
    *("127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "017700000001", "0x7f000001", "10.0.0.1", "0", "０"),
    *("[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::7f00:1]", "[fe80::1%25eth0]", "[::]"),
    *(
        "169.254.169.254",
        "[fd00:ec2::254]",
        "localhost",
        "x.localhost",
        "x.internal",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "xn--a",
    ),
    *(
        "[2606:4700::1]",
        "8.8.8.8",
        "example.com",
        "ex%61mple.com",
        "%31%32%37.0.0.1",
        "[ff02::1]",
        "224.0.0.1",
        "a_b.c",
    ),
)
_TAILS: Final = (
    "",
    "/",
    "/x/index.json",
    ":443/",
    ":80/",
    ":0443/",
    ":99999/",
    ":/",
    "/\r\nX: y",
    "/é b",
    "#x",
    "?\\@z",
)


def make_address(choices: Choices) -> str:
    if choices.chance(5):
        return address(choices)
    user = choices.one_of(("", "", "", "user:secret@", "feed.example@", "a@b@", "feed.example\\@", "feed.example#@"))
    text = choices.one_of(_SCHEMES) + user + choices.one_of(_HOSTS) + choices.one_of(_TAILS)
    for _ in range(choices.below(3)):
        at = choices.below(len(text) + 1)
        text = text[:at] + choices.one_of(ODD_CHARACTERS) + text[at + choices.below(2) :]
    return text


@cache
def _egress() -> Egress:
    settings = UpstreamSettings(
        name="up", service_index="https://feed.example/v3/index.json", allowed_hosts=("cdn.example", "*.blob.example")
    )
    egress = Egress(settings, {})
    egress._credentials["Authorization"] = "Basic secret"
    return egress


def use_address(text: str) -> None:
    """Even if the service index names it, it leads only to the Internet, whatever its host resolves to."""
    _check_link(text)
    egress = _egress()
    egress._learned.clear()
    egress.allow(text)
    try:
        url = read_url(text)
    except ValueError as error:
        raise UpstreamNonsense("up", "it is not a URL") from error
    asked = egress.checked(url)
    sent = str(asked)
    assert egress.checked(asked) == asked
    assert sent.isascii()
    assert sent.isprintable()
    assert " " not in sent
    assert asked.scheme == "https"
    assert (asked.raw_user, asked.raw_password) == (None, None)
    host = asked.raw_host
    assert host is not None
    assert place_of_host(host) is Place.PUBLIC
    with contextlib.suppress(OSError):
        # What the C library takes for an address, in any spelling.
        assert place_of(ip_address(socket.inet_aton(host))) is Place.PUBLIC
    assert bool(egress.credentials(asked)) == (origin_of(asked) == egress.home)


def _check_link(text: str) -> None:
    link = web_address(text)
    if link:
        assert link.lower().startswith(("http://", "https://"))
        assert not any(character < " " or character == "\x7f" for character in link)
        assert web_address(link) == link
        assert link in text


# --- gzip -------------------------------------------------------------------------------------------------------------


def make_gzip(choices: Choices) -> tuple[bytes, int]:
    contents = (choices.raw(40), bytes(choices.one_of((0, 1, 9, 99, 999, 9_999, PIECE, 3 * PIECE + 1))))
    body = b"".join(gzip.compress(each, mtime=0) for each in contents[: 1 + choices.below(2)])
    return choices.edited(body, 3) if choices.chance(2) else body, 1 + choices.below(choices.one_of((4, 100, 70_000)))


def use_gzip(given: tuple[bytes, int]) -> Outcome | None:
    body, size = given
    in_one, in_pieces = _unpacked(body, len(body) or 1), _unpacked(body, size)
    assert in_pieces == in_one
    if in_one is None:
        return Outcome.REFUSED
    assert gzip.decompress(body) == in_one
    return None


def _unpacked(body: bytes, size: int) -> bytes | None:
    stream, pieces = Gunzip(), []
    try:
        for at in range(0, len(body), size):
            for piece in stream.feed(body[at : at + size]):
                assert 0 < len(piece) <= PIECE
                pieces.append(piece)
        stream.finish()
    except ValueError:
        return None
    return b"".join(pieces)


# --- a download -------------------------------------------------------------------------------------------------------

# Two files, of which the upstream may have either at any time; each has validators of its own.
_FILES: Final = (bytes(range(200)), bytes(reversed(range(200))), bytes(range(7, 157)))


class _Answer:
    """Like aiohttp's: truthful about one of the files, complete or not."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self.which = choices.below(3)
        self.is_chunked = choices.chance(3)
        self.is_cut = choices.chance(3)
        self.ignores_ranges = choices.chance(3)
        self.is_gzip = choices.chance(8)
        self.status = choices.one_of((200, 200, 200, 200, 200, 200, 503, 404, 401, 302))
        self.noise = choices.one_of((None, None, None, ("Content-MD5", "AAAA"), ("Content-Length", "x"), ("ETag", "")))
        self.reason = choices.one_of(("OK", "", "\x7f\n", "é"))
        self.url = "https://feed.example/a"
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.content = SimpleNamespace(readany=self._readany)
        self._blocks: list[bytes] = []

    def to(self, headers: dict[str, str]) -> "_Answer":
        """Its answer to a request with these headers."""
        body, start = _FILES[self.which], int(headers.get("Range", "bytes=0-")[6:-1])
        has = self._choices.below(4)
        if has & 1 and self.noise != ("ETag", ""):
            self.headers["ETag"] = self._choices.one_of(('"{}"', '"{}"', "{}", 'W/"{}"')).format(self.which)
        if has & 2:
            self.headers["Last-Modified"] = self._date()
        # Who ignores If-Range and sends no validator cannot be seen through, where a 206 would not have to have one.
        wanted = headers.get("If-Range", "")
        is_date = wanted.startswith("Tue")
        is_seen = "Last-Modified" in self.headers if is_date else "ETag" in self.headers or start < len(body)
        is_another = bool(wanted) and wanted not in (self._date(), f'"{self.which}"', str(self.which)) and not is_seen
        if self.status == 200 and start and not self.ignores_ranges and not is_another:
            self.status = 206 if start < len(body) else 416
            self.headers["Content-Range"] = (
                f"bytes {start}-{len(body) - 1}/{self._choices.one_of((len(body), '*'))}"
                if self.status == 206
                else f"bytes */{len(body)}"
            )
            body = body[start:]
        elif self.is_gzip:
            self.headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, mtime=0)
        if self.is_chunked:
            self.headers["Transfer-Encoding"] = "chunked"
        else:
            self.headers["Content-Length"] = str(len(body))
        if self.noise:
            self.headers[self.noise[0]] = self.noise[1]
        kept = body[: self._choices.below(len(body) + 1)] if self.is_cut else body
        size = 1 + self._choices.below(200)
        self._blocks = [kept[at : at + size] for at in range(0, len(kept), size)] if self.status in (200, 206) else []
        return self

    def _date(self) -> str:
        return f"Tue, 0{self.which + 1} Jan 2024 12:00:00 GMT"

    async def _readany(self) -> bytes:
        if self._blocks:
            return self._blocks.pop(0)
        if self.is_cut and self.status in (200, 206):
            raise PassingFault(UpstreamUnavailable("up", "the connection broke"), "broken")
        return b""

    def release(self) -> None:
        pass


class _Upstream:
    """Replaces connections and their retries."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self.asked = 0

    async def open(self, _url: str, headers: dict[str, str], *, large: bool) -> Exchange:
        assert large
        self.asked += 1
        answer = cast(Any, _Answer(self._choices).to(headers))
        return Exchange(
            "up", answer, wait=None, read_timeout=5, waiting=lambda: None, received=lambda _: None,
            succeeded=lambda: None, failed=lambda _: None, release=lambda: None,
        )  # fmt: skip

    def renew(self) -> None:
        raise AssertionError("so few bytes are no progress")

    async def over(self, fault: PassingFault) -> None:
        if self.asked >= 4:
            raise fault.error


def make_download(choices: Choices) -> tuple[Choices, int]:
    return choices, choices.one_of((0, 0, 0, 1, 100, 200, 201))


def use_download(given: tuple[Choices, int]) -> None:
    choices, start = given
    upstream = cast(Any, _Upstream(choices))
    download = UpstreamDownload("up", upstream, "https://feed.example/a", upstream)
    got_start, body = _loop().run_until_complete(_received(download, start))
    assert got_start in (0, start)
    assert body in [each[got_start:] for each in _FILES], "two files are mixed, or one is not whole"
    assert download.total in (None, got_start + len(body))
    assert download.md5 is None or len(download.md5) == 16


async def _received(download: UpstreamDownload, start: int) -> tuple[int, bytes]:
    try:
        await download.begin(start, '"0"')
        return download.start, b"".join([block async for block in _all(download)])
    finally:
        download.close()


async def _all(download: UpstreamDownload) -> AsyncIterator[bytes]:
    size = 0
    async for block in download.chunks():
        size += len(block)
        assert size <= 1_000
        yield block


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


TARGETS: Final = (
    Target("address", make_address, use_address, (UpstreamNonsense,)),
    Target("gzip", make_gzip, use_gzip),
    Target("download", make_download, use_download, (UpstreamNonsense, UpstreamUnavailable, DocumentAbsent)),
)
