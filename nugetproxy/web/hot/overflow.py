"""Documents that are ready to be sent but do not fit into memory: on disk, found with one read.

Without it, what `web.hot.table` cannot keep would be rendered and compressed again for each request. A file of fixed
size is written from start to end, over and over; an answer's position in it is stored under a hash of its key. The file
has no name and belongs to one process, so nothing in it outlives what that process knows.

The event loop never waits for the disk here: a thread writes, and data outside the page cache counts as not found.
"""

import asyncio
import os
import struct
import tempfile
from array import array
from pathlib import Path
from typing import Final

import orjson

from nugetproxy.executors.threads import DISK
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.logs import logger
from nugetproxy.web.hot.answer import HotAnswer, HotVariant, Key

log = logger()

LARGEST: Final = 256 * 1024
"""Bytes of a body that is kept here. For larger ones rendering is a small part of the cost, and they are few."""

BATCH: Final = 512 * 1024
"""Bytes that are gathered before a thread writes them."""

SMALLEST_FILE: Final = 8 * BATCH
"""The size of the smallest useful file, in bytes."""

FIRST_READ: Final = 16 * 1024
"""Bytes that the first read takes: most answers are shorter."""

SLOTS: Final = 1 << 17
"""Answers that can be found at most; each slot takes eight bytes. If two answers share a slot, the newer is found."""

# Magic; lengths of key, description, identity form and gzip form. The bytes follow in that order.
_HEADER: Final = struct.Struct("=4sIIII")
_MAGIC: Final = b"NPh1"
_NONE: Final = 0xFFFFFFFF


class Overflow:
    """Only for the event loop's thread."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """`max_bytes` is the size of the file. Raises OSError when it cannot be created."""
        self._descriptor = _unnamed(folder)
        self._size = max(max_bytes, SMALLEST_FILE)
        self._slots = _no_slots()
        # Positions count all bytes ever put here: the offset in the file is the position modulo its size.
        self._gathered = bytearray()
        self._start = 0  # position of the first gathered byte; everything before it was passed to the thread
        self._flying = b""  # what the thread is writing, and its position
        self._flying_from = 0
        self._writing: asyncio.Task[None] | None = None

    def put(self, key: Key, answer: HotAnswer) -> None:
        """Keep the answer of a document, unless it is too large or documents come faster than the disk writes them.

        One that was found here and is evicted from memory again is still here, and is not written a second time.
        """
        if self._descriptor < 0 or (self._writing is not None and len(self._gathered) >= BATCH):
            return
        if answer.position >= 0 and self._slots[hash(key) % SLOTS] == answer.position + 1 and self._is_safe(answer):
            return
        forms = [form.body for form in (answer.identity, answer.gzip) if form is not None]
        if any(not isinstance(body, bytes) or len(body) > LARGEST for body in forms):
            return
        record = _record(key, answer)
        if len(record) > BATCH:
            return
        answer.position = self._start + len(self._gathered)
        self._slots[hash(key) % SLOTS] = answer.position + 1
        self._gathered += record
        if len(self._gathered) >= BATCH and self._writing is None:
            self._write()

    def find(self, key: Key) -> HotAnswer | None:
        """None also when the disk would have to be waited for."""
        position = self._slots[hash(key) % SLOTS] - 1
        answer = self._answer_at(position, key) if position >= 0 else None
        if answer is not None:
            answer.position = position
        return answer

    def forget(self, key: Key) -> None:
        """Make this key unfindable."""
        self._slots[hash(key) % SLOTS] = 0

    def clear(self) -> None:
        """Make everything that was put so far unfindable."""
        self._slots = _no_slots()

    async def close(self) -> None:
        """Close the file, which frees its disk space."""
        self.clear()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _answer_at(self, position: int, key: Key) -> HotAnswer | None:
        head = self._bytes_at(position, FIRST_READ)
        if len(head) < _HEADER.size:
            return None
        magic, *lengths = _HEADER.unpack_from(head)
        if magic != _MAGIC:
            return None
        whole = _HEADER.size + sum(length for length in lengths if length != _NONE)
        if len(head) < whole:
            head += self._bytes_at(position + len(head), whole - len(head))
        return _answer(key, memoryview(head), lengths) if len(head) >= whole else None

    def _is_safe(self, answer: HotAnswer) -> bool:
        """Whether its record will not be overwritten soon: by then it may have left memory without a new one."""
        return answer.position > self._start - self._size // 2

    def _bytes_at(self, position: int, count: int) -> bytes:
        """Up to `count` bytes; fewer at an end, none if they are lost or not in the page cache."""
        if position >= self._start:
            at = position - self._start
            return bytes(self._gathered[at : at + count])
        if position >= self._flying_from:
            at = position - self._flying_from
            return self._flying[at : at + count]
        # The area that the newest batches were written over, or will be before the next look-up.
        if self._descriptor < 0 or position < self._start - self._size:
            return b""
        offset = position % self._size
        room = bytearray(min(count, self._size - offset, self._flying_from - position))
        try:
            read = os.preadv(self._descriptor, [room], offset, os.RWF_NOWAIT)
        except OSError:
            return b""
        return bytes(room[:read])

    def _write(self) -> None:
        """Hand what was gathered to a thread."""
        self._flying, self._flying_from = bytes(self._gathered), self._start
        self._gathered.clear()
        self._start += len(self._flying)
        if self._start % self._size + 2 * BATCH > self._size:  # no batch crosses the end of the file
            self._start += self._size - self._start % self._size
        self._writing = asyncio.get_running_loop().create_task(self._written())

    async def _written(self) -> None:
        try:
            await DISK.run(_write_all, self._descriptor, self._flying, self._flying_from % self._size)
        except OSError as error:
            log.warning("hot_overflow_stopped", why=error.strerror)
            self.clear()
            os.close(self._descriptor)
            self._descriptor = -1
        self._flying, self._flying_from, self._writing = b"", self._start, None


def _unnamed(folder: Path) -> int:
    """A file that no other process can open and that disappears with its descriptor."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:  # the file system does not support such files
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="hot-")
        Path(name).unlink()
        return descriptor


def _write_all(descriptor: int, batch: bytes, offset: int) -> None:
    rest = memoryview(batch)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


def _no_slots() -> "array[int]":
    return array("Q", bytes(8 * SLOTS))


def _record(key: Key, answer: HotAnswer) -> bytes:
    was = answer.provenance
    provenance = [was.outcome.value, was.age, was.fresh_for, was.stored, was.detail]
    forms = [None if form is None else form.described() for form in (answer.identity, answer.gzip)]
    flags = [answer.is_negotiated, answer.has_ttl, answer.needs_reader, answer.gzip_unasked]
    description = orjson.dumps([answer.resource, provenance, forms, flags, answer.expires, answer.since, answer.digest])
    name = _name(key)
    bodies = [None if form is None else form.body for form in (answer.identity, answer.gzip)]
    lengths = [len(body) if isinstance(body, bytes) else _NONE for body in bodies]
    header = _HEADER.pack(_MAGIC, len(name), len(description), *lengths)
    return b"".join((header, name, description, *(body for body in bodies if isinstance(body, bytes))))


def _answer(key: Key, record: memoryview, lengths: list[int]) -> HotAnswer | None:
    """The answer, unless the record belongs to another key."""
    parts, at = [], _HEADER.size
    for length in lengths:
        end = at if length == _NONE else at + length
        parts.append(None if length == _NONE else bytes(record[at:end]))
        at = end
    name, description, *bodies = parts
    if name != _name(key) or description is None:
        return None
    resource, provenance, forms, flags, expires, since, digest = orjson.loads(description)
    is_negotiated, has_ttl, needs_reader, gzip_unasked = flags
    identity, gzip = (
        None if form is None or body is None else HotVariant.from_description(form, body)
        for form, body in zip(forms, bodies, strict=True)
    )
    return HotAnswer(
        resource,
        Provenance(Outcome(provenance[0]), *provenance[1:]),
        identity,
        gzip,
        is_negotiated,
        has_ttl,
        float("inf") if expires is None else expires,  # JSON has no infinity
        needs_reader,
        gzip_unasked=gzip_unasked,
        digest=digest,
        since=since,
    )


def _name(key: Key) -> bytes:
    return key if isinstance(key, bytes) else b" ".join(key)
