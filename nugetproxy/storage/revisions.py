"""Counters shared by all processes of a data directory: what changed that earlier answers may depend on.

Everything cached in memory (hot answers, learned credentials, prefix tables) remembers the number it was built under
and is invalid once the number differs. Reading a counter is a read of shared memory, cheap enough for every request.
There is a counter for accounts, one for hosted packages, and one for each of 65,536 groups of package ids, because most
changes concern the answers about one id.
"""

import contextlib
import fcntl
import mmap
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.private_files import open_private

FILE: Final = "revisions"

GROUPS: Final = 65_536
"""Groups of package ids. Two ids of a group share a counter: a change of one only costs the other a new rendering."""

ANY: Final = GROUPS
"""The place in `Revisions.packages` of the counter that differs once anything about any package changed."""

ALL: Final = GROUPS + 1
"""The place of the counter that differs once something changed that may concern the answers about all packages."""

# Native 64-bit counters: accounts, hosted packages, the newest change that all processes were told of; then those of
# the groups, ANY and ALL.
_ACCOUNTS: Final = 0
_HOSTING: Final = 1
_TOLD: Final = 2
_PACKAGES: Final = 3
_SIZE: Final = 8 * (_PACKAGES + GROUPS + 2)
_SIZE_BEFORE: Final = 16  # of versions that only had the first two counters


def group_of(lower_id: str) -> int:
    """The place of this id's counter in `Revisions.packages`."""
    return zlib.crc32(lower_id.encode()) % GROUPS


@dataclass(frozen=True)
class Change:
    """What a commit outdates. Combine with `|`."""

    rights: bool = False
    """Anything about users, keys, owners, reservations or exceptions."""
    hosting: bool = False
    """Anything about hosted packages."""
    everything: bool = False
    """The answers about all packages."""
    groups: frozenset[int] = frozenset()
    """The answers about the packages of these groups."""

    @classmethod
    def of_accounts(cls) -> "Change":
        """All answers are outdated: owners and prefixes are part of many."""
        return cls(rights=True, everything=True)

    @classmethod
    def of_hosting(cls, lower_id: str | None = None) -> "Change":
        """A change of hosted packages of this id; None: of any."""
        if lower_id is None:
            return cls(hosting=True, everything=True)
        return cls(hosting=True, groups=frozenset((group_of(lower_id),)))

    def __or__(self, other: "Change") -> "Change":
        return Change(
            self.rights or other.rights,
            self.hosting or other.hosting,
            self.everything or other.everything,
            self.groups | other.groups,
        )


ANYTHING: Final = Change(rights=True, hosting=True, everything=True)
"""Outdates whatever depends on the database."""


class Announcing(Protocol):
    """Tells everyone who answers from memory about a commit. Used by `storage.telling`."""

    def note(self, transaction: Transaction, change: Change, /) -> int:
        """As the last statements of the transaction. Returns the number of the change, for the other methods."""

    def committed(self, number: int, change: Change, /) -> None:
        """Right after the commit, in any thread."""

    async def seen_everywhere(self, number: int, /) -> None:
        """Return once nobody answers from before the change. Never raises: the change is committed."""


class Revisions:
    """The counters in `directory`, which must exist. They only grow, also across restarts.

    The order that makes them correct: a writer commits, then bumps; a reader reads the counter, then the data it
    caches. So data cached under a number is never older than that number. A process killed between its commit and its
    bump leaves others with outdated data: see `catch_up`.
    """

    def __init__(self, directory: Path | None) -> None:
        """None: counters of this process alone, where nothing can be written or no other process matters.

        Raises StorageUnavailable when the file cannot be opened, created or filled.
        """
        # flock keeps other processes out, but not other threads of this one: they share the descriptor.
        self._lock = threading.Lock()
        self._newest: Callable[[], int] = lambda: 0
        self._descriptor = (
            os.memfd_create(FILE, os.MFD_CLOEXEC) if directory is None else open_private(directory / FILE)
        )
        try:
            with self._alone():
                there = os.fstat(self._descriptor).st_size
                if there < _SIZE:
                    # Written, not truncated to: a hole in a mapped file on a full disk kills the process touching it.
                    start = there if there == _SIZE_BEFORE else 0
                    os.pwrite(self._descriptor, bytes(_SIZE - start), start)
            self._memory = mmap.mmap(self._descriptor, _SIZE)
        except OSError as error:
            os.close(self._descriptor)
            raise StorageUnavailable(f"{FILE} cannot be used: {error.strerror}") from error
        self._counters = memoryview(self._memory).cast("Q")
        self.packages: memoryview = self._counters[_PACKAGES:]
        """By `group_of`: differs once anything about a package id of the group changed. See ANY and ALL, too."""

    @property
    def accounts(self) -> int:
        """Differs once anything about users, keys, owners or prefixes has changed."""
        return self._counters[_ACCOUNTS]

    @property
    def hosting(self) -> int:
        """Differs once anything about hosted packages has changed."""
        return self._counters[_HOSTING]

    def of_package(self, lower_id: str) -> int:
        """Differs once anything about this package id may have changed."""
        return self.packages[group_of(lower_id)] + self.packages[ALL]  # both only grow

    def may_remember(self) -> bool:
        """Whether what was remembered under these counters may be used now. Always, on one machine."""
        return True

    def catch_up(self, newest: Callable[[], int]) -> None:
        """Call this when a process takes over from one that may have died between its commit and its bump.

        `newest` returns the number of the newest entry of the audit log; every commit that needs a bump adds one. Each
        bump notes it first: so a commit was announced if its entry is not newer than the noted one.
        """
        self._newest = newest
        if self._counters[_TOLD] != newest():
            self.bump(ANYTHING)

    def note(self, transaction: Transaction, change: Change, /) -> int:
        """See `Announcing`: all who answer from memory share the counters, so there is nothing to note."""
        return 0

    def committed(self, number: int, change: Change, /) -> None:
        """See `Announcing`."""
        self.bump(change)

    async def seen_everywhere(self, number: int, /) -> None:
        """See `Announcing`: everyone has seen it since `committed`."""

    def bump(self, change: Change) -> None:
        """Notify all processes of this machine, after the commit. Waits for other writers of the counters, for
        microseconds.
        """
        places = {_PACKAGES + group for group in change.groups} | {_PACKAGES + ANY}
        for concerned, place in (
            (change.rights, _ACCOUNTS),
            (change.hosting, _HOSTING),
            (change.everything, _PACKAGES + ALL),
        ):
            if concerned:
                places.add(place)
        self._bump(places)

    def bump_accounts(self) -> None:
        """`bump(Change.of_accounts())`."""
        self.bump(Change.of_accounts())

    def bump_hosting(self, lower_id: str | None = None) -> None:
        """`bump(Change.of_hosting(lower_id))`."""
        self.bump(Change.of_hosting(lower_id))

    def bump_all(self) -> None:
        """Notify all processes of a change that may concern the answers about all packages, but no rights."""
        self.bump(Change(everything=True))

    def bump_packages(self, lower_ids: Iterable[str]) -> None:
        """Notify all processes that what the mirror says about these ids has changed."""
        self.bump(Change(groups=frozenset(map(group_of, lower_ids))))

    def close(self) -> None:
        """Release the memory; nothing may be read afterwards."""
        self.packages.release()
        self._counters.release()
        self._memory.close()
        os.close(self._descriptor)

    def _bump(self, counters: Iterable[int]) -> None:
        told = self._newest()
        with self._alone():
            for counter in counters:
                self._counters[counter] += 1
            self._counters[_TOLD] = max(told, self._counters[_TOLD])

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
