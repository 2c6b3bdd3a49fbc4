"""The log: one event per line on standard error, as JSON or plain text, with the id of the request it belongs to.

Log events, not prose: `_log = logger()`, then `_log.info("mirrored", package=str(identity), bytes=size)`. Every line
passes through the masking here, so that a secret that slips into an event does not reach the log.
The access log has the same format and stream; `web/telemetry/access.py` writes it in batches.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, Literal, TextIO

import orjson

Format = Literal["plain", "json"]
Level = Literal["debug", "info", "warning", "error"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

KEY_LIKE: Final = re.compile(r"nugetproxy(?:_|%(?:25)*5f)[0-9a-z]{20,}", re.IGNORECASE)
"""What looks like one of our API keys, whole or cut short, also inside an address and in any case. Metric names, which
start the same way, have shorter words. The exact form is in `accounts.credentials`."""

_SECRET_KEY = re.compile(
    r"passw|passphrase|secret|token|authorization|api[-_]?key|cookie|credential|header_value$", re.I
)
_SECRET_TEXT = (
    (re.compile(r"(://[^/@\s:\"']*):[^/\s\"']*@"), r"\1:***@"),
    (re.compile(r"://[^/@\s:\"']+@"), "://***@"),
    # Signed CDN redirects and SAS URLs carry their secret in the query.
    (
        re.compile(r"([?&](?:sig|signature|x-amz-signature|x-amz-credential|token|api[-_]?key)=)[^&\s\"']+", re.I),
        r"\1***",
    ),
    (re.compile(r"\b(basic|bearer)\s+[A-Za-z0-9+/=._~-]{6,}", re.I), r"\1 ***"),
    (KEY_LIKE, "nugetproxy_***"),
)


def logger() -> Any:
    """structlog's logger. structlog is imported at the first event, because that takes longer than most commands."""
    return _LazyLogger()


def set_up(shape: Format = "plain", level: Level = "info", stream: TextIO | None = None) -> None:
    """Configure logging for this process; `stream` defaults to standard error. Records of `logging` are included."""
    import structlog

    stream = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            mask_secrets,
            _json if shape == "json" else _plain,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Forwarding()]
    root.setLevel(max(_LEVELS[level], logging.INFO))


@contextmanager
def about(**facts: str) -> Iterator[None]:
    """Adds fields to everything logged inside, by this task and those it starts: `about(request=request_id)`."""
    import structlog

    tokens = structlog.contextvars.bind_contextvars(**facts)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


def mask_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that masks secrets, recognised by the name of the key or by their form in a text."""
    for key, value in event.items():
        event[key] = _masked(key, value)
    return event


def mask_text(text: str) -> str:
    """The text with everything that looks like a secret masked."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _masked(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key) and value not in (None, "", False, True):
        return "***"
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {str(name): _masked(str(name), each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(key, each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _masked(key, str(value))


def _json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    ordered = {name: event.pop(name) for name in ("time", "level", "event") if name in event}
    try:
        return orjson.dumps({**ordered, **event}).decode()
    except TypeError:  # an integer over 64 bits, or a lone surrogate from untrusted bytes
        return json.dumps({**ordered, **event}, default=str)


def _plain(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    time, level, name = event.pop("time", ""), event.pop("level", ""), event.pop("event", "")
    exception = event.pop("exception", "")
    parts = [time, f"{level:7}", _one_line(str(name)), *(f"{key}={_quoted(value)}" for key, value in event.items())]
    line = " ".join(parts)
    return f"{line}\n{exception}" if exception else line


def _quoted(value: object) -> str:
    """A value quoted so that it cannot break out of its field or its line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if re.fullmatch(r"[^\s\"=\\\x00-\x1f\x7f-\x9f]+", text) else json.dumps(text, ensure_ascii=True)


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)


class _LazyLogger:
    @cached_property
    def _structlog(self) -> Any:
        import structlog

        return structlog.get_logger()

    def __getattr__(self, method: str) -> Any:
        return getattr(self._structlog, method)


class _Forwarding(logging.Handler):
    """Forwards log records of libraries as events."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 - a broken log record must not break what was logging
            self.handleError(record)
