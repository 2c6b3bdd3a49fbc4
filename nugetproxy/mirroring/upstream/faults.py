"""What an upstream's failures mean: which are temporary, which are final, and how long to wait before the next try.

Foreign exceptions and HTTP statuses are translated here and nowhere else.
"""

import math
import os
import random
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from nugetproxy.errors import UpstreamError, UpstreamNonsense, UpstreamTimeout, UpstreamUnavailable
from nugetproxy.mirroring.upstream import remedies
from nugetproxy.mirroring.upstream.egress import OutgoingProxy

# A longer wait (seconds) than this is cut to this: it may be a mistake or malice, and one request in five minutes is no
# burden.
LONGEST_RETRY_AFTER = 300.0


ABSENT = frozenset({204, 404, 410})
"""Statuses of what is not there. NuGet's client takes "no content" for that, too."""


class PassingFault(Exception):
    """A try failed, and another may succeed. `error` is what to raise when there is no other try.

    `result` is the word of the metric for the failed request.
    """

    def __init__(self, error: UpstreamError, result: str) -> None:
        self.error = error
        self.result = result
        super().__init__(str(error))


@dataclass(frozen=True, slots=True)
class Pacing:
    """The pauses between tries and the time between failures that are counted separately; all in seconds."""

    first_pause: float = 0.2
    longest_pause: float = 3.0
    spacing: float = 2.0
    """Failures of one host closer together than this count once towards its breaker."""
    overdue: float = 1.0
    """A head that takes longer than this makes its host suspect."""

    @classmethod
    def within(cls, patience: float, failures: int) -> "Pacing":
        """The usual pace, with a breaker that opens no earlier than the patience of the first caller ends.

        An outage is bridged as long as callers are willing to wait; a breaker that counts faster would cut them off.
        If one failure is enough to open it, nobody waits.
        """
        usual = cls()
        return replace(usual, spacing=max(usual.spacing, patience / max(1, failures - 1)))

    def pause(self, failures: int, retry_after: float | None, chance: float | None = None) -> float:
        """Seconds to wait after this many failed tries; never less than the upstream asked for.

        `chance` (0 to 1) spreads callers that failed together over the second half of the pause.
        """
        whole = min(self.longest_pause, self.first_pause * 2.0 ** min(failures - 1, 30))
        spread = whole * (0.5 + 0.5 * (random.random() if chance is None else chance))  # noqa: S311 - not a secret
        return max(spread, retry_after or 0.0)


def judge(upstream: str, answer: aiohttp.ClientResponse, expected: tuple[int, ...], wait: float | None = None) -> None:
    """Accept an expected status; ABSENT ones always are. `wait`, in seconds, replaces the Retry-After of the answer.

    Raises:
        PassingFault: 5xx, 429, 408: another try may succeed.
        UpstreamUnavailable: any other refusal, with the upstream's reason. Never "not found".
        UpstreamNonsense: a status that does not fit the request.
    """
    status = answer.status
    if status in expected or status in ABSENT:
        return
    why = words_for(answer)
    if status >= 500 or status in (408, 429):
        asked = retry_after_of(answer) if wait is None else wait
        raise PassingFault(UpstreamUnavailable(upstream, why, asked), result_of(status))
    if status >= 400:
        raise UpstreamUnavailable(upstream, why, remedy=remedies.for_status(status))
    raise UpstreamNonsense(upstream, why)


def result_of(status: int) -> str:
    """The metric's word for a status."""
    if status in (304, 404, 429):
        return str(status)
    return "404" if status == 410 else f"{status // 100}xx"


def words_for(answer: aiohttp.ClientResponse) -> str:
    """A refusal in words."""
    return f"answered {answer.status} {_printable(answer.reason)}".rstrip()


def retry_after_of(answer: aiohttp.ClientResponse) -> float | None:
    """The seconds that an answer asks us to wait, as `read_retry_after`."""
    return read_retry_after(answer.headers.get("Retry-After", ""), datetime.now(UTC))


def read_retry_after(text: str, now: datetime) -> float | None:
    """Seconds from a Retry-After header, whether in seconds or as a date; None when it says nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    seconds = (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)


@contextmanager
def translated(upstream: str, proxy: OutgoingProxy | None = None) -> Iterator[None]:
    """Turn what the HTTP client raises into a PassingFault, or UpstreamNonsense for a URL that cannot be requested.

    `proxy` is the outgoing proxy that is used, if any.
    """
    through = f" through {proxy}" if proxy is not None else ""
    try:
        yield
    except (TimeoutError, aiohttp.ServerTimeoutError) as error:
        connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        why = ("no connection in time" if connecting else "no answer in time") + through
        fault = UpstreamTimeout(upstream, why, remedy=remedies.for_silence(proxy))
        raise PassingFault(fault, "timeout") from error
    except aiohttp.ClientConnectorError as error:
        is_proxy = proxy is not None and (error.host, error.port) == (proxy.url.host, proxy.url.port)
        why = f"cannot connect to {proxy if is_proxy else error.host + through}: {_reason(error)}"
        remedy = remedies.for_connecting(error, proxy)
        raise PassingFault(UpstreamUnavailable(upstream, why, remedy=remedy), "connect") from error
    except aiohttp.ClientHttpProxyError as error:
        why = f"{proxy or 'the outgoing proxy'} answered {error.status} {_printable(error.message)}".rstrip()
        remedy = remedies.for_proxy_status(error.status, proxy)
        raise PassingFault(UpstreamUnavailable(upstream, why, remedy=remedy), "connect") from error
    except aiohttp.ClientResponseError as error:
        why = f"not an HTTP answer: {_printable(error.message)}"
        raise PassingFault(UpstreamNonsense(upstream, why), "nonsense") from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise UpstreamNonsense(upstream, "it names a URL that cannot be requested") from error
    except aiohttp.ClientPayloadError as error:
        raise PassingFault(UpstreamUnavailable(upstream, "the answer was cut off"), "broken") from error
    except (aiohttp.ClientError, OSError) as error:
        why = f"the connection{through} broke: {_reason(error)}"
        raise PassingFault(UpstreamUnavailable(upstream, why), "broken") from error


def breaker_opened(upstream: str, why: str, probe: float) -> UpstreamUnavailable:
    """The error while a host is considered down; `probe` is the time between two probes in seconds."""
    return UpstreamUnavailable(
        upstream, f"considered down after repeated failures ({why})", retry_after=max(1.0, probe)
    )


def held_back(upstream: str, why: str, seconds: float) -> PassingFault:
    """The fault while no request is sent because the host asked us to wait; `seconds` of the wait are left."""
    until = f"for {math.ceil(seconds)} s" if seconds else "until a first request has succeeded"
    return PassingFault(UpstreamUnavailable(upstream, f"it {why}; no request is sent {until}", seconds), "429")


def _reason(error: OSError | aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return f"certificate verify failed: {_printable(getattr(cause, 'verify_message', '') or str(cause))}"
    if not isinstance(error, aiohttp.ClientConnectorError) or isinstance(error.os_error, socket.gaierror):
        return _printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    if isinstance(error.os_error, ssl.SSLError):
        return f"TLS failed: {_printable(error.os_error.reason or str(error.os_error)).replace('_', ' ').lower()}"
    # The event loop's own message holds the address that was tried, and clients must not learn how names resolve here.
    return os.strerror(error.os_error.errno) if error.os_error.errno else "none of its addresses answers"


def _printable(text: str | None) -> str:
    """Text from outside, made fit for one line of a message."""
    return "".join(c if c.isprintable() else "?" for c in (text or "")[:200])
