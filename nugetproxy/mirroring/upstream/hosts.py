"""The hosts of one upstream, created when first needed, and what is known of their health.

Nothing is sent from here: `connections` sends requests, and probes hosts that are considered down.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine

from yarl import URL

from nugetproxy.config import UpstreamSettings
from nugetproxy.httpcache.decisions import Health
from nugetproxy.logs import logger
from nugetproxy.metrics import BREAKER_OPEN
from nugetproxy.mirroring.upstream.breaker import Breaker, worst
from nugetproxy.mirroring.upstream.egress import Origin, origin_of, read_url
from nugetproxy.mirroring.upstream.faults import Pacing
from nugetproxy.mirroring.upstream.host import Host
from nugetproxy.mirroring.upstream.throttling import Throttling

_log = logger()


class Hosts:
    """The hosts of one upstream, for one event loop."""

    def __init__(
        self, settings: UpstreamSettings, home: Origin, *, pacing: Pacing, clock: Callable[[], float],
        probe: Callable[[Host], Coroutine[None, None, None]], changed: Callable[[], None],
    ) -> None:  # fmt: skip
        """`home` is the service index's. `probe` runs while a host is considered down, `changed` is called when that
        begins and ends."""
        self._settings = settings
        self._name = settings.name
        self._home = home
        self._pacing = pacing
        self._clock = clock
        self._probe = probe
        self._changed = changed
        self._hosts: dict[Origin, Host] = {}
        self._essential = {home}
        self.throttling = Throttling(settings.name, settings.patience, pacing, clock, self.failed)

    async def close(self) -> None:
        """End the probes."""
        probes = [host.probing for host in self._hosts.values() if host.probing is not None]
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    def of(self, url: URL) -> Host:
        """The URL's host. Raises ValueError when it names none."""
        origin = origin_of(url)
        if origin not in self._hosts:
            breaker = Breaker(
                self._settings.breaker_failures, spacing=self._pacing.spacing, overdue=self._pacing.overdue
            )
            self._hosts[origin] = Host(origin, breaker, self.throttling.new)
        return self._hosts[origin]

    def rely_on(self, url: str) -> None:
        """The upstream is of no use without this URL's host, so it counts towards `health`."""
        with contextlib.suppress(ValueError):
            self._essential.add(origin_of(read_url(url)))

    def set_apart(self, url: str) -> None:
        """Throttle what lies below this URL separately, as `Host.set_apart`."""
        with contextlib.suppress(ValueError):
            self.of(parsed := read_url(url)).set_apart(parsed.raw_path)

    @property
    def health(self) -> Health:
        """The worst health of the hosts that the upstream depends on. A host that only asked us to wait is usable."""
        return worst(self._health(origin) for origin in self._essential)

    @property
    def are_calm(self) -> bool:
        """Whether no host that was ever asked is in trouble, and none asked us to wait."""
        now = self._clock()
        return all(host.breaker.health(now) is Health.GOOD and not host.is_held(now) for host in self._hosts.values())

    def health_of(self, url: str) -> Health:
        """The health of one URL's host: SUSPECT while it asked us to wait, GOOD when nothing was ever sent to it."""
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
        """Seconds between two probes of the hosts that this URL needs and that are considered down; 0 if none is."""
        needed = set(self._essential)
        with contextlib.suppress(ValueError):
            needed.add(origin_of(read_url(url)))
        dead = [host for origin, host in self._hosts.items() if origin in needed and host.breaker.is_open]
        return max(map(self.between_probes, dead), default=0.0)

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

    # --- probes ---

    def probed(self, host: Host) -> str:
        """The URL that is requested to find out whether a host is up again."""
        return self._settings.service_index if host.origin == self._home else host.last_url

    def between_probes(self, host: Host) -> float:
        """Seconds between two probes, or longer if the host asked us to wait longer."""
        left = host.throttle(read_url(self.probed(host))).left(self._clock())
        return max(self._settings.breaker_probe, left or 0.0)
