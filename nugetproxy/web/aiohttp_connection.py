"""What we know of aiohttp's insides, in one place: is its side of a connection between two requests, or at its last?

aiohttp has no public word for either. A test fails loudly when these names change; at run time `can_tell` says so, and
then everything is aiohttp's: slower, never wrong.
"""

from typing import Any

from aiohttp import web

# Our own idle time-out ends connections (web.connections). aiohttp's would not see what the lane answers, and would
# close a connection in the middle of it.
KEEPALIVE_SECONDS = 86400.0 * 30

_NAMES = ("_waiter", "_messages", "_close", "_force_close", "_upgraded", "_payload_parser", "_buffer_paused")


def handler_options(idle_timeout: float) -> dict[str, Any]:
    """Arguments for the `web.AppRunner` (or `web.Server`) whose server is given to the lane. Seconds."""
    return {"keepalive_timeout": KEEPALIVE_SECONDS if can_tell() else idle_timeout, "access_log": None}


def can_tell(handler_class: type = web.RequestHandler) -> bool:
    """Does this aiohttp have everything that `is_between_requests` looks at?"""
    return all(hasattr(handler_class, name) for name in _NAMES)


def is_between_requests(handler: Any) -> bool:
    """The last request's answer is complete, nothing is queued, and the connection will be kept.

    Its parser may still hold the start of another request: the caller knows what it has handed over.
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


def is_last_request(handler: Any) -> bool:
    """The connection ends with the answer that is being made: `handler.close()` was called."""
    return bool(getattr(handler, "_close", False))
