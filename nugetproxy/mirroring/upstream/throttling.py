"""Respecting the waits that an upstream's hosts ask for when they get too many requests.

What is remembered of one host, or of one part of it, is a `throttle`.
"""

from collections.abc import Callable

import aiohttp
from yarl import URL

from nugetproxy.logs import logger
from nugetproxy.metrics import UPSTREAM_HELD_BACK
from nugetproxy.mirroring.upstream.faults import Pacing, held_back, retry_after_of, words_for
from nugetproxy.mirroring.upstream.host import Host
from nugetproxy.mirroring.upstream.throttle import Throttle

_log = logger()


class Throttling:
    """The throttles of one upstream's hosts, read and written."""

    def __init__(
        self, upstream: str, patience: float, pacing: Pacing, clock: Callable[[], float],
        failed: Callable[[Host, str], None],
    ) -> None:  # fmt: skip
        """A wait longer than `patience` seconds is logged, because clients notice it. `failed` is called when a request
        was not sent that would have failed according to the host."""
        self._upstream = upstream
        self._patience = patience
        self._pacing = pacing
        self._clock = clock
        self._failed = failed

    def new(self) -> Throttle:
        """A throttle for one host or a part of it. The second look ends within the patience of the first caller."""
        second_look = min(self._pacing.longest_pause, self._patience / 10)
        return Throttle(self._pacing.first_pause, second_look=second_look, patience=self._patience)

    def wait(self, host: Host, answer: aiohttp.ClientResponse) -> float | None:
        """Seconds during which no request is sent to the host because of this answer; None if it asks for nothing."""
        return (host.throttle(answer.url).left(self._clock()) or 0.0) if _asks_to_wait(answer) else None

    def refuse_held(self, host: Host, url: URL) -> None:
        """Raises PassingFault while the host asked us to wait."""
        throttle = host.throttle(url)
        left = throttle.left(self._clock())
        if left is None:
            return
        UPSTREAM_HELD_BACK.labels(self._upstream).inc()
        if throttle.is_outage and left:
            # So that a host that is down is detected as soon as if requests were sent.
            self._failed(host, throttle.why)
        raise held_back(self._upstream, throttle.why, left)

    def heed(
        self, host: Host, throttle: Throttle, answer: aiohttp.ClientResponse, began: float, *, first: bool
    ) -> None:
        """Remember a refusal; `began` is when its request was sent, `first` what `Throttle.begin` returned for it."""
        retry_after = retry_after_of(answer) or 0.0
        if not _asks_to_wait(answer):
            if first and throttle.over() > self._patience:
                _log.info("upstream_may_be_asked_again", upstream=self._upstream, host=str(host.origin))
            return
        why = words_for(answer)
        ill = str(answer.url) if answer.status == 503 else ""
        wait = throttle.refused(began, self._clock(), retry_after, why, ill=ill)
        if wait is None:
            return
        log = _log.bind(upstream=self._upstream, host=str(host.origin), why=why, seconds=round(wait, 1))
        if wait > self._patience:
            log.warning("upstream_asks_to_wait")
        else:
            log.debug("upstream_asks_to_wait")


def _asks_to_wait(answer: aiohttp.ClientResponse) -> bool:
    return answer.status == 429 or (answer.status == 503 and bool(retry_after_of(answer)))
