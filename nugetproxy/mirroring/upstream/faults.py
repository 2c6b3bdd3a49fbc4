"""What an upstream's misbehaviour means: which faults pass, which are final, and how long to wait before the next try.

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

# What an upstream asks for beyond this (seconds) is taken for this: it may be a slip or malice, and asking once in five
# minutes bothers nobody.
LONGEST_RETRY_AFTER = 300.0


class PassingFault(Exception):
    """A try failed in a way that another try may not. `error` is what to raise when there is no other try.

    `result` is the word of the metric for the failed request.
    """

    def __init__(self, error: UpstreamError, result: str) -> None:
        self.error = error
        self.result = result
        super().__init__(str(error))


@dataclass(frozen=True, slots=True)
class Pacing:
    """How tries follow each other and failures are told apart; all in seconds."""

    first_pause: float = 0.2
    longest_pause: float = 3.0
    spacing: float = 2.0
    """Failures of one host closer together than this count once towards its breaker."""
    overdue: float = 1.0
    """A head that takes longer than this makes its host suspect."""

    @classmethod
    def within(cls, patience: float, failures: int) -> "Pacing":
        """The usual pace, and a breaker that opens at the earliest when the first caller's patience is spent.

        An outage is bridged as long as callers are willing to wait; counted any faster, the breaker would cut them off
        in the middle of it. Where one failure is enough, nobody waits.
        """
        usual = cls()
        return replace(usual, spacing=max(usual.spacing, patience / max(1, failures - 1)))

    def pause(self, failures: int, retry_after: float | None, chance: float | None = None) -> float:
        """Seconds to wait after so many failed tries; never less than the upstream asked for.

        `chance` (0 to 1) spreads those who failed together over the second half of the pause.
        """
        whole = min(self.longest_pause, self.first_pause * 2.0 ** min(failures - 1, 30))
        spread = whole * (0.5 + 0.5 * (random.random() if chance is None else chance))  # noqa: S311 - not a secret
        return max(spread, retry_after or 0.0)


def judge(upstream: str, answer: aiohttp.ClientResponse, expected: tuple[int, ...], wait: float | None = None) -> None:
    """Let an expected status pass (404 and 410 always are). `wait` seconds are taken for what the answer asks.

    Raises:
        PassingFault: 5xx, 429, 408: another try may do better.
        UpstreamUnavailable: any other refusal, with the upstream's reason. Never "not found".
        UpstreamNonsense: a status that answers nothing we asked.
    """
    status = answer.status
    if status in expected or status in (404, 410):
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
    """Turn whatever the HTTP client raises into a PassingFault, or UpstreamNonsense for what cannot be asked.

    `proxy` is the outgoing proxy that is used, if any.
    """
    through = f" through {proxy}" if proxy is not None else ""
    try:
        yield
    except (TimeoutError, aiohttp.ServerTimeoutError) as error:
        connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        why = ("no connection in time" if connecting else "silent for too long") + through
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
        raise UpstreamNonsense(upstream, "it names a URL that cannot be asked") from error
    except aiohttp.ClientPayloadError as error:
        raise PassingFault(UpstreamUnavailable(upstream, "the answer broke off"), "broken") from error
    except (aiohttp.ClientError, OSError) as error:
        why = f"the connection{through} broke: {_reason(error)}"
        raise PassingFault(UpstreamUnavailable(upstream, why), "broken") from error


def breaker_opened(upstream: str, why: str, probe: float) -> UpstreamUnavailable:
    """The error while a host is held to be dead; `probe` seconds lie between two probes."""
    return UpstreamUnavailable(upstream, f"not asked, it has failed too often ({why})", retry_after=max(1.0, probe))


def held_back(upstream: str, why: str, seconds: float) -> PassingFault:
    """The fault while a host is not asked because it wants to be left alone; `seconds` of that are left."""
    again = f"for {math.ceil(seconds)} s more" if seconds else "while another request tries it"
    return PassingFault(UpstreamUnavailable(upstream, f"it {why}, so it is not asked {again}", seconds), "429")


def _reason(error: OSError | aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return f"certificate verify failed: {_printable(getattr(cause, 'verify_message', '') or str(cause))}"
    if not isinstance(error, aiohttp.ClientConnectorError) or isinstance(error.os_error, socket.gaierror):
        return _printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    if isinstance(error.os_error, ssl.SSLError):
        return f"TLS failed: {_printable(error.os_error.reason or str(error.os_error)).replace('_', ' ').lower()}"
    # The event loop's own words hold the address that was tried: clients need not read how names resolve here.
    return os.strerror(error.os_error.errno) if error.os_error.errno else "none of its addresses answers"


def _printable(text: str | None) -> str:
    """A stranger's words, fit for one line of a message."""
    return "".join(c if c.isprintable() else "?" for c in (text or "")[:200])
