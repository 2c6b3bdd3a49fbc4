"""What aiohttp's server logs about malformed requests, in one line each.

Such requests never reach the middleware. Behind a lane we answer them ourselves (`web.http.aiohttp_connection`); with
an aiohttp version that does not allow it, aiohttp answers with a 400. By default it logs a traceback at ERROR for each,
so that any client could flood the log.
"""

import logging

from aiohttp.http_exceptions import HttpProcessingError

from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.telemetry.counting import count_refusal

LONGEST_REASON = 200

_LOGGER = logging.getLogger("aiohttp.server")


class OneLine(logging.Filter):
    """Counts a malformed request and reduces its traceback to one line; leaves all other records as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if not isinstance(error, HttpProcessingError):
            return True
        count_refusal(Resource.UNKNOWN.value, Outcome.REFUSED.value, error.code)
        # The parser quotes what it could not read over several lines; the first one says what is wrong.
        lines = (error.message or type(error).__name__).strip().splitlines() or [type(error).__name__]
        why = "".join(c if c.isprintable() else "?" for c in lines[0][:LONGEST_REASON])
        remote = record.args[0] if isinstance(record.args, tuple) and record.args else "-"
        record.msg, record.args = "malformed request from %s: %s", (remote, why)
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.INFO, "INFO"
        return _LOGGER.isEnabledFor(logging.INFO)


def quieten() -> None:
    """Install the filter, once per process."""
    if not any(isinstance(known, OneLine) for known in _LOGGER.filters):
        _LOGGER.addFilter(OneLine())
