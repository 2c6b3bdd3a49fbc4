"""What we know of aiohttp's internals, in one place: whether its side of a connection is between two requests or at its
last one, and what its parser refused.

aiohttp has no public API for these. A test fails when the names change; at run time `can_tell` reports it, and aiohttp
then handles everything: slower and with its own messages, but never wrong.
"""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, cast

from aiohttp import HttpVersion, HttpVersion10, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, InvalidHeader, InvalidURLError, LineTooLong

# Our own idle time-out ends connections (web.lane.connections). aiohttp's does not see what the lane answers, and
# would close a connection in the middle of a response.
KEEPALIVE_SECONDS = 86400.0 * 30

MAX_LINE: Final = 32 * 1024
"""Bytes of a request line. nuget.exe asks GetUpdates about hundreds of ids in one; aiohttp's 8 KiB hold about 250."""

MAX_FIELD: Final = 12 * 1024
"""Bytes of one header with its name. A Basic or Bearer token alone may take 8 KiB, which aiohttp's limit rejects."""

MAX_FIELDS: Final = 128
"""Headers of one request."""

_EMPTY_LINE: Final = b"\r\n\r\n"

_NAMES = ("_waiter", "_messages", "_close", "_force_close", "_upgraded", "_payload_parser", "_parser", "_buffer_paused")


def handler_options(idle_timeout: float) -> dict[str, Any]:
    """Arguments for the `web.AppRunner` (or `web.Server`) whose server is passed to the lane. In seconds."""
    return {
        "keepalive_timeout": KEEPALIVE_SECONDS if can_tell() else idle_timeout,
        "access_log": None,
        "max_line_size": MAX_LINE,
        "max_field_size": MAX_FIELD,
        "max_headers": MAX_FIELDS,
        # No NuGet client compresses what it sends, and a megabyte from an attacker could unpack to a gigabyte.
        "auto_decompress": False,
    }


Refuse = Callable[[int, str], None]
"""Answers with a status and a sentence, and closes the connection."""


def handler_for(server: web.Server, refuse: Refuse) -> web.RequestHandler:
    """aiohttp's side of a new connection. `refuse` answers what its parser rejects, and then owns the transport."""
    options = getattr(server, "_kwargs", None)
    if options is None:
        return server()
    handler = _Handler(server, refuse, **options)
    if can_tell():
        handler._parser = cast(Any, _Parser(handler._parser))
    return handler


def can_tell(handler_class: type = web.RequestHandler) -> bool:
    """Whether this version of aiohttp has everything that `is_between_requests` looks at."""
    return all(hasattr(handler_class, name) for name in _NAMES)


def is_between_requests(handler: Any) -> bool:
    """Whether the last response is complete, nothing is queued, and the connection will be kept open.

    The parser may still hold the start of another request: the caller knows what it has handed over.
    """
    waiter = handler._waiter
    return (
        waiter is not None
        and not waiter.done()
        and not handler._messages
        and not handler._close
        and not handler._force_close
        and not handler._upgraded
        and not handler._buffer_paused
        and handler._payload_parser is None
    )


def note_answered(handler: Any) -> None:
    """The response to the current request is sent, and its body received. The last call of the code that answers."""
    if isinstance(handler, _Handler):
        handler.has_answered = True


def is_tidying(handler: Any) -> bool:
    """Whether it will be between two requests in a turn or two of the loop.

    The client may have the response already, and its next request is here before the handler's tasks have ended.
    """
    return (
        isinstance(handler, _Handler)
        and handler.has_answered
        and not handler.is_finishing
        and not handler.is_receiving()
        and not handler._messages
        and not handler._close
        and not handler._force_close
        and not handler._upgraded
    )


def finish(handler: web.RequestHandler) -> None:
    """Close after the current response, or now if there is none. A request body that is still arriving is received."""
    if isinstance(handler, _Handler) and handler.is_receiving():
        handler.is_finishing = True
    else:
        handler.close()  # which also drops everything that arrives from now on


def is_last_request(handler: Any) -> bool:
    """Whether the connection closes after the current response."""
    return bool(getattr(handler, "_close", False) or getattr(handler, "is_finishing", False))


def refusal_of(error: HttpProcessingError) -> tuple[int, str]:
    """Status and sentence for a request that the parser refuses. They quote nothing received: it may be a secret."""
    if isinstance(error, LineTooLong):
        # The limit tells the two apart, in both of aiohttp's parsers.
        if error.args[1:2] == (MAX_LINE,):
            return line_too_long()
        return 431, f"a header is longer than {MAX_FIELD // 1024} KiB"
    if error.message == "Too many headers received":
        return 431, f"there are more than {MAX_FIELDS} headers"
    if isinstance(error, BadHttpMethod) and "HTTPS traffic" in error.message:
        return 400, "this is TLS, but this port speaks plain HTTP: use an http:// URL"
    if isinstance(error, UnsupportedVersion | UnknownExpectation):
        return error.code, error.message
    if isinstance(error, InvalidHeader):
        return 400, "a header is malformed"
    if isinstance(error, InvalidURLError):
        return 400, "the request target is malformed"
    return 400, "this is not an HTTP/1.1 request: its request line, a header or the framing of its body is malformed"


def line_too_long() -> tuple[int, str]:
    """Status and sentence."""
    return 414, f"the request line is longer than {MAX_LINE // 1024} KiB"


class UnsupportedVersion(HttpProcessingError):
    """A request line with a version other than HTTP/1.0 and HTTP/1.1 (RFC 9110 section 15.6.6), or with none: HTTP/0.9.

    The parser accepts HTTP/0.9 and HTTP/2.0, and a response would be sent with the version of its request. An error of
    this class is answered by `handle_error` instead.
    """

    def __init__(self) -> None:
        super().__init__(code=505, message="only HTTP/1.1 and HTTP/1.0 are supported")


def refuse_other_versions(version: HttpVersion) -> None:
    """Raises UnsupportedVersion."""
    if version not in (HttpVersion11, HttpVersion10):
        raise UnsupportedVersion


class UnknownExpectation(HttpProcessingError):
    """An Expect header other than 100-continue (RFC 9110 section 10.1.1).

    aiohttp refuses it before any handler runs, in its own words and without a line in the access log.
    """

    def __init__(self) -> None:
        super().__init__(code=417, message='"Expect" may only say 100-continue')


class _Handler(web.RequestHandler):
    __slots__ = ("has_answered", "is_finishing", "newest_body", "refuse")

    def __init__(self, server: web.Server, refuse: Refuse, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self.refuse = refuse
        self.is_finishing = False  # the connection closes after the current response
        self.has_answered = False  # everything it was given; only its own tidying is left
        self.newest_body: Any = None  # that of the last request whose head has arrived

    def is_receiving(self) -> bool:
        """Whether the body of a request has not arrived completely. Only that of the last one can be incomplete."""
        return self.newest_body is not None and not self.newest_body.is_eof()

    def data_received(self, data: bytes) -> None:
        self.has_answered = False
        before = len(self._messages)
        super().data_received(data)
        # No protocol is switched to, and aiohttp's parser drops the bytes behind a request that wants to: what follows
        # could begin in the middle of another request. It is only safe when nothing followed.
        for message, payload in islice(self._messages, before, None):
            self.newest_body = payload
            if getattr(message, "upgrade", False):
                is_alone = payload.is_eof() and data.find(_EMPTY_LINE) == len(data) - len(_EMPTY_LINE)
                if not is_alone:
                    finish(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError) and (self.transport is None or self.transport.is_closing()):
            return _Answered(status=status)  # the client left before it was told to continue
        if not isinstance(exc, HttpProcessingError) or self.transport is None:
            return super().handle_error(request, status, exc, message)
        # Detached, else aiohttp closes it immediately, and a client that is still sending gets a reset, not a response.
        self.transport = None
        self.force_close()  # else it would wait for the rest of a body, which is not passed on any more
        self.refuse(*refusal_of(exc))
        answered = _Answered(status=status)
        answered.force_close()
        return answered

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPExpectationFailed):
            resp = self.handle_error(request, resp.status, UnknownExpectation())
        if self.is_finishing:
            resp.force_close()
        return await super().finish_response(request, resp, start_time)


class _Parser:
    """aiohttp's parser, but a target whose host cannot be read is refused like any other malformed target.

    The parser lets an IndexError through for `http://[a]@/`, and the request reads the host of `http://xn--a/` where
    nobody catches the error: the first would end the connection with a traceback, the second would leave it open.
    """

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> Any:
        """Raises HttpProcessingError."""
        try:
            fed = self._parser.feed_data(data)
            for message, _ in fed[0]:
                if message.url.raw_host is not None:  # absolute form, or CONNECT
                    _ = message.url.host
        except (IndexError, UnicodeError) as error:
            raise InvalidURLError("the target has no readable host") from error
        return fed


class _Answered(web.Response):
    """Stands for a response that was already sent by other code."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None
