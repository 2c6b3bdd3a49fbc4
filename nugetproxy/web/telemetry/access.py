"""The access log: one line for every answered request, written in batches off the event loop.

The middleware and the lane both record here, so a request looks the same however it was answered. Events of the program
itself (a failure, a start, a stop) go to the application's log instead.

While the request is served, a line costs one tuple. It is formatted at most `FLUSH_SECONDS` later and written by a
thread, because a pipe with a slow reader must never block the event loop.
"""

import asyncio
import os
import queue
import re
import stat
import threading
import time
from collections.abc import Iterable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Literal, NamedTuple

from nugetproxy.accounts.credentials import holds_key
from nugetproxy.executors.threads import DISK
from nugetproxy.logs import KEY_LIKE, logger, mask_text

FLUSH_SECONDS = 0.1

# How much may wait for a slow reader of the log. Beyond it, lines are dropped and counted: memory matters more.
MAX_WAITING_BYTES = 16 * 1024 * 1024

# Several workers share one pipe; only writes up to PIPE_BUF are never interleaved with those of others (pipe(7)).
PIPE_WRITE_BYTES = 4096

# What clients send in searches (search-query-service-resource); other query parameters are private.
SHOWN_PARAMETERS = frozenset(
    ("q", "skip", "take", "prerelease", "semverlevel", "packagetype", "packagetypefilter", "id", "supportedframework")
)

LONGEST_PATH = 2048
"""Characters of a target that are logged. A client may send 32 KiB, and long lines could be interleaved with others."""

_USER_INFO = re.compile(r"(:|%3a)((?:/|%2f){2})[^/?&@]*(?:@|%40)", re.IGNORECASE)

_log = logger()


class AccessLine(NamedTuple):
    """One answered request."""

    time: float
    """When its head was complete, in unix seconds."""
    request_id: str
    remote: str
    actor: str
    """As in the audit log: the name of a user, or "owner/key". Empty for anonymous requests."""
    method: str
    path: str
    """With its query, as received; possible secrets in it are removed when the line is written."""
    status: int
    bytes: int
    """Of the body, as sent."""
    seconds: float
    """From the request's head to the end of the answer."""
    resource: str
    outcome: str
    user_agent: str
    """Empty when there was none."""


class AccessLog:
    """Takes lines on the event loop; a dedicated thread writes them to a file descriptor.

    `close` writes the remaining lines. The descriptor stays open for its owner to close. Recording after `close` is
    harmless and writes nothing.
    """

    def __init__(self, *, form: Literal["plain", "json"] = "plain", enabled: bool = True, descriptor: int = 1) -> None:
        self.enabled = enabled
        self.dropped = 0
        """Lines lost because the reader of the log was too slow."""
        self._format = json_lines if form == "json" else plain_lines
        self._descriptor = descriptor
        self._lines: list[AccessLine] = []
        self._waiting = 0
        self._batches: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def record(self, line: AccessLine) -> None:
        """Note one answered request. Only from the event loop's thread."""
        if not self.enabled:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Hand all recorded lines to the writing thread."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        batch = self._format(lines)
        if self._waiting + len(batch) > MAX_WAITING_BYTES:
            self.dropped += len(lines)
            return
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_batches, name="access-log", daemon=True)
            self._writer.start()
        self._waiting += len(batch)
        self._batches.put(batch)

    async def close(self, timeout: float = 2.0) -> None:
        """Write the remaining lines, waiting at most `timeout` seconds for a slow reader."""
        self.flush()
        self.enabled = False
        writer, self._writer = self._writer, None
        if writer is not None:
            self._batches.put(None)
            await DISK.run(writer.join, timeout)
        if self.dropped:
            _log.warning("access_log_lines_dropped", lines=self.dropped)

    def _write_batches(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                self._write(batch)
            except OSError as error:
                # A closed pipe or a full disk: log lines are lost, but the service continues.
                _log.warning("access_log_not_written", error=str(error))
            self._waiting -= len(batch)

    def _write(self, batch: bytes) -> None:
        is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        for piece in [batch] if is_file else whole_lines(batch, PIPE_WRITE_BYTES):
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


def whole_lines(batch: bytes, limit: int) -> Iterable[bytes]:
    """`batch` cut after line ends into pieces of at most `limit` bytes; a longer line is a piece of its own."""
    start = 0
    while len(batch) - start > limit:
        end = batch.rfind(b"\n", start, start + limit) + 1 or batch.find(b"\n", start) + 1
        yield batch[start:end]
        start = end
    if start < len(batch):
        yield batch[start:]


def json_lines(lines: list[AccessLine]) -> bytes:
    """One JSON object per line. Formatted by hand: several times as fast as building a dict for each."""
    clock = _Clock()
    # The id uses a safe alphabet and the names are ours; only what clients sent needs escaping.
    return "".join(
        [
            f'{{"time":"{clock.text(when)}","level":"info","event":"request","request_id":"{request_id}",'
            f'"remote":"{remote}","actor":{quoted(actor)},"method":{quoted(method)},"path":{quoted(shown_path(path))},"status":{status},"bytes":{size},'
            f'"seconds":{seconds:.6f},"resource":"{resource}","outcome":"{outcome}","user_agent":{_quoted_agent(agent)}}}\n'
            for when, request_id, remote, actor, method, path, status, size, seconds, resource, outcome, agent in lines
        ]
    ).encode("ascii", "replace")


def plain_lines(lines: list[AccessLine]) -> bytes:
    """One readable line: time, address, actor, request, status, bytes, milliseconds, resource, outcome, agent, id."""
    clock = _Clock()
    return "".join(
        [
            f"{clock.text(when)} {remote} {quoted(actor) if actor else '-'} {quoted(f'{method} {shown_path(path)}')} "
            f"{status} {size} {seconds * 1000:.1f}ms {resource} {outcome} {_quoted_agent(agent)} {request_id}\n"
            for when, request_id, remote, actor, method, path, status, size, seconds, resource, outcome, agent in lines
        ]
    ).encode("ascii", "replace")


def shown_path(path: str) -> str:
    """A request target fit for a log: only known query parameters are shown, as others may carry keys and passwords."""
    if not path.startswith("/"):
        return "-"  # an absolute URL may contain a user name and a password
    if "%" in path or "nugetproxy" in path.lower():
        path = KEY_LIKE.sub("nugetproxy_***", path)
        if holds_key(path):  # percent-encoded letter by letter
            return "-"
    if "@" in path or "%40" in path:  # an absolute URL pasted behind ours, or searched for
        path = _USER_INFO.sub(r"\1\2***@", path)
    before, mark, query = path.partition("?")
    if mark:
        pairs = (pair if pair.partition("=")[0].lower() in SHOWN_PARAMETERS else "..." for pair in query.split("&"))
        path = f"{before}?{'&'.join(pairs)}"
    return path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}..."


@lru_cache(maxsize=256)  # clients repeat theirs
def _quoted_agent(agent: str) -> str:
    return quoted(mask_text(agent))


class _Clock:
    """Unix seconds as ISO 8601 in UTC with milliseconds; the date is rendered once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, moment: float) -> str:
        second = int(moment)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{int((moment - second) * 1000):03d}Z"
