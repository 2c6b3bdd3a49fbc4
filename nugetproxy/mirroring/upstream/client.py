"""The only way to send requests to an upstream.

`fetch` is for documents that fit in memory, `download` for packages. Both bridge temporary failures, and neither ever
reports a failure as "does not exist". What is kept, and for how long, is not known here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import NotMirrored, UpstreamNonsense, UpstreamTimeout, UpstreamUnavailable
from nugetproxy.httpcache.decisions import Health
from nugetproxy.httpcache.stored import ReceivedAnswer, Validators
from nugetproxy.mirroring.upstream.bridging import Bridging
from nugetproxy.mirroring.upstream.connections import Connections
from nugetproxy.mirroring.upstream.decoding import Gunzip
from nugetproxy.mirroring.upstream.exchange import Exchange
from nugetproxy.mirroring.upstream.faults import ABSENT, Pacing, PassingFault
from nugetproxy.mirroring.upstream.pace import Speed
from nugetproxy.mirroring.upstream.resuming import NO_HEADERS, UpstreamDownload

# The largest registration of nuget.org is some megabytes, its vulnerability base file likewise.
LARGEST_DOCUMENT = 64 * 2**20
# A body that has not come when patience ends must have come this fast (bytes a second) to be waited for any longer.
_SLOWEST = 16_384
# The least time (seconds) for a body whose head came when patience was all but spent, and the most for any.
_SHORTEST_BODY_TIME = 1.0
_LONGEST_BODY_TIME = 300.0
# Formats whose readers notice a truncated document.
_SELF_DELIMITING = ("json", "xml")


class UpstreamClient:
    """One upstream. Of a client's request nothing reaches it but the URL that we built."""

    def __init__(
        self, settings: UpstreamSettings, *, user_agent: str, offline: bool = False,
        environ: Mapping[str, str] | None = None, pacing: Pacing | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`environ` is read for HTTPS_PROXY and NO_PROXY. When `offline`, no socket is ever opened. `changed` is called
        when a server of the upstream is considered down, or up again.
        """
        self.name = settings.name
        self._offline = offline
        self._pacing = pacing or Pacing.within(settings.patience, settings.breaker_failures)
        self._connections = Connections(
            settings, user_agent=user_agent, environ=environ or {}, pacing=self._pacing, changed=changed
        )

    def __repr__(self) -> str:
        return f"<UpstreamClient {self.name}: {self.health}>"

    async def start(self) -> None:
        """Raises ConfigError when a file that the settings name cannot be used."""
        if not self._offline:
            await self._connections.start()

    async def close(self) -> None:
        await self._connections.close()

    # --- the servers ---

    def allow(self, url: str, *, essential: bool = False) -> None:
        """Allow requests to this URL's server, in addition to that of the service index and those of the settings.

        Too many requests below this URL say nothing about the rest of its server.
        `essential`: the upstream is of no use without that server, so it counts towards `health`.
        """
        self._connections.egress.allow(url)
        self._connections.hosts.set_apart(url)
        if essential:
            self._connections.hosts.rely_on(url)

    @property
    def health(self) -> Health:
        """The worst health of the service index's server and those allowed as essential."""
        return self._connections.hosts.health

    def health_of(self, url: str) -> Health:
        """The health of this URL's server."""
        return self._connections.hosts.health_of(url)

    def until_probe(self, url: str) -> float:
        """Seconds until the next probe, if no request is sent because a server is considered down; else 0."""
        return self._connections.hosts.until_probe(url)

    # --- requests ahead ---

    @property
    def is_calm(self) -> bool:
        """Whether a request that nobody waits for may be sent at all: online, no host of the upstream failed since its
        last success, and none asked us to wait."""
        return not self._offline and self._connections.hosts.are_calm

    @property
    def speed(self) -> Speed:
        """How fast bodies arrive, lately."""
        return self._connections.pace.speed(self._connections.now())

    def most_ahead(self, *, large: bool) -> int:
        """As `Connections.most_ahead`."""
        return self._connections.most_ahead(large=large)

    def room(self, *, large: bool) -> int:
        """As `Connections.room`."""
        return self._connections.room(large=large)

    # --- documents ---

    async def fetch(
        self, url: str, *, validators: Validators | None = None, patience: float, limit: int = LARGEST_DOCUMENT,
        timeout: float | None = None,
    ) -> ReceivedAnswer:  # fmt: skip
        """The definite answer to one GET: 200 with the whole body (gzip undone), 304, or 404 (204 and 410 too).

        No new try is begun after `patience` seconds, nor is a body that trickles waited for; `timeout` bounds the whole
        call; `limit` is in bytes of the body.
        The names in `headers` are lower-case.

        Raises:
            UpstreamUnavailable, UpstreamTimeout: the answer is not known now; immediately while the breaker is open,
                or while the server asked us to wait for longer than `patience`.
            UpstreamNonsense: too large, badly encoded, or a URL or redirect to a server that is not allowed.
            NotMirrored: offline.
        """
        self._refuse_offline(url)
        bridging = self._bridging(url, patience)
        due = asyncio.get_running_loop().time() + patience
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        return await self._fetch_once(url, validators, limit, due)
                    except PassingFault as fault:
                        await bridging.over(fault)
        except TimeoutError as error:
            raise UpstreamTimeout(self.name, f"no answer within {timeout:g} s") from error

    async def _fetch_once(
        self, url: str, validators: Validators | None, limit: int, due: float
    ) -> ReceivedAnswer:  # fmt: skip
        conditions = validators.headers() if validators else {}
        exchange = await self._connections.open(url, {"Accept-Encoding": "gzip", **conditions})
        try:
            body = await self._receive(exchange, (200, 304) if conditions else (200,), limit, due)
            exchange.succeed()
        except PassingFault as fault:
            exchange.fail(fault)
            raise
        except UpstreamUnavailable:
            exchange.succeed()  # a refusal, but the host is up
            raise
        finally:
            exchange.close()
        return ReceivedAnswer(
            status=404 if exchange.status in ABSENT else exchange.status,
            body=body,
            etag=exchange.header("ETag"),
            last_modified=exchange.header("Last-Modified"),
            content_type=exchange.header("Content-Type"),
            url=str(exchange.answer.url),
            headers={name.lower(): value for name, value in exchange.answer.headers.items()},
        )

    async def _receive(self, exchange: Exchange, expected: tuple[int, ...], limit: int, due: float) -> bytes:
        if exchange.status != 200:
            await exchange.drain()
        exchange.judge(expected)
        if exchange.status != 200:
            return b""
        if not exchange.shows_its_end and not any(f in exchange.header("Content-Type") for f in _SELF_DELIMITING):
            raise UpstreamNonsense(
                self.name, "it has neither Content-Length nor chunks, so truncation could not be detected"
            )
        try:
            return await self._body(exchange, limit, due)
        except TimeoutError as error:
            raise PassingFault(UpstreamTimeout(self.name, "the document arrived too slowly"), "timeout") from error
        except OverflowError as error:
            raise UpstreamNonsense(self.name, f"a document is larger than {limit} bytes") from error
        except ValueError as error:
            raise PassingFault(UpstreamNonsense(self.name, str(error)), "nonsense") from error

    async def _body(self, exchange: Exchange, limit: int, due: float) -> bytes:
        """Raises OverflowError beyond the limit, ValueError for a broken encoding, TimeoutError when it trickles.

        `due` is when patience ends, in the loop's time.
        """
        encoding = exchange.header("Content-Encoding").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise UpstreamNonsense(self.name, "it used a content encoding that was not requested")
        decoder = Gunzip() if encoding.endswith("gzip") else None
        parts: list[bytes] = []
        size = received = 0
        now = asyncio.get_running_loop().time()
        due, end = max(due, now + _SHORTEST_BODY_TIME), now + _LONGEST_BODY_TIME
        async with asyncio.timeout_at(due) as waiting:
            async for raw in exchange.blocks():
                received += len(raw)
                waiting.reschedule(min(end, due + received / _SLOWEST))
                for part in (raw,) if decoder is None else decoder.feed(raw):
                    size += len(part)
                    if size > limit:
                        raise OverflowError
                    parts.append(part)
        if decoder is not None:
            decoder.finish()
        return b"".join(parts)

    # --- packages ---

    @asynccontextmanager
    async def download(
        self, url: str, *, start: int = 0, if_range: str = "", patience: float,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> AsyncIterator[UpstreamDownload]:  # fmt: skip
        """One file, streamed; broken streams are continued, with `patience` seconds for every break.

        With `start` it begins there if the upstream agrees and, given `if_range`, the file is unchanged; the status is
        200 if it does not. `headers` are sent besides: they are ours, never those of a client.

        Raises:
            DocumentAbsent: the upstream has no such file.
            UpstreamError: as `fetch`; `chunks` raises it too.
            NotMirrored: offline.
        """
        self._refuse_offline(url)
        download = UpstreamDownload(self.name, self._connections, url, self._bridging(url, patience), headers)
        try:
            await download.begin(start, if_range)
            yield download
        finally:
            download.close()

    def _bridging(self, url: str, patience: float) -> Bridging:
        return Bridging(self._connections, url, patience=patience, pacing=self._pacing)

    def _refuse_offline(self, url: str) -> None:
        if self._offline:
            raise NotMirrored(url)
