"""The connections to one upstream's hosts: who may be asked, how many at once, and whether a host is alive.

One try at a time: `open` sends one request, follows its redirects by hand and returns the answer's head. Trying again
is `bridging`'s affair. No header of our own clients ever comes here, so none can leave.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Mapping

import aiohttp
import structlog
from yarl import URL

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import ConfigError, UpstreamError, UpstreamNonsense, UpstreamUnavailable
from nugetproxy.httpcache.decisions import Health
from nugetproxy.metrics import BREAKER_OPEN, UPSTREAM_REQUESTS, UPSTREAM_SECONDS
from nugetproxy.mirroring.breaker import Breaker, worst
from nugetproxy.mirroring.egress import Egress, Origin, origin_of, read_url
from nugetproxy.mirroring.exchange import Exchange
from nugetproxy.mirroring.faults import Pacing, PassingFault, breaker_opened, judge, result_of, translated
from nugetproxy.mirroring.host import Host
from nugetproxy.mirroring.throttling import Throttling

_log = structlog.get_logger(__name__)

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Links of content networks with signed queries and cookies outgrow the HTTP client's default of 8 KiB.
_LONGEST_HEADER = 32_768
# What one read may return at most is twice this; larger reads cost less per byte and bound memory all the same.
_READ_BUFFER = 262_144
# Longer than the client's 15 s: a build asks in bursts, and a new TLS connection costs two round trips.
_KEEP_ALIVE = 60.0


class Connections:
    """One HTTP session, the hosts it may ask, and a bound on how much is asked at once."""

    def __init__(
        self, settings: UpstreamSettings, *, user_agent: str, environ: Mapping[str, str], pacing: Pacing,
        clock: Callable[[], float] = time.monotonic, changed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`changed` is called when a breaker opens or closes."""
        self._changed = changed
        self.egress = Egress(settings, environ)
        self._settings = settings
        self._name = settings.name
        self._user_agent = user_agent
        self._pacing = pacing
        self._clock = clock
        self._hosts: dict[Origin, Host] = {}
        self._essential = {self.egress.home}
        self._throttling = Throttling(settings.name, settings.patience, pacing, clock, self.failed)
        self._session: aiohttp.ClientSession | None = None
        # Our own bound and not the session's pool: waiting for a free connection is not the upstream's failure, and
        # large downloads must leave a quarter for the documents that everybody waits for.
        self._slots = asyncio.Semaphore(settings.connections)
        self._download_slots = asyncio.Semaphore(max(1, settings.connections * 3 // 4))

    async def start(self) -> None:
        """Read credentials and certificates.

        Raises:
            ConfigError: a file that the settings name cannot be used.
        """
        self.egress.read_credentials()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls(), keepalive_timeout=_KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout),
            headers={"User-Agent": self._user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )
        BREAKER_OPEN.labels(self._name).set(0)

    async def close(self) -> None:
        probes = [host.probing for host in self._hosts.values() if host.probing is not None]
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    # --- hosts and their health ---

    def host_of(self, url: URL) -> Host:
        origin = origin_of(url)
        if origin not in self._hosts:
            breaker = Breaker(
                self._settings.breaker_failures, spacing=self._pacing.spacing, overdue=self._pacing.overdue
            )
            self._hosts[origin] = Host(origin, breaker, self._throttling.new)
        return self._hosts[origin]

    def rely_on(self, url: str) -> None:
        """Without this URL's host the upstream as a whole is of no use: it counts towards `health`."""
        with contextlib.suppress(ValueError):
            self._essential.add(origin_of(read_url(url)))

    def set_apart(self, url: str) -> None:
        """What lies below this URL is throttled by itself, as `Host.set_apart`."""
        with contextlib.suppress(ValueError):
            self.host_of(parsed := read_url(url)).set_apart(parsed.raw_path)

    @property
    def health(self) -> Health:
        """Of what makes the upstream as a whole usable. A host that only wants to be left alone is usable."""
        return worst(self._health(origin) for origin in self._essential)

    def health_of(self, url: str) -> Health:
        """The health of one URL's host, SUSPECT while it wants to be left alone; GOOD when it was never asked."""
        try:
            parsed = read_url(url)
            origin = origin_of(parsed)
        except ValueError:
            return Health.GOOD
        host = self._hosts.get(origin)
        if host is None:
            return Health.GOOD
        held = host.throttle(parsed).left(self._clock()) is not None
        return worst((self._health(origin), Health.SUSPECT if held else Health.GOOD))

    def until_probe(self, url: str) -> float:
        """Seconds between two probes of the hosts held to be dead of those that this URL needs; 0 when none is."""
        needed = set(self._essential)
        with contextlib.suppress(ValueError):
            needed.add(origin_of(read_url(url)))
        dead = [host for origin, host in self._hosts.items() if origin in needed and host.breaker.is_open]
        return max(map(self._until_probe, dead), default=0.0)

    def _health(self, origin: Origin) -> Health:
        host = self._hosts.get(origin)
        return Health.GOOD if host is None else host.breaker.health(self._clock())

    def succeeded(self, host: Host) -> None:
        was_open = host.breaker.is_open
        host.breaker.succeeded()
        if was_open:
            _log.info("upstream_back", upstream=self._name, host=str(host.origin))
            self._show_breakers()

    def failed(self, host: Host, why: str, silent_for: float = 0.0) -> None:
        was_open = host.breaker.is_open
        host.why = why
        host.breaker.failed(self._clock(), silent_for)
        if was_open or not host.breaker.is_open:
            return
        _log.warning("upstream_held_dead", upstream=self._name, host=str(host.origin), why=host.why)
        self._show_breakers()
        host.give_up()
        if host.probing is None or host.probing.done():
            host.probing = asyncio.create_task(self._probe(host))

    def _show_breakers(self) -> None:
        dead = any(self._hosts[o].breaker.is_open for o in self._essential if o in self._hosts)
        BREAKER_OPEN.labels(self._name).set(dead)
        self._changed()

    async def wait(self, url: str, seconds: float) -> None:
        """Let time pass between two tries.

        Raises:
            UpstreamUnavailable: at once when the breaker of the URL's host is open or opens meanwhile.
        """
        host = self.host_of(read_url(url))
        self._refuse_open(host)
        with contextlib.suppress(TimeoutError):
            async with host.patience(seconds):
                await asyncio.Event().wait()
        self._refuse_open(host)

    def _refuse_open(self, host: Host) -> None:
        if host.breaker.is_open:
            raise self._opened(host)

    def _refuse(self, host: Host, url: URL) -> None:
        self._refuse_open(host)
        self._throttling.refuse_held(host, url)

    def _opened(self, host: Host) -> UpstreamUnavailable:
        return breaker_opened(self._name, host.why, self._until_probe(host))

    # --- one try ---

    async def open(self, url: str, headers: Mapping[str, str], *, large: bool = False) -> Exchange:
        """Send one request and return its answer's head; the caller closes the exchange. `large`: a download.

        Raises:
            PassingFault: this try failed, another may not.
            UpstreamUnavailable: the breaker is open.
            UpstreamNonsense: a URL or redirect that is not allowed.
        """
        with contextlib.ExitStack() as stack:
            here = self.egress.checked(self._read(url))
            self._refuse(self.host_of(here), here)
            for slots in [self._download_slots, self._slots] if large else [self._slots]:
                await self._acquire(slots, self.host_of(here))
                stack.callback(slots.release)
            host, answer = await self._follow(here, headers)
            return Exchange(
                self._name,
                answer,
                wait=self._throttling.wait(host, answer),
                read_timeout=self._settings.read_timeout,
                succeeded=lambda: self.succeeded(host),
                failed=lambda why: self.failed(host, why),
                release=stack.pop_all().close,
            )

    async def _acquire(self, slots: asyncio.Semaphore, host: Host) -> None:
        self._refuse_open(host)
        if slots.locked():
            try:
                async with host.patience(None):
                    await slots.acquire()
            except TimeoutError:
                raise self._opened(host) from None
        else:
            await slots.acquire()

    async def _follow(self, url: URL, headers: Mapping[str, str]) -> tuple[Host, aiohttp.ClientResponse]:
        for _ in range(MAX_REDIRECTS + 1):
            host = self.host_of(url)
            self._refuse(host, url)
            answer = await self._head(host, url, headers)
            if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                return host, answer
            answer.release()
            try:
                url = self.egress.checked(url.join(self._read(answer.headers["Location"])))
            except UpstreamError as error:
                # A captive portal looks like this: the host is not what we think it is.
                self.failed(host, error.why)
                UPSTREAM_REQUESTS.labels(self._name, "nonsense").inc()
                raise
        self.failed(host, "it redirects in a circle")
        UPSTREAM_REQUESTS.labels(self._name, "nonsense").inc()
        raise UpstreamNonsense(self._name, "it redirects in a circle")

    async def _head(self, host: Host, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if self._session is None:
            raise UpstreamUnavailable(self._name, "we are stopping")
        host.last_url = str(url)
        began = self._clock()
        number = host.breaker.began(began)
        throttle = host.throttle(url)
        first = throttle.begin()
        try:
            with translated(self._name):
                async with host.patience(self._settings.head_timeout):
                    answer = await self._session.get(
                        url,
                        headers={**headers, **self.egress.credentials(url)},
                        allow_redirects=False,
                        proxy=self.egress.proxy(url),
                    )
        except PassingFault as fault:
            silent_for = host.breaker.given_up(number, self._clock())
            UPSTREAM_REQUESTS.labels(self._name, fault.result).inc()
            if first:
                throttle.over()  # what ails it now is for the breaker to find out, which needs more than one asker
            if host.breaker.is_open and fault.result == "timeout":
                raise self._opened(host) from fault
            self.failed(host, fault.error.why, silent_for)
            raise
        except asyncio.CancelledError:
            if host.breaker.left(number, self._clock()):
                self.failed(host, "silent for too long")
            raise
        finally:
            if first:
                throttle.end()
        host.breaker.answered(number)
        self._throttling.heed(host, throttle, answer, began, first=first)
        UPSTREAM_SECONDS.labels(self._name).observe(self._clock() - began)
        return answer

    def _read(self, url: str) -> URL:
        try:
            return read_url(url)
        except ValueError as error:
            raise UpstreamNonsense(self._name, "it names a URL that cannot be read") from error

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._settings.ca_file:
            return True
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(cafile=self._settings.ca_file)
        except OSError as error:
            what = f"{self._name}: ca_file: cannot use {self._settings.ca_file}: {error.strerror or error}"
            raise ConfigError([f"mirroring.upstream {what}"]) from error
        return context

    # --- the probe ---

    async def _probe(self, host: Host) -> None:
        while host.breaker.is_open:
            await asyncio.sleep(self._until_probe(host))
            with contextlib.suppress(PassingFault, UpstreamError):
                await self._probe_once(host, self._read(self._probed(host)))

    def _probed(self, host: Host) -> str:
        return self._settings.service_index if host.origin == self.egress.home else host.last_url

    def _until_probe(self, host: Host) -> float:
        """Seconds between two probes; a host that wants to be left alone for longer is."""
        left = host.throttle(self._read(self._probed(host))).left(self._clock())
        return max(self._settings.breaker_probe, left or 0.0)

    async def _probe_once(self, host: Host, url: URL) -> None:
        """Any honest answer is a sign of life, a refusal or an absence too."""
        answer = await self._head(host, url, {})
        answer.release()
        UPSTREAM_REQUESTS.labels(self._name, result_of(answer.status)).inc()
        if answer.status in _REDIRECTS:
            self.egress.checked(url.join(self._read(answer.headers.get("Location", ""))))
        elif not 400 <= answer.status < 500 or answer.status in (408, 429):
            judge(self._name, answer, (200,))
        self.succeeded(host)
