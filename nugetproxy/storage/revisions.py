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
from nugetproxy.storage.database.base import Fetch, Transaction
from nugetproxy.storage.private_files import open_private

FILE: Final = "revisions"

GROUPS: Final = 65_536
"""Groups of package ids. Two ids of a group share a counter: a change of one only costs the other a new rendering."""

ANY: Final = GROUPS
"""The place in `Revisions.packages` of the counter that differs once anything about any package changed."""

ALL: Final = GROUPS + 1
"""The place of the counter that differs once something changed that may concern the answers about all packages."""

# Native 64-bit values: counters of accounts and hosted packages; the number up to which every change was announced;
# counters of the groups, ANY and ALL; the newest number noted; changes announced before an earlier one, as pairs.
_ACCOUNTS: Final = 0
_HOSTING: Final = 1
_TOLD: Final = 2
_PACKAGES: Final = 3
_NOTED: Final = _PACKAGES + GROUPS + 2
_AHEAD: Final = _NOTED + 1
# Writers of a machine that may be between their commit and its announcement; more only cost an unneeded bump later.
_MOST_AHEAD: Final = 32
_SIZE: Final = 8 * (_AHEAD + 2 * _MOST_AHEAD)
_SIZES_BEFORE: Final = (16, 8 * _NOTED)  # of versions that had fewer values


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
        self._newest: Callable[[Fetch], int] = lambda _: 0
        self._descriptor = (
            os.memfd_create(FILE, os.MFD_CLOEXEC) if directory is None else open_private(directory / FILE)
        )
        try:
            with self._alone():
                there = os.fstat(self._descriptor).st_size
                if there < _SIZE:
                    # Written, not truncated to: a hole in a mapped file on a full disk kills the process touching it.
                    start = there if there in _SIZES_BEFORE else 0
                    os.pwrite(self._descriptor, bytes(_SIZE - start), start)
            self._memory = mmap.mmap(self._descriptor, _SIZE)
        except OSError as error:
            os.close(self._descriptor)
            raise StorageUnavailable(f"{FILE} cannot be used: {error.strerror}") from error
        self._counters = memoryview(self._memory).cast("Q")
        self.packages: memoryview = self._counters[_PACKAGES:_NOTED]
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

    def catch_up(self, newest: Callable[[Fetch], int], fetch: Fetch) -> None:
        """Call this when a process takes over from one that may have died between its commit and its bump.

        `newest` returns the number of the newest entry of the audit log, read with `fetch`; every commit that needs a
        bump adds one. If any entry was not announced, everything is outdated.
        """
        self._newest = newest
        number = newest(fetch)
        with self._alone():
            self._counters[_NOTED] = max(self._counters[_NOTED], number)
            if self._counters[_TOLD] == number:
                return
            for place in range(_AHEAD, _AHEAD + 2 * _MOST_AHEAD):
                self._counters[place] = 0
            self._counters[_TOLD] = number
            self._count(_places(ANYTHING))

    def note(self, transaction: Transaction, change: Change, /) -> int:
        """See `Announcing`. The result has two numbers of the audit log: the newest entry before this change, and now.

        The transaction is the only one that writes.
        """
        number = self._newest(transaction.fetch)
        with self._alone():
            before, self._counters[_NOTED] = self._counters[_NOTED], number
        return before << 64 | number

    def committed(self, number: int, change: Change, /) -> None:
        """See `Announcing`."""
        with self._alone():
            self._count(_places(change))
            self._announced(number >> 64, number % 2**64)

    async def seen_everywhere(self, number: int, /) -> None:
        """See `Announcing`: everyone has seen it since `committed`."""

    def bump(self, change: Change) -> None:
        """Notify all processes of this machine, after the commit. Waits for other writers of the counters, for
        microseconds.
        """
        with self._alone():
            self._count(_places(change))

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

    def _count(self, places: Iterable[int]) -> None:
        for place in places:
            self._counters[place] += 1

    def _announced(self, before: int, number: int) -> None:
        """The changes after `before`, up to `number`, were announced. Those before may not have been yet: their writer
        may also have died, so `_TOLD` stays where it is until they are.
        """
        pairs = range(_AHEAD, _AHEAD + 2 * _MOST_AHEAD, 2)
        values = self._counters
        if values[_TOLD] != before:
            for place in pairs:
                if not values[place + 1]:
                    values[place], values[place + 1] = before, number
                    return
            return
        values[_TOLD] = number
        while next_one := next((p for p in pairs if values[p + 1] and values[p] == values[_TOLD]), None):
            values[_TOLD] = values[next_one + 1]
            values[next_one] = values[next_one + 1] = 0

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def _places(change: Change) -> set[int]:
    places = {_PACKAGES + group for group in change.groups} | {_PACKAGES + ANY}
    for concerned, place in (
        (change.rights, _ACCOUNTS),
        (change.hosting, _HOSTING),
        (change.everything, _PACKAGES + ALL),
    ):
        if concerned:
            places.add(place)
    return places
