"""The lane: hot answers straight from the table to the socket, in front of aiohttp's parser.

Rule 1: the lane takes a chunk that is exactly one complete GET or HEAD head, fully understood, with nothing else in
flight, whose target is hot. Everything else belongs to aiohttp from its first byte, on the same transport.
Rule 2: whichever way a request is answered, the client, the log and the metrics see the same.
Rule 3: memory per connection is bounded, whatever the client sends or does not read.

What is hot is decided in `web.answers.responses`; how a connection ends in `web.lane.watched`.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Final, cast

from nugetproxy.httpcache.conditional import NotModified, Partial, PreconditionFailed, Unsatisfiable, Verdict, Whole
from nugetproxy.web.hot.answer import HotAnswer
from nugetproxy.web.hot.open_files import KeptFile
from nugetproxy.web.http.aiohttp_connection import finish, is_tidying
from nugetproxy.web.http.portions import HIGH_WATER
from nugetproxy.web.http.request_ids import request_id
from nugetproxy.web.lane.backlog import keep_unsent_low
from nugetproxy.web.lane.challenge import Challenge
from nugetproxy.web.lane.file_body import FileBody
from nugetproxy.web.lane.long_body import UNSENT, LongBody
from nugetproxy.web.lane.request_head import RequestHead, split
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.lane.unfinished_head import is_unfinished, refusal_of_length
from nugetproxy.web.lane.watched import Watched
from nugetproxy.web.telemetry.access import AccessLine

TIDYING_TURNS: Final = 8
"""Turns of the loop that aiohttp has to end a request that it has answered. It takes two or three."""

JOINED: Final = 32 * 1024
"""Bytes of a body that is copied behind its head and written in one go; a longer one is a `LongBody`."""

# The receive buffer of all connections; bytes are copied out before anything else happens. Without it asyncio
# allocates 256 KiB for each read, which can cost as much as answering.
_RECEIVED: Final = memoryview(bytearray(64 * 1024))

_EMPTY_LINE: Final = b"\r\n\r\n"
_LINE_END: Final = b" HTTP/1.1\r\n"
_CHALLENGE: Final = Challenge()


_WHOLE: Final = Whole()
_NOTHING: Final[Mapping[str, str]] = {}

# A request being answered: the answer, method, target, User-Agent, actor, id, time of arrival in unix and monotonic
# seconds, and the status of the response. A plain tuple, because one is created for every request.
_Asked = tuple[HotAnswer, str, bytes, str, str, str, float, float, int]


class Lane(Watched):
    """One connection."""

    __slots__ = ("_asked", "_descriptor", "_known", "_paused", "_scheme", "_turns")

    def __init__(self, shared: LaneShared) -> None:
        super().__init__(shared)
        self._scheme = b"http"
        self._known: dict[bytes, RequestHead] = {}
        self._asked: _Asked | None = None  # the request that `_running` answers
        self._descriptor = -1  # the socket's, without TLS
        self._paused = False
        self._turns = 0  # of the loop that aiohttp is still given to end a request; what arrives meanwhile is held

    # --- asyncio's calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio.Transport by inheritance.
        self._transport = real = cast(asyncio.Transport, transport)
        peer = real.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else str(peer or "")
        if real.get_extra_info("sslcontext") is not None:
            self._scheme = b"https"
        else:
            self._descriptor = real.get_extra_info("socket").fileno()
        keep_unsent_low(real, UNSENT)
        real.set_write_buffer_limits(high=HIGH_WATER, low=0)  # at 0 what sends a body writes directly again
        self._known = self._shared.heads(self._scheme)
        self._since = time.monotonic()
        connections = self._shared.connections
        if connections.refuses(self.address) is not None:
            self._refuse(503, "too many connections", headers={"Retry-After": "1"})
            return
        connections.add(self)
        self._close_after = connections.is_draining

    def get_buffer(self, sizehint: int) -> memoryview:
        return _RECEIVED

    def buffer_updated(self, nbytes: int) -> None:
        self._take(bytes(_RECEIVED[:nbytes]))

    def eof_received(self) -> bool | None:
        # A client may stop sending and still read: the response that the lane is sending is completed first.
        if self._running is not None and self._scheme == b"http":
            self._close_after = True
            return True
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.connections.remove(self)
        self._descriptor = -1  # the number may soon belong to another connection
        self._head = self._held = b""
        if self._running is not None:
            self._end_running()
        if self._handler is not None:
            self._handler.connection_lost(exc)
            # It refers to us, too: otherwise both would wait for the garbage collector.
            self._handler, self._handed = None, False

    def pause_writing(self) -> None:
        self._paused = True
        if self._running is not None:
            self._running.paused = True
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._paused = False
        self._backlog.resumes += 1
        if self._handler is not None:
            self._handler.resume_writing()
        if self._running is not None:
            self._running.paused = False
            self._running.go_on()
        else:
            self._release()

    # --- receiving ---

    def _take(self, data: bytes) -> None:
        if self._running is not None:
            self._hold(data)
        elif self._turns:
            self._held += data
        elif self._is_refused:
            pass
        elif self._handed and not self._is_handed_back():
            if self._handed_tail == _EMPTY_LINE and is_tidying(self._handler):
                self._held, self._turns = data, TIDYING_TURNS
                asyncio.get_running_loop().call_soon(self._look_again)
            else:
                self._hand(data)
        elif self._paused:
            # Earlier responses are still unread: more of them would pile up here without limit.
            self._hold(data)
        else:
            self._look(self._head + data if self._head else data)

    def _look(self, data: bytes) -> None:
        """Answer `data` here, or hand it on. Nothing else is in flight."""
        line_end = data.find(_LINE_END)
        hot = self._shared.hot
        if hot is not None and line_end > 0 and data.endswith(_EMPTY_LINE) and not self._close_after:
            block, conditions = data[line_end + len(_LINE_END) :], _NOTHING
            head = self._known.get(block)
            if head is None:
                block, conditions = split(block)
                head = self._known.get(block) or self._shared.read_head(block, self._scheme)
            if head is not None:
                is_get = data.startswith(b"GET ")
                if is_get or data.startswith(b"HEAD "):
                    target = data[4 if is_get else 5 : line_end]
                    now = time.monotonic()
                    answer = hot.find(target, head.host, now)
                    if answer is not None:
                        who = head.authorization
                        actor = "" if who is None else self._shared.actor(who)
                        method = "GET" if is_get else "HEAD"
                        if actor is not None and self._answer(answer, head, method, target, actor, conditions, now):
                            return
        self._hand_when_complete(data)

    def _hand_when_complete(self, data: bytes) -> None:
        """Give `data` to aiohttp once it contains a whole head, so that our time-out covers an unfinished one."""
        refusal = refusal_of_length(data)
        if refusal is not None:
            self._refuse_unread(*refusal)
        elif is_unfinished(data):
            if not self._head:
                self._head_since = time.monotonic()
            self._head = data
        else:
            self._head = b""
            self._hand(data)

    def _look_again(self) -> None:
        """See whether aiohttp has ended its request, so that the next one need not be its as well."""
        self._turns -= 1
        if self._turns and self._held and is_tidying(self._handler) and not self._is_handed_back():
            asyncio.get_running_loop().call_soon(self._look_again)
            return
        self._turns = 0
        held, self._held = self._held, b""
        if not held or self._is_refused or self._transport.is_closing():
            return
        if self._handed and not self._is_handed_back():
            self._hand(held)
        else:
            self._take(held)

    def _hand(self, data: bytes) -> None:
        handler = self._handler
        if handler is None:
            handler = self._handler = self._shared.make_handler(self._refuse_unread)
            handler.connection_made(self._transport)
            if self._paused:
                handler.pause_writing()
        self._handed = self._was_used = True
        self._handed_tail = (self._handed_tail + data[-4:])[-4:]
        handler.data_received(data)
        if self._close_after:
            finish(handler)

    def _hold(self, data: bytes) -> None:
        if not self._held and not self._transport.is_closing():
            self._transport.pause_reading()
        self._held += data

    def _release(self) -> None:
        if self._turns:
            return  # `_look_again` takes it
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.resume_reading()
            self._take(held)

    # --- sending ---

    def _answer(
        self,
        answer: HotAnswer,
        head: RequestHead,
        method: str,
        target: bytes,
        actor: str,
        conditions: Mapping[str, str],
        now: float,
    ) -> bool:
        """Answer, unless the form is not here, or the conditions lead to a refusal: aiohttp answers then."""
        if answer.needs_reader and not actor:
            self._challenge(answer, head, method, target, now)
            return True
        variant = answer.variant_for(head.codings)
        if variant is None:
            return False
        verdict: Verdict = _WHOLE
        status = 200
        if conditions:
            verdict = answer.verdict(variant, conditions, method)
            if isinstance(verdict, PreconditionFailed | Unsatisfiable):
                return False
            status = 304 if isinstance(verdict, NotModified) else 206 if isinstance(verdict, Partial) else 200
        file, content = None, variant.body
        if isinstance(content, KeptFile) and method == "GET" and status != 304:
            file = self._shared.open(content)
            if file is None:
                return False
        wall = time.time()
        name = request_id(head.request_id)
        start = self._shared.head(answer, variant, verdict, wall, now) + name.encode("latin-1") + _EMPTY_LINE
        self._head = b""
        self._was_used = True
        if answer.counted is not None and method == "GET":
            answer.counted()
        asked = (answer, method, target, head.agent, actor, name, wall, now, status)
        if method == "HEAD" or status == 304:
            self._send(start)
            self._record(asked, 0, answer.outcome)
        elif file is not None:
            first, end = (verdict.start, verdict.end) if isinstance(verdict, Partial) else (0, file.size)
            self._asked = asked
            self._running = body = FileBody(
                self._transport, self._descriptor, file, first, end, self._end_running, self._shared.disk
            )
            body.start(start)
        else:
            assert isinstance(content, bytes)
            if len(content) <= JOINED:
                self._send(start + content)
                self._record(asked, len(content), answer.outcome)
            else:
                self._asked = asked
                self._running = long = LongBody(self._transport, self._descriptor, content, self._end_running)
                long.start(start)
        return True

    def _challenge(self, answer: HotAnswer, head: RequestHead, method: str, target: bytes, now: float) -> None:
        """Send the 401: there is an answer, but it is not public."""
        wall, name = time.time(), request_id(head.request_id)
        challenge, size = _CHALLENGE.answer(name, int(wall), with_body=method == "GET")
        self._head = b""
        self._was_used = True
        self._send(challenge)
        asked = (answer, method, target, head.agent, "", name, wall, now, _CHALLENGE.status)
        self._record(asked, size, _CHALLENGE.outcome)

    def _send(self, data: bytes) -> None:
        """Send now. A transport of uvloop sends what it is given after all requests of this turn have been answered."""
        if self._descriptor >= 0 and not self._transport.get_write_buffer_size():
            try:
                written = os.write(self._descriptor, data)
            except OSError:  # full, or broken: the transport finds out which
                written = 0
            if written == len(data):
                return
            data = data[written:]
        self._transport.write(data)

    def _end_running(self) -> None:
        running, asked, self._running, self._asked = self._running, self._asked, None, None
        assert running is not None
        assert asked is not None
        running.stop()
        self._record(asked, running.sent, asked[0].outcome)
        self._release()

    def _record(self, asked: _Asked, sent: int, outcome: str) -> None:
        answer, method, target, agent, actor, name, wall, began, status = asked
        self._since = now = time.monotonic()
        path, seconds = target.decode("ascii"), now - began
        self._shared.note(
            AccessLine(
                wall, name, self.address, actor, method, path, status, sent, seconds, answer.resource, outcome, agent
            )
        )
        if self._close_after:
            # Deferred: asyncio calls connection_lost twice for a connection that is closed within resume_writing.
            asyncio.get_running_loop().call_soon(self._transport.close)
