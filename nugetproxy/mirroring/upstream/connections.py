"""Requests to one upstream's hosts: which may be sent, how many at the same time, and probes of hosts considered down.

`open` makes one try: it sends a request, follows redirects itself and returns the head of the answer. Retries belong to
`bridging`, what is known of the hosts to `hosts`. No header of our clients ever reaches this module, so none can leave.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

import aiohttp
from yarl import URL

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import UpstreamError, UpstreamNonsense, UpstreamUnavailable
from nugetproxy.metrics import BREAKER_OPEN, UPSTREAM_REQUESTS, UPSTREAM_SECONDS
from nugetproxy.mirroring.upstream.egress import Egress, read_url
from nugetproxy.mirroring.upstream.exchange import Exchange
from nugetproxy.mirroring.upstream.faults import Pacing, PassingFault, breaker_opened, judge, result_of, translated
from nugetproxy.mirroring.upstream.host import Host
from nugetproxy.mirroring.upstream.hosts import Hosts
from nugetproxy.mirroring.upstream.pace import Pace
from nugetproxy.mirroring.upstream.sessions import Sessions

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Connections:
    """The sessions, the hosts that may be asked, and a bound on how many requests run at the same time."""

    def __init__(
        self, settings: UpstreamSettings, *, user_agent: str, environ: Mapping[str, str], pacing: Pacing,
        clock: Callable[[], float] = time.monotonic, changed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`changed` is called when a breaker opens or closes."""
        self.egress = Egress(settings, environ)
        self._settings = settings
        self._name = settings.name
        self._pacing = pacing
        self._clock = clock
        self.hosts = Hosts(settings, self.egress.home, pacing=pacing, clock=clock, probe=self._probe, changed=changed)
        self._sessions = Sessions(settings, self.egress, user_agent)
        # Our own bound and not the session's pool: waiting for a free connection is not a failure of the upstream, and
        # large downloads must leave a quarter for the small documents that clients wait for.
        self._slots = asyncio.Semaphore(settings.connections)
        self._most_downloads = max(1, settings.connections * 3 // 4)
        self._download_slots = asyncio.Semaphore(self._most_downloads)
        self._asking = self._downloading = 0
        self.pace = Pace()

    def now(self) -> float:
        """The time that `pace` is measured in, in seconds."""
        return self._clock()

    async def start(self) -> None:
        """Read credentials and certificates.

        Raises:
            ConfigError: a file that the settings name cannot be used.
        """
        self.egress.read_credentials()
        await self._sessions.start()
        BREAKER_OPEN.labels(self._name).set(0)

    async def close(self) -> None:
        await self.hosts.close()
        await self._sessions.close()

    # --- room for requests that nobody waits for ---

    def most_ahead(self, *, large: bool) -> int:
        """How many requests, or downloads among them, may run for nobody: half of all."""
        return (self._most_downloads if large else self._settings.connections) // 2

    def room(self, *, large: bool) -> int:
        """How many requests, or downloads, could be sent now without waiting; below 0 when some wait."""
        room = self._settings.connections - self._asking
        return min(room, self._most_downloads - self._downloading) if large else room

    # --- waiting ---

    async def wait(self, url: str, seconds: float) -> None:
        """Wait between two tries.

        Raises:
            UpstreamUnavailable: immediately, when the breaker of the URL's host is open or opens meanwhile.
        """
        host = self.hosts.of(read_url(url))
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
        self.hosts.throttling.refuse_held(host, url)

    def _opened(self, host: Host) -> UpstreamUnavailable:
        return breaker_opened(self._name, host.why, self.hosts.between_probes(host))

    # --- one try ---

    async def open(self, url: str, headers: Mapping[str, str], *, large: bool = False) -> Exchange:
        """Send one request and return the head of the answer; the caller closes the exchange. `large`: a download.

        Raises:
            PassingFault: this try failed, another may succeed.
            UpstreamUnavailable: the breaker is open.
            UpstreamNonsense: a URL or redirect that is not allowed.
        """
        with contextlib.ExitStack() as stack:
            here = self.egress.checked(self._read(url))
            self._refuse(self.hosts.of(here), here)
            self._count(stack, large=large)
            for slots in [self._download_slots, self._slots] if large else [self._slots]:
                await self._acquire(slots, self.hosts.of(here))
                stack.callback(slots.release)
            host, answer = await self._follow(here, headers)
            return Exchange(
                self._name,
                answer,
                wait=self.hosts.throttling.wait(host, answer),
                read_timeout=self._settings.read_timeout,
                waiting=lambda: self.pace.begin(self._clock()),
                received=lambda size: self.pace.end(self._clock(), size),
                succeeded=lambda: self.hosts.succeeded(host),
                failed=lambda why: self.hosts.failed(host, why),
                release=stack.pop_all().close,
            )

    def _count(self, stack: contextlib.ExitStack, *, large: bool) -> None:
        """Count a request, and a download, from now until the stack is closed."""

        def add(number: int) -> None:
            self._asking += number
            self._downloading += number * large

        add(1)
        stack.callback(add, -1)

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
            host = self.hosts.of(url)
            self._refuse(host, url)
            answer = await self._head(host, url, headers)
            if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                return host, answer
            answer.release()
            try:
                url = self.egress.checked(url.join(self._read(answer.headers["Location"])))
            except UpstreamError as error:
                # Captive portals do this: the host is not the one we meant.
                self.hosts.failed(host, error.why)
                UPSTREAM_REQUESTS.labels(self._name, "nonsense").inc()
                raise
        self.hosts.failed(host, "a redirect loop")
        UPSTREAM_REQUESTS.labels(self._name, "nonsense").inc()
        raise UpstreamNonsense(self._name, "a redirect loop")

    async def _head(self, host: Host, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if not self._sessions.is_open:
            raise UpstreamUnavailable(self._name, "this server is shutting down")
        proxy = self.egress.proxy(url)
        host.last_url = str(url)
        began = self._clock()
        number = host.breaker.began(began)
        throttle = host.throttle(url)
        first = throttle.begin()
        try:
            with translated(self._name, proxy):
                async with host.patience(self._settings.head_timeout):
                    answer = await self._sessions.get(url, {**headers, **self.egress.credentials(url)}, proxy)
        except UpstreamError:
            host.breaker.given_up(number, self._clock())
            raise
        except PassingFault as fault:
            silent_for = host.breaker.given_up(number, self._clock())
            UPSTREAM_REQUESTS.labels(self._name, fault.result).inc()
            if first:
                throttle.over()  # the breaker finds out what is wrong now, and needs more than one request for it
            if host.breaker.is_open and fault.result == "timeout":
                raise self._opened(host) from fault
            self.hosts.failed(host, fault.error.why, silent_for)
            raise
        except asyncio.CancelledError:
            if host.breaker.left(number, self._clock()):
                self.hosts.failed(host, "no answer in time")
            raise
        finally:
            if first:
                throttle.end()
        host.breaker.answered(number)
        self.hosts.throttling.heed(host, throttle, answer, began, first=first)
        UPSTREAM_SECONDS.labels(self._name).observe(self._clock() - began)
        return answer

    def _read(self, url: str) -> URL:
        try:
            return read_url(url)
        except ValueError as error:
            raise UpstreamNonsense(self._name, "it names a URL that cannot be read") from error

    # --- the probe ---

    async def _probe(self, host: Host) -> None:
        while host.breaker.is_open:
            await asyncio.sleep(self.hosts.between_probes(host))
            with contextlib.suppress(PassingFault, UpstreamError):
                await self._probe_once(host, self._read(self.hosts.probed(host)))

    async def _probe_once(self, host: Host, url: URL) -> None:
        """Any proper answer shows that the host is up, also a refusal or a 404."""
        answer = await self._head(host, url, {})
        answer.release()
        UPSTREAM_REQUESTS.labels(self._name, result_of(answer.status)).inc()
        if answer.status in _REDIRECTS:
            self.egress.checked(url.join(self._read(answer.headers.get("Location", ""))))
        elif not 400 <= answer.status < 500 or answer.status in (408, 429):
            judge(self._name, answer, (200,))
        self.hosts.succeeded(host)
