"""The hot table: answers found by the raw request target before any routing.

Answers are offered where documents and contents are served (`web.answers.responses`); how bytes reach a socket is
decided in `web.lane.lane`. Nothing here parses a request, and nothing found here needs JSON or compression.

A document is kept with its bytes. A package is kept as a route: its rendered head and its path; its bytes stay in the
page cache. The two have separate budgets, and an answer that is requested once evicts none that is in use. Behind the
memory of one worker there is the file of all (`web.hot.answer_file`).
"""

import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from nugetproxy.feeds.base import HOSTED, LocalFile
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.logs import logger
from nugetproxy.storage.revisions import ALL
from nugetproxy.web.hot.answer import HotAnswer, Key
from nugetproxy.web.hot.answer_file import AnswerFile
from nugetproxy.web.hot.open_files import KeptFile, OpenFiles

log = logger()

# Parsers disagree about requests with any other target; none of them is kept.
_TARGET: Final = re.compile(r"/[!-~]*")

ROUTES: Final = 0.4
"""The share of the memory that is for packages: some 20,000 of them in 64 MB."""

SEEN_ONCE: Final = 16_384
"""Number of remembered targets that were offered once while the table was full."""

MOVED_SECONDS: Final = 1.0
"""How long an answer that was moved to the front of the recently used ones is not moved again: moving it touches memory
that has left the processor's caches.
"""

_LASTING: Final = frozenset(("", HOSTED, "offline"))
"""Details of answers that do not depend on what this process alone knows, such as an upstream that is down."""


class _Part:
    """Answers of one kind, bounded by their bytes; the least recently found are evicted first."""

    def __init__(self, max_bytes: int, left: Callable[[Key, HotAnswer], None] | None = None) -> None:
        """`left` is called with each answer that is evicted."""
        self._left = left
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self.answers: OrderedDict[Key, HotAnswer] = OrderedDict()
        self._once: OrderedDict[Key, None] = OrderedDict()

    def keep(self, key: Key, answer: HotAnswer) -> bool:
        """Whether it is kept: while this part is full, only answers that are offered a second time are."""
        weight = _weight(key, answer)
        if weight > self.max_bytes // 2:
            self.drop(key)
            return False
        is_known = key in self.answers
        if not is_known and self.held_bytes + weight > self.max_bytes and not self._was_seen(key):
            return False
        self.drop(key)
        self.answers[key] = answer
        self.held_bytes += weight
        while self.held_bytes > self.max_bytes:
            last = next(iter(self.answers))
            left = self.drop(last)
            if self._left is not None and left is not None:
                self._left(last, left)
        return True

    def drop(self, key: Key) -> HotAnswer | None:
        answer = self.answers.pop(key, None)
        if answer is not None:
            self.held_bytes -= _weight(key, answer)
        return answer

    def clear(self) -> None:
        self.answers.clear()
        self._once.clear()
        self.held_bytes = 0

    def _was_seen(self, key: Key) -> bool:
        """Whether it was offered a short while ago. So a single pass over everything evicts nothing that is in use."""
        if key in self._once:
            del self._once[key]
            return True
        self._once[key] = None
        if len(self._once) > SEEN_ONCE:
            self._once.popitem(last=False)
        return False


class HotTable:
    """Hot answers by raw target. Only for the event loop's thread."""

    def __init__(
        self,
        max_bytes: int,
        changes: Callable[[], int] = lambda: 0,
        *,
        epoch: Callable[[], int] | None = None,
        packages: Mapping[int, int] | memoryview | None = None,
        file: AnswerFile | None = None,
        counting: Callable[[str], Callable[[], None] | None] = lambda _: None,
    ) -> None:
        """`changes` returns a new value once anything that answers depend on has changed: an answer that was being made
        meanwhile is not kept. `epoch` returns a new value once all answers are outdated; by default that is always
        so. For the other changes there is a counter by package in `packages` (`storage.revisions`).

        `counting` makes `HotAnswer.counted` again for an answer of the `file`, from its `count`.
        """
        self.max_bytes = max_bytes
        self._changes = changes
        self._epoch = epoch or changes
        self._packages: Mapping[int, int] | memoryview = packages if packages is not None else defaultdict(int)
        self.files = OpenFiles()
        self.found_in_memory = self.found_on_disk = self.not_found = 0
        """Look-ups since these were last set to 0."""
        self._seen = self._epoch()
        self._file = file
        self._counting = counting
        self._routes = _Part(int(max_bytes * ROUTES), self._write)
        self._documents = _Part(max_bytes - self._routes.max_bytes, self._write)

    def __len__(self) -> int:
        return len(self._documents.answers) + len(self._routes.answers)

    @property
    def held_bytes(self) -> int:
        """The approximate memory that the kept answers take."""
        return self._documents.held_bytes + self._routes.held_bytes

    def offer(self, target: str, host: str | None, answer: HotAnswer, seen: int | None = None) -> None:
        """Keep `answer` for requests of `target` (raw path and query as received).

        `host` is `scheme://` and the Host value as received if the answer's bytes depend on them, else None.
        Not kept: an answer larger than half of its part of the table, and one that was created before a change.
        `seen` is the value of `changes` before the answer was looked up.
        """
        self._is_current()
        key = _key(target, host)
        if key is None or answer.expires <= time.monotonic():
            return
        answer.epoch, answer.generation = self._packages[ALL], self._packages[answer.group]
        if seen is not None and seen != self._changes():
            return
        if answer.identity is not None and isinstance(answer.identity.body, LocalFile):
            file = answer.identity.body
            try:
                answer.identity.body = KeptFile(file.path, file.size)
            except OSError as error:
                # The request itself was answered from the file in another way, or failed there and was reported there.
                log.debug("file_not_hot", file=file.path.name, why=str(error))
                return
        part = self._part(answer)
        before = part.answers.get(key)
        if before is None and self._file is not None:
            before = self._file.find(key)
        _unite(answer, before)
        if "?" in target and self._file is not None:
            # Clients can make up any number of these: only those that were in memory are written, when they leave it.
            self._file.forget(key)
        else:
            self._write(key, answer)
        part.keep(key, answer)

    def find(self, target: bytes, host: bytes, now: float) -> HotAnswer | None:
        """The answer for `target`; `host` is `scheme://` and the Host value. `now` is on the monotonic clock."""
        self._is_current()
        key: Key = target
        part = self._documents
        answer = part.answers.get(key)
        if answer is None:
            part = self._routes
            answer = part.answers.get(key)
            if answer is None:
                part, key = self._documents, (target, host)
                answer = part.answers.get(key)
                if answer is None:
                    return self._on_disk(target, host, now)
        if answer.expires <= now < answer.expires + answer.grace:
            # Only one request renews it, instead of all that arrive until then.
            answer.expires, answer.grace = now + answer.grace, 0.0
            self.not_found += 1
            return None
        if (
            answer.expires <= now
            or self._packages[answer.group] != answer.generation
            or (part is self._routes and not self._is_there(answer, now))
        ):
            part.drop(key)
            return self._on_disk(target, host, now)  # another worker may have a newer one
        if now - answer.moved >= MOVED_SECONDS:
            answer.moved = now
            part.answers.move_to_end(key)
        self.found_in_memory += 1
        return answer

    def _is_there(self, answer: HotAnswer, now: float) -> bool:
        file = answer.file
        if file is None or file.is_there(now):
            return True
        self.files.forget(file)
        return False

    def _on_disk(self, target: bytes, host: bytes, now: float) -> HotAnswer | None:
        """One that another worker rendered, or that did not fit into memory: it may replace one that is not in use."""
        keys: tuple[Key, Key] = (target, (target, host))
        if self._file is not None:
            for key in keys:
                answer = self._file.find(key)
                if answer is not None and self._is_valid(answer, now):
                    if answer.count and answer.counted is None:
                        answer.counted = self._counting(answer.count)
                    self._part(answer).keep(key, answer)
                    self.found_on_disk += 1
                    return answer
        self.not_found += 1
        return None

    def _is_valid(self, answer: HotAnswer, now: float) -> bool:
        return (
            answer.since <= now < answer.expires
            and answer.epoch == self._packages[ALL]
            and answer.generation == self._packages[answer.group]
            and self._is_there(answer, now)
        )

    def _write(self, key: Key, answer: HotAnswer) -> None:
        """Let other workers have it, too. Nothing older stays there."""
        if self._file is None:
            return
        was = answer.provenance
        is_lasting = was.outcome is Outcome.HIT and was.detail in _LASTING and (answer.counted is None or answer.count)
        if not is_lasting or not self._file.put(key, answer):
            self._file.forget(key)

    def discard(self, target: str, host: str | None) -> None:
        """Drop one answer, if it is here."""
        key = _key(target, host)
        if key is not None:
            self._documents.drop(key)
            self._routes.drop(key)
            if self._file is not None:
                self._file.forget(key)

    def clear(self) -> None:
        """Drop everything that is in memory."""
        self._documents.clear()
        self._routes.clear()

    async def close(self) -> None:
        """Drop everything and close the files."""
        self.clear()
        self.files.clear()
        if self._file is not None:
            await self._file.close()

    def _is_current(self) -> None:
        """Drop everything if all answers are outdated."""
        now = self._epoch()
        if now != self._seen:
            self._seen = now
            self.clear()

    def _part(self, answer: HotAnswer) -> _Part:
        return self._documents if answer.file is None else self._routes


def _unite(answer: HotAnswer, before: HotAnswer | None) -> None:
    """Take over the other form of the same document."""
    if before is None or not answer.is_negotiated or not answer.digest or before.digest != answer.digest:
        return
    if answer.identity is None:
        answer.identity = before.identity
    if answer.gzip is None:
        answer.gzip = before.gzip


def _key(target: str, host: str | None) -> Key | None:
    """None: the lane does not answer such a request."""
    if not _TARGET.fullmatch(target) or not (host is None or host.isascii()):
        return None
    raw = target.encode("ascii")
    return raw if host is None else (raw, host.encode("ascii"))


def _weight(key: Key, answer: HotAnswer) -> int:
    """In bytes. A query, which the client chooses, is most of the size of a small answer."""
    return (len(key) if isinstance(key, bytes) else len(key[0]) + len(key[1])) + answer.size
