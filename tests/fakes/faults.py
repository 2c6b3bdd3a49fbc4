"""The faults of the fake upstream: one value per kind, composable, matched by path and counted by the fake.

`upstream.fault("*.nupkg", truncated(1000), times=1)` - the first matching fault that still has times left applies.
"""

import asyncio
from dataclasses import dataclass, field

CAPTIVE_PORTAL = (
    b"<!DOCTYPE html><html><body><h1>Welcome to our hotel</h1><p>Please accept the terms.</p></body></html>"
)


@dataclass(frozen=True)
class Fault:
    """The change to one answer. The default does nothing, to let a number of requests pass before the next fault."""

    delay: float = 0.0
    """Seconds before the head."""
    until: asyncio.Event | None = None
    """The head waits for this event."""
    silent: bool = False
    """Nothing is ever sent; the connection stays open."""
    reset: bool = False
    """The connection is reset before the head."""
    closed: bool = False
    """The connection is closed in an orderly way before the head."""

    status: int | None = None
    """Replaces the answer: this status, `headers` and `body`."""
    headers: dict[str, str] = field(default_factory=dict)
    """Added to the answer, replacing those of the same name."""
    body: bytes | None = None
    drop: frozenset[str] = frozenset()
    """Names of headers to leave out, lower-case."""

    corrupt_at: int | None = None
    """This byte of the whole body is flipped."""
    gzip: bool = False
    """Encoded although it was not requested."""
    chunked: bool = False
    """Sent in chunks, without a Content-Length."""
    length_off_by: int = 0
    """Added to the true Content-Length."""
    no_length: bool = False
    """Neither a Content-Length nor chunks: the body ends with the connection."""
    ignores_range: bool = False
    ignores_if_range: bool = False
    ignores_conditions: bool = False

    bytes_per_second: float = 0.0
    """Speed of the body; 0 is as fast as possible."""
    cut_at: int | None = None
    """Only this many bytes of the body are sent, then `cut_by` happens."""
    cut_by: str = "close"
    """close (orderly), reset, or stall (the connection stays open and nothing more is sent)."""


def slow(bytes_per_second: float) -> Fault:
    return Fault(bytes_per_second=bytes_per_second)


def silent() -> Fault:
    return Fault(silent=True)


def delay(seconds: float) -> Fault:
    return Fault(delay=seconds)


def until(event: asyncio.Event) -> Fault:
    return Fault(until=event)


def reset() -> Fault:
    return Fault(reset=True)


def closed() -> Fault:
    return Fault(closed=True)


def truncated(after: int) -> Fault:
    return Fault(cut_at=after)


def reset_midway(after: int) -> Fault:
    return Fault(cut_at=after, cut_by="reset")


def stalled(after: int) -> Fault:
    return Fault(cut_at=after, cut_by="stall")


def wrong_length(by: int) -> Fault:
    return Fault(length_off_by=by)


def corrupt(at: int) -> Fault:
    return Fault(corrupt_at=at)


def captive_portal() -> Fault:
    return Fault(status=200, headers={"Content-Type": "text/html"}, body=CAPTIVE_PORTAL)


def status(code: int, *, retry_after: str | int | None = None, body: bytes = b"") -> Fault:
    return Fault(status=code, headers={} if retry_after is None else {"Retry-After": str(retry_after)}, body=body)


def redirect(to: str, code: int = 302) -> Fault:
    return Fault(status=code, headers={"Location": to}, body=b"")


def gzip_unasked() -> Fault:
    return Fault(gzip=True)


def chunked() -> Fault:
    return Fault(chunked=True)


def no_length() -> Fault:
    return Fault(no_length=True)


def no_range() -> Fault:
    return Fault(ignores_range=True)


def no_304() -> Fault:
    return Fault(ignores_conditions=True)
