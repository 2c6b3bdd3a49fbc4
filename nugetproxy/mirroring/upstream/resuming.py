"""A download that survives a broken connection: it continues where it broke, or fails.

Bytes of two different files are never mixed: the continuation has the same validator and the same total, or is refused.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from nugetproxy.errors import DocumentAbsent, UpstreamNonsense, UpstreamUnavailable
from nugetproxy.metrics import UPSTREAM_RESUMED
from nugetproxy.mirroring.upstream.bridging import Bridging
from nugetproxy.mirroring.upstream.connections import Connections
from nugetproxy.mirroring.upstream.decoding import Gunzip
from nugetproxy.mirroring.upstream.exchange import Exchange
from nugetproxy.mirroring.upstream.faults import ABSENT, PassingFault

# Progress that renews the patience; else an upstream that sends some bytes per connection would be retried forever.
_PROGRESS = 65_536
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_MD5_BYTES = 16


class UpstreamDownload:
    """One file, being received; what is known of the file is from the head of the first answer."""

    def __init__(
        self, upstream: str, connections: Connections, url: str, bridging: Bridging,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:  # fmt: skip
        """`headers` are sent with every request."""
        self._upstream = upstream
        self._connections = connections
        self._url = url
        self._bridging = bridging
        self._headers = headers
        self._exchange: Exchange | None = None
        self._decoder: Gunzip | None = None
        self._position = 0
        self._skip = 0
        self.status = 0
        """200, or 206 when the bytes begin at `start`."""
        self.start = 0
        """The offset of the first byte that `chunks` yields; 0 with a 200, whatever was asked."""
        self.total: int | None = None
        """Size of the whole file in bytes, None when the upstream does not say."""
        self.etag = ""
        self.last_modified = ""
        self.content_type = ""
        self.sha512: str | None = None
        """Base64 SHA-512 of the whole file, where the upstream states it."""
        self.md5: bytes | None = None
        """MD5 of the whole file, where the upstream states it."""

    def __repr__(self) -> str:
        return f"<UpstreamDownload {self._url}: {self._position} of {self.total} bytes>"

    async def begin(self, start: int, if_range: str) -> None:
        """Get the first head, bridging temporary failures.

        Raises:
            DocumentAbsent: the upstream has no such file.
            UpstreamError: the answer is not known now.
        """
        while self._exchange is None:
            try:
                self._read_head(await self._ask(start, if_range), start)
            except PassingFault as fault:
                self._drop(fault)
                await self._bridging.over(fault)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive, at most some hundred KiB at a time; call it once. A normal end means a whole file.

        Raises:
            UpstreamError: in any other case.
        """
        while True:
            broke_at = self._position
            try:
                await self._reopen()
                async for block in self._blocks():
                    yield block
                return
            except PassingFault as fault:
                self._drop(fault)
                if not self._can_resume:
                    raise fault.error from fault
                if self._position - broke_at >= _PROGRESS:
                    self._bridging.renew()
                await self._bridging.over(fault)

    def close(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    # --- one connection ---

    async def _ask(self, start: int, if_range: str) -> Exchange:
        """Open an exchange for the bytes from `start`; it is kept in `self._exchange` whatever its status."""
        headers = {"Accept-Encoding": "identity", **self._headers}
        if start:
            headers["Range"] = f"bytes={start}-"
            if if_range:
                headers["If-Range"] = if_range
        self._exchange = exchange = await self._connections.open(self._url, headers, large=True)
        if exchange.status >= 400:
            await exchange.drain()
        expected = (200, 206, 416) if start else (200,)
        try:
            exchange.judge(expected)
        except UpstreamUnavailable:
            exchange.succeed()  # a refusal, but the host is up
            raise
        return exchange

    def _drop(self, fault: PassingFault) -> None:
        if self._exchange is not None:
            self._exchange.fail(fault)
        self.close()

    async def _blocks(self) -> AsyncIterator[bytes]:
        exchange, received = self._exchange, 0
        if exchange is None:
            return
        async for raw in exchange.blocks():
            if received < _PROGRESS <= received + len(raw):
                exchange.succeed()
            received += len(raw)
            for block in self._decoded(raw):
                wanted = block[self._skip :]
                self._skip -= len(block) - len(wanted)
                self._position += len(wanted)
                if self.total is not None and self._position > self.total:
                    raise self._nonsense("it sent more bytes than announced")
                if wanted:
                    yield wanted
        self._check_end()
        exchange.succeed()
        self.close()

    def _decoded(self, raw: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            yield raw
            return
        try:
            yield from self._decoder.feed(raw)
        except ValueError as error:
            raise self._nonsense(str(error)) from error

    def _check_end(self) -> None:
        if self._skip or (self.total is not None and self._position < self.total):
            why = f"the answer ended after {self._position} of {self.total} bytes"
            raise PassingFault(UpstreamUnavailable(self._upstream, why), "broken")
        if self._decoder is not None:
            try:
                self._decoder.finish()
            except ValueError as error:
                raise self._nonsense(str(error)) from error

    # --- the first answer ---

    def _read_head(self, exchange: Exchange, asked: int) -> None:
        if exchange.status in ABSENT:
            exchange.succeed()
            raise DocumentAbsent(self._url)
        if exchange.status == 416:
            raise self._nonsense(f"it has no bytes from {asked} on")
        if not exchange.shows_its_end:
            raise self._nonsense("it has neither Content-Length nor chunks, so truncation could not be detected")
        self.status = exchange.status
        self.etag, self.last_modified = exchange.header("ETag"), exchange.header("Last-Modified")
        self.content_type = exchange.header("Content-Type")
        self.sha512 = exchange.header("x-ms-meta-SHA512") or None
        if exchange.status == 206:
            self.start, self.total = self._read_range(exchange, asked)
        elif self._encoding(exchange) == "gzip":
            self._decoder = Gunzip()  # the announced length and digest are those of the encoded bytes
        else:
            self.total = exchange.length
            self.md5 = _read_md5(exchange.header("Content-MD5"))
        self._position = self.start

    def _read_range(self, exchange: Exchange, asked: int) -> tuple[int, int | None]:
        found = _CONTENT_RANGE.fullmatch(exchange.header("Content-Range").strip())
        if found is None or int(found[1]) != asked or self._encoding(exchange):
            raise self._nonsense("it sent another range than requested")
        return asked, None if found[3] == "*" else int(found[3])

    def _encoding(self, exchange: Exchange) -> str:
        encoding = exchange.header("Content-Encoding").strip().lower().removeprefix("x-")
        if encoding not in ("", "identity", "gzip"):
            raise self._nonsense("it used a content encoding that was not requested")
        return "" if encoding == "identity" else encoding

    # --- continuing ---

    @property
    def _can_resume(self) -> bool:
        return self._decoder is None and (not self._position or bool(self._validator))

    @property
    def _validator(self) -> str:
        """What to send as If-Range: a strong entity tag exactly as received, else the date."""
        return self.etag if self._has_strong_tag else self.last_modified

    @property
    def _has_strong_tag(self) -> bool:
        return bool(self.etag) and not self.etag.startswith("W/")

    async def _reopen(self) -> None:
        if self._exchange is not None:
            return
        self._skip = 0  # an answer that sent the whole file again may have broken before the position
        exchange = await self._ask(self._position, self._validator)
        if exchange.status == 206:
            _, total = self._read_range(exchange, self._position)
            # A 206 repeats the entity tag (RFC 9110 section 15.3.7), so one without it ignored our If-Range.
            same = self._confirms(exchange) if self._has_strong_tag else not self._contradicts(exchange)
            if not same or (self.total is not None and total not in (None, self.total)):
                raise self._nonsense("the file changed during the download")
            self.total = self.total or total
            UPSTREAM_RESUMED.labels(self._upstream).inc()
        elif exchange.status == 200:
            same = not self._contradicts(exchange) and (not self._position or self._confirms(exchange))
            if not same or exchange.length != self.total or self._encoding(exchange):
                raise self._nonsense("the file changed during the download")
            self._skip = self._position
        elif self._ends_here(exchange):
            exchange.succeed()
            self.close()
        else:
            raise self._nonsense(f"it answered {exchange.status} in the middle of the file")

    def _ends_here(self, exchange: Exchange) -> bool:
        """Whether a 416 shows that nothing is missing: the stream broke at the end of a file of unknown size."""
        size = f"bytes */{self._position}"
        is_all = exchange.status == 416 and self.total is None and exchange.header("Content-Range") == size
        return is_all and not self._contradicts(exchange)

    def _confirms(self, exchange: Exchange) -> bool:
        """Whether the answer shows that it is of the same file."""
        if self._has_strong_tag:
            return _opaque(exchange.header("ETag")) == _opaque(self.etag)
        return bool(self.last_modified) and exchange.header("Last-Modified") == self.last_modified

    def _contradicts(self, exchange: Exchange) -> bool:
        """Whether the answer shows that it is of another file."""
        etag, modified = exchange.header("ETag"), exchange.header("Last-Modified")
        if etag and self.etag:
            return _opaque(etag) != _opaque(self.etag)
        return bool(modified and self.last_modified) and modified != self.last_modified

    def _nonsense(self, why: str) -> UpstreamNonsense:
        return UpstreamNonsense(self._upstream, why)


def _opaque(etag: str) -> str:
    """An entity tag without quotes: servers of one content network disagree about them."""
    return etag.removeprefix("W/").strip('"')


def _read_md5(text: str) -> bytes | None:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == _MD5_BYTES else None
