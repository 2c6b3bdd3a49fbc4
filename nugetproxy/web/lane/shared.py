"""What the lanes of one worker share: hot answers, settings, and what is counted and remembered over all of them.

A lane (`web.lane.lane`) is one connection; how connections are accepted and closed belongs to `web.lane.server`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Final

from aiohttp import web

from nugetproxy import metrics
from nugetproxy.config import ServerSettings
from nugetproxy.httpcache.conditional import NotModified, Verdict, Whole
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.hot.open_files import KeptFile, OpenFile
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.aiohttp_connection import KEEPALIVE_SECONDS, Refuse, can_tell, handler_for
from nugetproxy.web.lane.connections import Connections
from nugetproxy.web.lane.request_head import RequestHead, read_head
from nugetproxy.web.telemetry.access import AccessLine, AccessLog
from nugetproxy.web.telemetry.tally import Tally

DISK_THREADS: Final = 4
"""Threads that wait for the disk, so that the loop does not."""

MAX_RENDERED: Final = 1024
"""Heads of this second that are remembered."""

MAX_KNOWN_HEADS: Final = 1024
"""Parsed header blocks that are remembered. A client repeats its own word for word, request after request."""


class LaneShared:
    """`hot` is None when the lane is switched off: limits and time-outs apply all the same."""

    def __init__(
        self,
        server: web.Server,
        hot: HotTable | None,
        settings: ServerSettings,
        access: AccessLog,
        learned: Callable[[str], str | None] | None = None,
    ) -> None:
        """`server` is an `AppRunner`'s, created with `handler_options()`.

        `learned` names the actor whose Authorization header was recently verified and is still valid; None: the gate
        must check it. Without `learned`, no client needs credentials.
        """
        self.can_reopen = can_tell()
        """False if this aiohttp cannot say whether it is between requests: the lane is then off."""
        if self.can_reopen and server().keepalive_timeout < KEEPALIVE_SECONDS:
            raise ValueError("the aiohttp server must be made with aiohttp_connection.handler_options()")
        self._aiohttp = server
        self.hot = hot if settings.lane and self.can_reopen else None
        self.settings = settings
        self.connections = Connections(settings)
        self.tally = Tally(self._count_lookups)
        self._access = access
        self._learned = learned
        self.disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="lane-disk")
        """Reads into the page cache what is about to be sent."""
        self._second, self._date = -1, ""
        self._rendered: dict[HotAnswer, tuple[HotVariant, bytes]] = {}
        self._unmodified: dict[HotAnswer, tuple[HotVariant, bytes]] = {}
        self._heads: dict[bytes, dict[bytes, RequestHead]] = {b"http": {}, b"https": {}}

    def _count_lookups(self) -> None:
        hot = self.hot
        if hot is not None:
            for found, number in (
                ("memory", hot.found_in_memory),
                ("disk", hot.found_on_disk),
                ("none", hot.not_found),
            ):
                metrics.HOT_LOOKUPS.labels(found).inc(number)
            hot.found_in_memory = hot.found_on_disk = hot.not_found = 0

    def make_handler(self, refuse: Refuse) -> web.RequestHandler:
        """aiohttp's side of a connection; `refuse` answers requests that its parser cannot read."""
        return handler_for(self._aiohttp, refuse)

    def heads(self, scheme: bytes) -> dict[bytes, RequestHead]:
        return self._heads[scheme]

    def read_head(self, block: bytes, scheme: bytes) -> RequestHead | None:
        """Parse a header block that is not known yet."""
        head = read_head(block, scheme, is_behind_proxy=bool(self.settings.trusted_proxies))
        if head is not None and head.request_id is None:  # a block with its own id will not come again
            known = self._heads[scheme]
            if len(known) >= MAX_KNOWN_HEADS:
                known.clear()
            known[block] = head
        return head

    def head(self, answer: HotAnswer, variant: HotVariant, verdict: Verdict, wall: float, now: float) -> bytes:
        """As `HotAnswer.head`, with the Date of this second. `wall` in unix seconds.

        Those of whole bodies and of unmodified ones are rendered once a second: they change no more often.
        """
        second = int(wall)
        if second != self._second:
            self._second, self._date = second, f"Date: {formatdate(second, usegmt=True)}\r\n"
            self._rendered.clear()
            self._unmodified.clear()
        if isinstance(verdict, Whole):
            rendered = self._rendered
        elif isinstance(verdict, NotModified):
            rendered = self._unmodified
        else:
            return answer.head(variant, verdict, self._date, now)
        known = rendered.get(answer)
        if known is not None and known[0] is variant:
            return known[1]
        head = answer.head(variant, verdict, self._date, now)
        if len(rendered) < MAX_RENDERED:
            rendered[answer] = variant, head
        return head

    def open(self, file: KeptFile) -> OpenFile | None:
        """None when it cannot be opened, or is a different file by now."""
        if self.hot is None:
            return None
        try:
            return self.hot.files.open(file)
        except OSError:
            return None

    def actor(self, authorization: str) -> str | None:
        """The actor with these credentials, empty where they do not matter; None: the gate must check them."""
        return "" if self._learned is None else self._learned(authorization)

    def note(self, line: AccessLine) -> None:
        """Count and log one answered request."""
        self.tally.count(line.resource, line.outcome, line.status, line.seconds, line.bytes)
        self._access.record(line)
