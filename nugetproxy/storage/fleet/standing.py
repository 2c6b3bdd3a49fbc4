"""What the processes of one node know of its standing in the fleet, in memory that they share.

One process, the follower, writes it; the others only read until when they may answer from memory. What the values
mean is decided in `rules` and `follower`.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, get_args

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.fleet.rules import Position
from nugetproxy.storage.private_files import open_private

FILE: Final = "fleet"

State = Literal["confirmed", "remembering", "asking", "alone"]
"""Confirmed: it answers from memory. Remembering: the database cannot be reached, and it goes on with what it knows.
Asking: it asks the database instead of its memory. Alone: it may use neither."""
STATES: Final[tuple[State, ...]] = get_args(State)

# Native signed 64-bit values.
_IDENTITY, _UNTIL, _CONFIRMED, _REVISION, _NONCE, _SESSION, _BEAT, _FAILING = range(8)
_SIZE: Final = 8 * 8
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
# On Linux, this clock also counts the time that the machine was suspended; elsewhere there is no better one.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot() -> int:
    """Nanoseconds since the machine was started; the same in all of its processes."""
    return time.clock_gettime_ns(_CLOCK)


class Standing:
    """The values in `directory`, which must exist. They are forgotten after a boot, and in a copy of the directory."""

    def __init__(self, directory: Path | None, clock: Callable[[], int] = since_boot) -> None:
        """None: of this process alone. `clock` is in nanoseconds.

        Raises StorageUnavailable when the file cannot be opened, created or filled.
        """
        self._clock = clock
        self._descriptor = (
            os.memfd_create(FILE, os.MFD_CLOEXEC) if directory is None else open_private(directory / FILE)
        )
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                if os.fstat(self._descriptor).st_size < _SIZE:
                    os.pwrite(self._descriptor, bytes(_SIZE), 0)
                self._memory = mmap.mmap(self._descriptor, _SIZE)
                self._values = memoryview(self._memory).cast("q")
                identity = _identity(self._descriptor)
                if self._values[_IDENTITY] != identity:
                    for place in range(8):
                        self._values[place] = 0
                    self._values[_IDENTITY] = identity
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError as error:
            os.close(self._descriptor)
            raise StorageUnavailable(f"{FILE} cannot be used: {error.strerror}") from error

    # --- what every process reads ---

    def may_remember(self) -> bool:
        """Whether answers from memory may be used now."""
        return self._clock() < self._values[_UNTIL]

    def now(self) -> float:
        """Seconds on the clock of all these values, which only grows."""
        return self._clock() / 1e9

    @property
    def until(self) -> float:
        """When answers from memory end."""
        return self._values[_UNTIL] / 1e9

    @property
    def failing_since(self) -> float | None:
        """Since when the database cannot be reached. None: it can."""
        return self._values[_FAILING] / 1e9 or None

    @property
    def session(self) -> int:
        """This node's number in the table of nodes; 0: none. A new one whenever it enters the fleet."""
        return self._values[_SESSION]

    @property
    def state(self) -> State:
        """For people who watch the fleet."""
        if self.may_remember():
            return "confirmed" if self.failing_since is None else "remembering"
        return "asking" if self.failing_since is None else "alone"

    # --- what only the follower uses ---

    @property
    def beat(self) -> int:
        """The number of confirmations in this session."""
        return self._values[_BEAT]

    @property
    def position(self) -> Position | None:
        """The newest change that all processes of this node were notified of; None: it is not known."""
        position = Position(self._values[_REVISION], self._values[_NONCE])
        return position if position.nonce else None

    @property
    def confirmed(self) -> float | None:
        """When the last accepted confirmation was sent. None: there was none since the boot, or `given_up`."""
        return self._values[_CONFIRMED] / 1e9 or None

    def reached(self, position: Position) -> None:
        """All processes were notified of this change and those before it."""
        self._values[_NONCE] = 0  # a follower killed here must not combine the two
        self._values[_REVISION] = position.revision
        self._values[_NONCE] = position.nonce

    def entered(self, session: int) -> None:
        """A row of this node was added to the table of nodes."""
        self._values[_SESSION], self._values[_BEAT] = session, 0

    def accepted(self, sent: float, until: float) -> None:
        """A confirmation was accepted."""
        self._values[_BEAT] += 1
        self._values[_CONFIRMED] = int(sent * 1e9)
        self._values[_UNTIL] = int(until * 1e9)
        self._values[_FAILING] = 0

    def extended(self, until: float, failed: float) -> None:
        """The database could not be reached."""
        self._values[_UNTIL] = int(until * 1e9)
        if not self._values[_FAILING]:
            self._values[_FAILING] = int(failed * 1e9)

    def ended(self) -> None:
        """Nothing may be answered from memory until the next confirmation."""
        self._values[_UNTIL] = 0

    def given_up(self) -> None:
        """As `ended`, also while the database cannot be reached: there are changes that this node does not know."""
        self._values[_CONFIRMED] = 0
        self.ended()

    def close(self) -> None:
        """Release the memory; nothing may be read afterwards."""
        self._values.release()
        self._memory.close()
        os.close(self._descriptor)


def _identity(descriptor: int) -> int:
    """Of this file since this boot. Never 0."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = _BOOT.read_text()
    if not boot:
        boot = os.urandom(8).hex()  # then the values are forgotten whenever a process opens them
    status = os.fstat(descriptor)
    text = f"{boot} {status.st_dev} {status.st_ino}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True) or 1
