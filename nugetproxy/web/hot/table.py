"""Hot answers: whole answers kept as bytes, found by the raw request target before any routing.

What is hot is decided where documents and contents are served (`web.answers.responses` offers); how bytes reach a
socket is decided in `web.lane.lane`. Nothing here parses a request, and nothing found here may need a disk, a thread
or JSON.
"""

import asyncio
import logging
import mmap
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.web.hot.files import WatchedFile, read_file
from nugetproxy.web.http.compression import Codings

log = logging.getLogger(__name__)

Headers = Iterable[tuple[str, str]]

# A target alone where the answer is the same for every host, else a target and a host. They are two types, so a target
# that a client made up with a host inside is never taken for a key of the other kind.
_Key = bytes | tuple[bytes, bytes]

# Requests with any other target have a reading of their own in every parser; none of them is kept.
_TARGET: Final = re.compile(r"/[!-~]*")

# What an entry weighs beside its bodies and its key: two rendered heads and its objects.
ENTRY_BYTES: Final = 2048

# Files that may wait to be read into memory at once. More are simply not hot yet; they will be offered again.
MAX_LOADING: Final = 64


@dataclass(slots=True, eq=False)
class HotVariant:
    """One representation: all its headers that never change, and its bytes.

    `headers` is everything the aiohttp path would send for this representation except Content-Length, Date, the request
    id, and what `HotAnswer.live_headers` tells.
    """

    headers: tuple[tuple[str, str], ...]
    body: "bytes | mmap.mmap | LocalFile"
    """The table turns a LocalFile into bytes or a mapping before the answer can be found."""
    second: int = -1
    """The unix second for which `head` was rendered."""
    head: bytes = b""

    @property
    def size(self) -> int:
        return self.body.size if isinstance(self.body, LocalFile) else len(self.body)


@dataclass(slots=True, eq=False)
class HotAnswer:
    """A 200 to GET and HEAD, ready to be sent.

    `provenance` is what the next asker is to be told (offer a fetched answer as HIT); it ages here. `gzip` is sent to
    askers who accept gzip, `identity` to all others. The answer is used until `expires`, which for a document is where
    its freshness ends.
    """

    resource: str
    provenance: Provenance
    identity: HotVariant
    gzip: HotVariant | None = None
    live_headers: Callable[[Provenance], Headers] = field(default=lambda _: ())
    """The headers that change while the answer waits (Age, Cache-Status), for a provenance aged to now."""
    expires: float = float("inf")
    """On the monotonic clock."""
    needs_reader: bool = False
    """Only for those whose credentials were right a moment ago."""
    counted: Callable[[], None] | None = None
    """Called for each GET that it answers."""
    gzip_unasked: bool = False
    """Who says nothing about codings gets gzip too (the gz hives)."""
    since: float = field(default_factory=time.monotonic)
    """When `provenance` was true, on the monotonic clock."""

    outcome: str = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = self.provenance.outcome.value

    @property
    def size(self) -> int:
        return ENTRY_BYTES + self.identity.size + (self.gzip.size if self.gzip is not None else 0)

    def variant_for(self, codings: Codings) -> HotVariant:
        if self.gzip is not None and (codings is Codings.GZIP or (codings is Codings.SILENT and self.gzip_unasked)):
            return self.gzip
        return self.identity

    def render(self, variant: HotVariant, second: int, now: float) -> bytes:
        """The head of `variant` for this unix second, complete but for the request id and the empty line."""
        waited = max(0.0, now - self.since)
        was = self.provenance
        aged = Provenance(was.outcome, was.age + waited, was.fresh_for - waited, was.stored, was.detail)
        lines = ["HTTP/1.1 200 OK"]
        lines += [f"{name}: {value}" for name, value in variant.headers]
        lines += [f"{name}: {value}" for name, value in self.live_headers(aged)]
        lines += [f"Content-Length: {variant.size}", f"Date: {formatdate(second, usegmt=True)}", ""]
        variant.head = "\r\n".join(lines).encode("latin-1")
        variant.second = second
        return variant.head


class HotTable:
    """Hot answers by raw target, the least recently found leaving first; bounded by their bytes.

    Only for the event loop's thread. A file that is offered is read (or mapped and brought into memory) in a thread and
    can be found once that is done.
    """

    def __init__(self, max_bytes: int, changes: Callable[[], int] = lambda: 0) -> None:
        """`changes` differs once anything changed that answers depend on; what was kept until then is forgotten."""
        self.max_bytes = max_bytes
        self.changes = changes
        self._seen = changes()
        self.held_bytes = 0
        self._answers: OrderedDict[_Key, HotAnswer] = OrderedDict()
        self._files: dict[_Key, WatchedFile] = {}
        self._loading: set[asyncio.Task[None]] = set()
        self._loading_keys: dict[_Key, HotAnswer] = {}
        self._reader: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self._answers)

    def offer(self, target: str, host: str | None, answer: HotAnswer, seen: int | None = None) -> None:
        """Keep `answer` for requests of `target` (raw path and query as received).

        `host` is `scheme://` and the Host value as received when the answer's bytes depend on them, else None.
        An answer that would take over half the table is not kept, nor one that was made before a change: `seen` is
        what `changes` said before the answer was looked up.
        """
        self._is_current()
        if seen is not None and seen != self._seen:
            return
        key = _key(target, host)
        if key is None or _weight(key, answer) > self.max_bytes // 2 or answer.expires <= time.monotonic():
            return
        if isinstance(answer.identity.body, LocalFile):
            self._load_then_keep(key, answer, answer.identity.body)
        else:
            self._keep(key, answer)

    def find(self, target: bytes, host: bytes, now: float | None = None) -> HotAnswer | None:
        """The answer for `target`; `host` is `scheme://` and the Host value. `now` is on the monotonic clock."""
        if not self._is_current():
            return None
        key: _Key = target
        answer = self._answers.get(key)
        if answer is None:
            key = (target, host)
            answer = self._answers.get(key)
            if answer is None:
                return None
        if now is None:
            now = time.monotonic()
        if answer.expires <= now:
            self._drop(key)
            return None
        if self._files and not self._still_there(key, now):
            self._drop(key)
            return None
        self._answers.move_to_end(key)
        return answer

    def discard(self, target: str, host: str | None) -> None:
        """Forget one answer, if it is here."""
        key = _key(target, host)
        if key is not None:
            self._drop(key)

    def _is_current(self) -> bool:
        """Whether nothing changed since the last look; forgets everything when something did."""
        now = self.changes()
        if now == self._seen:
            return True
        self._seen = now
        self.clear()
        return False

    def clear(self) -> None:
        self._loading_keys.clear()  # what is being read was offered before
        for key in list(self._answers):
            self._drop(key)

    async def close(self) -> None:
        """Forget everything and wait for files being read."""
        self.clear()
        await asyncio.gather(*self._loading, return_exceptions=True)
        self.clear()
        if self._reader is not None:
            self._reader.shutdown()
            self._reader = None

    def _keep(self, key: _Key, answer: HotAnswer) -> None:
        self._drop(key)
        self._answers[key] = answer
        self.held_bytes += _weight(key, answer)
        while self.held_bytes > self.max_bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: _Key) -> None:
        self._files.pop(key, None)
        answer = self._answers.pop(key, None)
        if answer is not None:
            self.held_bytes -= _weight(key, answer)

    def _load_then_keep(self, key: _Key, answer: HotAnswer, file: LocalFile) -> None:
        if key in self._answers or key in self._loading_keys or len(self._loading_keys) >= MAX_LOADING:
            return
        if self._reader is None:
            self._reader = ThreadPoolExecutor(1, thread_name_prefix="hot-files")
        self._loading_keys[key] = answer
        task = asyncio.create_task(self._load(key, answer, file, self._reader))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

    async def _load(self, key: _Key, answer: HotAnswer, file: LocalFile, reader: ThreadPoolExecutor) -> None:
        loaded = None
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(reader, read_file, file)
        except (OSError, ValueError) as error:
            # The request itself was answered from the file by other means, or failed there and was told there.
            log.debug("%s does not become hot: %s", file.path, error)
        if self._loading_keys.get(key) is not answer:
            return  # forgotten meanwhile, and perhaps offered anew: what was read then is another answer's
        del self._loading_keys[key]
        if loaded is not None:
            answer.identity.body, watched = loaded
            self._keep(key, answer)
            if key in self._answers:
                self._files[key] = watched

    def _still_there(self, key: _Key, now: float) -> bool:
        watched = self._files.get(key)
        return watched is None or watched.is_there(now)


def _key(target: str, host: str | None) -> _Key | None:
    """None: such a request is not the lane's to answer."""
    if not _TARGET.fullmatch(target) or not (host is None or host.isascii()):
        return None
    raw = target.encode("ascii")
    return raw if host is None else (raw, host.encode("ascii"))


def _weight(key: _Key, answer: HotAnswer) -> int:
    """In bytes. A query of a client's choosing is most of what a small answer costs."""
    return (len(key) if isinstance(key, bytes) else len(key[0]) + len(key[1])) + answer.size
