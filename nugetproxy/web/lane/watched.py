"""One connection as `web.lane.connections` watches it: what is in flight on it, for how long, and how it ends.

What is received and sent is decided in `web.lane.lane`, which keeps the fields here up to date.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from nugetproxy.web.http.aiohttp_connection import finish, is_between_requests
from nugetproxy.web.http.errors import refused
from nugetproxy.web.http.request_ids import request_id
from nugetproxy.web.lane.backlog import Backlog, unread_bytes
from nugetproxy.web.lane.file_body import FileBody
from nugetproxy.web.lane.long_body import LongBody
from nugetproxy.web.lane.plain_refusal import plain_refusal
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.telemetry.access import AccessLine

LAST_REQUEST_SECONDS: Final = 1.0
"""While we stop, a connection may still deliver a request that was already on its way."""

_EMPTY_LINE: Final = b"\r\n\r\n"


class Watched(asyncio.BufferedProtocol):
    """A `web.lane.connections.Connection`."""

    __slots__ = (
        "_backlog",
        "_close_after",
        "_handed",
        "_handed_tail",
        "_handler",
        "_head",
        "_head_since",
        "_held",
        "_is_refused",
        "_running",
        "_shared",
        "_since",
        "_transport",
        "_was_used",
        "address",
    )

    def __init__(self, shared: LaneShared) -> None:
        self.address = ""
        self._shared = shared
        self._transport: asyncio.Transport
        # aiohttp's side
        self._handler: web.RequestHandler | None = None
        self._handed = False  # it was given bytes, and may not be between two requests again
        self._handed_tail = b""  # the last of them: after an empty line its parser holds nothing between requests
        # receiving
        self._head = b""  # a head that is not complete yet
        self._head_since = 0.0
        self._held = b""  # what was received while we were sending
        # sending
        self._running: LongBody | FileBody | None = None
        self._backlog = Backlog()
        # how it ends
        self._since = 0.0  # when nothing was in flight any more
        self._was_used = False
        self._close_after = False
        self._is_refused = False

    def is_idle(self) -> bool:
        return (
            self._running is None
            and not self._head
            and not self._held
            and not self._is_refused
            and (not self._handed or self._is_handed_back())
        )

    def overdue(self, now: float) -> str | None:
        """Called about once a second, so durations here are accurate to about a second."""
        settings = self._shared.settings
        still = self._backlog.still_for(self._transport, now)
        if still is not None:
            self._since = now
            return "stall" if _is_over(settings.stall_timeout, still) else None
        if self._head:
            return "header_timeout" if _is_over(settings.header_timeout, now - self._head_since) else None
        if self._handed and not self._shared.can_reopen:
            return None  # aiohttp has its own idle time-out then
        if self._handed and not self._is_handed_back():
            if not is_between_requests(self._handler):
                self._since = now  # being answered; how long that may take is up to the application
            # Else the start of a second request came behind the first and is in aiohttp's parser.
            return "header_timeout" if _is_over(settings.header_timeout, now - self._since) else None
        if self._close_after and now - self._since > LAST_REQUEST_SECONDS:
            return "idle"
        if not self._was_used or self._is_refused:
            # A connection on which nothing was ever received, or whose client was refused.
            return "header_timeout" if _is_over(settings.header_timeout, now - self._since) else None
        return "idle" if _is_over(settings.idle_timeout, now - self._since) else None

    def end(self, reason: str) -> None:
        if reason == "stall":
            self.abort()
        elif reason == "header_timeout" and self._head:
            self._refuse(408, "the request head did not arrive in time")
        else:
            self._transport.close()

    def finish(self) -> None:
        self._close_after = True
        if not self.is_idle():
            if self._handed and self._handler is not None:
                finish(self._handler)
        elif self._is_resting() and not unread_bytes(self._transport):
            self._transport.close()
        # Else a request is on its way: it is answered, unless it takes longer than LAST_REQUEST_SECONDS.

    def _is_resting(self) -> bool:
        """Whether its client is not in the middle of a series of requests: closing now meets no request."""
        return self._was_used and time.monotonic() - self._since > LAST_REQUEST_SECONDS

    def abort(self) -> None:
        self._transport.abort()

    def _is_handed_back(self) -> bool:
        """Whether aiohttp is done with everything it was given, down to its parser."""
        if self._handed_tail != _EMPTY_LINE or not self._shared.can_reopen or not is_between_requests(self._handler):
            return False
        self._handed = False
        return True

    def _refuse_unread(self, status: int, sentence: str) -> None:
        """Refuse a request that cannot be read, though its client may still be sending it."""
        self._refuse(status, sentence, lingers=True)

    def _refuse(
        self, status: int, sentence: str, *, lingers: bool = False, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer without aiohttp and close. `lingers`: keep reading for a while, else a reset loses our response."""
        refusal, name = refused(status, sentence, headers), request_id(None)
        answer, size = plain_refusal(refusal, name)
        self._transport.write(answer)
        outcome = refusal.outcome.value
        self._shared.note(
            AccessLine(time.time(), name, self.address, "", "-", "-", status, size, 0.0, "unknown", outcome, "")
        )
        self._head = b""
        self._handed = False
        self._is_refused = True
        self._since = time.monotonic()
        if lingers and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()


def _is_over(limit: float, seconds: float) -> bool:
    """A limit of 0 means no limit."""
    return 0 < limit <= seconds
