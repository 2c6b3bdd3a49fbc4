"""Answers that are ready to be sent, on disk: shared by all workers, still there after a restart, found with one read.

Without it, each worker would render and compress each document again, also after every restart. A file of fixed size
is written from start to end, over and over; a table in mapped memory has an answer's position under a hash of its key.
What is found is not trusted: it must be whole, for this very key, rendered under the same
settings by the same program, and nothing that it depends on may have changed since.

The event loop never waits for the disk here: a thread writes, and data outside the page cache counts as not found.
Which answers may be used is decided in `web.hot.table`; how they are encoded, in `web.hot.records`.
"""

import asyncio
import fcntl
import mmap
import os
import struct
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.executors.threads import DISK
from nugetproxy.logs import logger
from nugetproxy.storage.private_files import open_private
from nugetproxy.storage.reserve import NO_RESERVE, Reserve
from nugetproxy.web.hot.answer import HotAnswer, Key
from nugetproxy.web.hot.records import HEADER, answer_of, length_of, name_of, record_of

log = logger()

LARGEST: Final = 192 * 1024
"""Bytes of a body that is kept here. For larger ones rendering is a small part of the cost, and they are few."""

BATCH: Final = 512 * 1024
"""Bytes that are gathered before a thread writes them."""

GATHERING_SECONDS: Final = 1.0
"""How long an answer waits at most until it is written, so that other workers find it."""

SMALLEST_FILE: Final = 8 * BATCH
"""Bytes for answers in the smallest useful file."""

FIRST_READ: Final = 16 * 1024
"""Bytes that the first read takes: most answers are shorter."""

SLOTS: Final = 1 << 18
"""Answers that can be found at most; each slot takes eight bytes."""

# At the start of the file: magic, bytes for answers, a digest of what all answers depend on; then, by itself because it
# changes, the position at which the next batch begins. Positions count all bytes ever written: the offset of an answer
# is its position modulo the size.
_START: Final = struct.Struct("=8sQ32s")
_MAGIC: Final = b"NPhot\0\0\1"
_NEXT: Final = 64 // 8
_TABLE: Final = 4096
_DATA: Final = _TABLE + 8 * SLOTS

# A slot has the position plus one in its lower bits, and bits of the key's hash above: only a likely match is read.
_POSITION: Final = (1 << 48) - 1


class AnswerFile:
    """One process's view of the file. Only for the event loop's thread."""

    def __init__(self, path: Path, max_bytes: int, identity: bytes, reserve: Reserve = NO_RESERVE) -> None:
        """`max_bytes` is for the answers. `identity` differs for programs and settings that render differently: a file
        of another identity is replaced. It does not grow while only the `reserve` is left on the disk.

        Raises OSError, StorageUnavailable when it cannot be created or mapped.
        """
        self._reserve = reserve
        self._size = max(max_bytes, SMALLEST_FILE)
        self._descriptor = _opened(path, self._size, blake2b(identity, digest_size=32).digest())
        try:
            self._memory = mmap.mmap(self._descriptor, _DATA)
        except (OSError, ValueError):
            os.close(self._descriptor)
            raise
        self._numbers = memoryview(self._memory).cast("Q")
        self._slots = self._numbers[_TABLE // 8 :]
        self._gathered: dict[Key, HotAnswer] = {}
        self._gathered_bytes = 0
        self._flying: dict[Key, HotAnswer] = {}
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = True

    def put(self, key: Key, answer: HotAnswer) -> bool:
        """Keep the answer, and return True, unless it is too large or answers come faster than the disk writes them.

        One that was found here and is evicted from memory again is still here, and is not written a second time.
        """
        if not self._is_open or (self._gathered_bytes >= BATCH and self._writing is not None):
            return False
        if answer.position >= 0 and self._is_safe(answer):
            return True
        forms = [form for form in (answer.identity, answer.gzip) if form is not None]
        if any(form.held > LARGEST for form in forms):
            return False
        before = self._gathered.get(key)
        self._gathered_bytes += answer.size - (before.size if before is not None else 0)
        self._gathered[key] = answer
        if self._gathered_bytes >= BATCH:
            self._write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHERING_SECONDS, self._write)
        return True

    def find(self, key: Key) -> HotAnswer | None:
        """None also when the disk would have to be waited for."""
        if not self._is_open:
            return None
        answer = self._gathered.get(key) or self._flying.get(key)
        if answer is not None:
            return answer
        name = name_of(key)
        pair, mark = _place(name)
        for slot in (pair, pair + 1):
            held = self._slots[slot]
            if held and held & ~_POSITION == mark:
                position = (held & _POSITION) - 1
                found = self._answer_at(position, name)
                if found is not None:
                    found.position = position
                    return found
        return None

    def forget(self, key: Key) -> None:
        """Make this key unfindable, for all processes."""
        self._gathered.pop(key, None)
        self._flying.pop(key, None)  # the thread looks here before it publishes
        if self._is_open:
            pair, mark = _place(name_of(key))
            for slot in (pair, pair + 1):
                if self._slots[slot] & ~_POSITION == mark:
                    self._slots[slot] = 0

    async def close(self) -> None:
        """Write what was gathered, and close the file. It keeps its content for the next process."""
        while self._is_open and (self._writing is not None or self._gathered):
            if self._writing is None:
                self._write()
            else:  # its end may begin the next one
                await asyncio.gather(self._writing, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        self._stop()

    def _answer_at(self, position: int, name: bytes) -> HotAnswer | None:
        head = self._bytes_at(position, FIRST_READ)
        whole = length_of(head)
        if not HEADER.size <= whole <= BATCH:
            return None
        if len(head) < whole:
            head += self._bytes_at(position + len(head), whole - len(head))
        # Processes first claim what they overwrite: if nobody has claimed it by now, it was not overwritten.
        if len(head) < whole or position < self._numbers[_NEXT] - self._size:
            return None
        return answer_of(name, head[:whole])

    def _bytes_at(self, position: int, count: int) -> bytes:
        """Up to `count` bytes; fewer at an end, none if they are not in the page cache."""
        offset = position % self._size
        room = bytearray(min(count, self._size - offset))
        try:
            read = os.preadv(self._descriptor, [room], _DATA + offset, os.RWF_NOWAIT)
        except OSError:
            return b""
        return bytes(room[:read])

    def _is_safe(self, answer: HotAnswer) -> bool:
        """Whether its record will not be overwritten soon: by then it may have left memory without a new one."""
        return answer.position > self._numbers[_NEXT] - self._size // 2

    def _write(self) -> None:
        """Hand what was gathered to a thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None and self._gathered:
            self._flying, self._gathered, self._gathered_bytes = self._gathered, {}, 0
            self._writing = asyncio.get_running_loop().create_task(self._written())

    async def _written(self) -> None:
        batch = self._flying
        records = [(key, name_of(key), record_of(key, answer)) for key, answer in batch.items()]
        try:
            positions = await DISK.run(self._store, [record for _, _, record in records])
        except OSError as error:
            log.warning("hot_file_stopped", why=error.strerror)
            self._stop()
        except StorageUnavailable:  # memory has them; the first who stores something else says that the disk is full
            pass
        else:
            for (key, name, _), position in zip(records, positions, strict=True):
                answer = batch.get(key)  # gone if it was forgotten in the meantime
                if answer is not None:
                    answer.position = position
                    self._publish(name, position)
        self._flying, self._writing = {}, None
        if self._gathered and self._timer is None:  # full, or their time came while the others were written
            self._write()

    def _store(self, records: list[bytes]) -> list[int]:
        """Write the records into a part of the file that no other process writes to; returns their positions.

        Raises OSError, StorageUnavailable when only the reserve is left.
        """
        total = sum(map(len, records))
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            start = self._numbers[_NEXT]
            if start % self._size + total > self._size:  # no batch crosses the end of the file
                start += self._size - start % self._size
            end = _DATA + start % self._size + total
            if end > os.fstat(self._descriptor).st_size:
                self._reserve.check(total)
            self._numbers[_NEXT] = start + total
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        _write_all(self._descriptor, b"".join(records), _DATA + start % self._size)
        positions = []
        for record in records:
            positions.append(start)
            start += len(record)
        return positions

    def _publish(self, name: bytes, position: int) -> None:
        """Of two slots, take the one of the same key, else the one whose answer is older."""
        pair, mark = _place(name)
        first, second = self._slots[pair], self._slots[pair + 1]
        if second & ~_POSITION == mark and second:
            slot = pair + 1
        elif first & ~_POSITION == mark or (first & _POSITION) <= (second & _POSITION):
            slot = pair
        else:
            slot = pair + 1
        self._slots[slot] = mark | (position + 1)

    def _stop(self) -> None:
        if self._is_open:
            self._is_open = False
            self._gathered.clear()
            self._slots.release()
            self._numbers.release()
            self._memory.close()
            os.close(self._descriptor)


def _place(name: bytes) -> tuple[int, int]:
    """The first of a key's two slots, and the bits that a slot has for it."""
    number = int.from_bytes(blake2b(name, digest_size=8).digest(), "big")
    return number % (SLOTS // 2) * 2, number & ~_POSITION


def _opened(path: Path, size: int, identity: bytes) -> int:
    """The file's descriptor; created if there is none of this size and identity."""
    start = _START.pack(_MAGIC, size, identity)
    while True:
        descriptor = open_private(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _is_at(path, descriptor):  # replaced since it was opened
                os.close(descriptor)
                continue
            if os.fstat(descriptor).st_size >= _DATA:
                if os.pread(descriptor, _START.size, 0) == start:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                    return descriptor
                # Processes with the old settings may still use it: it stays theirs, without a name.
                path.unlink()
                os.close(descriptor)
                continue
            # Written, not truncated to: a hole in a mapped file on a full disk kills the process touching it.
            _write_all(descriptor, bytes(_DATA - _START.size), _START.size)
            _write_all(descriptor, start, 0)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise
        else:
            return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    return False


def _write_all(descriptor: int, batch: bytes, offset: int) -> None:
    rest = memoryview(batch)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
