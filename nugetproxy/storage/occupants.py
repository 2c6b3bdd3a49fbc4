"""Which processes use a data directory: servers, their workers, and commands that run for long.

Each holds a file of its own in `locks/`, with an flock that the kernel releases when the process ends.
A process that needs the directory exclusively (to migrate a database, or to restore one) checks while none can enter.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.storage.access import PRIVATE
from nugetproxy.storage.private_files import make_private_folder, open_private

LOCKS: Final = "locks"

_PREFIX: Final = "in-use."
_DOOR: Final = "door"

_log = logger()


@dataclass(frozen=True, slots=True)
class Occupant:
    """A process that uses the directory. `what` is "server", "worker", or a command; `version` is nugetproxy's."""

    what: str
    version: str
    pid: int

    def __str__(self) -> str:
        return f"{self.what} of nugetproxy {self.version} (process {self.pid})"


class Occupancy:
    """A process's own entry; it ends with `leave`, or with the process."""

    def __init__(self, path: Path | None, descriptor: int | None) -> None:
        self._path, self._descriptor = path, descriptor

    def leave(self) -> None:
        """A second call does nothing."""
        path, descriptor = self._path, self._descriptor
        self._path = self._descriptor = None
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()
        if descriptor is not None:
            os.close(descriptor)


def enter(directory: Path, who: Occupant) -> Occupancy:
    """Be visible to others until the end. Waits while another process has exclusive use of the directory.

    Never raises because of the disk: without an entry the directory is used unseen, and that is logged. A read-only
    directory needs no entries, since nobody can migrate or restore there.
    """
    if not os.access(directory, os.W_OK):
        return Occupancy(None, None)
    try:
        with _door(directory):
            path = directory / LOCKS / f"{_PREFIX}{who.pid}.{secrets.token_hex(4)}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE.file)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(OSError):  # a full disk: the lock alone still marks the entry
                os.write(descriptor, json.dumps(asdict(who)).encode())
    except (OSError, StorageUnavailable) as error:
        _log.warning("data_used_unseen", path=str(directory), why=str(error))
        return Occupancy(None, None)
    return Occupancy(path, descriptor)


@contextlib.contextmanager
def alone(directory: Path, doing: str) -> Iterator[None]:
    """Exclusive use: no other process uses the directory, or can enter it, until the end of the block.

    Raises StorageUnavailable naming the occupant, or when the directory cannot be written. `doing` is the purpose.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_door(directory))
            others = occupants(directory)
        except OSError as error:
            raise StorageUnavailable(f"cannot {doing}: {directory}: {error.strerror}") from error
        if others:
            raise StorageUnavailable(f"cannot {doing} while {directory} is used by a {others[0]}: stop it first")
        yield


@contextlib.contextmanager
def _door(directory: Path) -> Iterator[None]:
    """Raises OSError, StorageUnavailable."""
    make_private_folder(directory / LOCKS)
    descriptor = open_private(directory / LOCKS / _DOOR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def occupants(directory: Path) -> list[Occupant]:
    """Those whose lock is held, servers first. Removes the entries of processes that have ended. Raises OSError."""
    found = []
    for path in (directory / LOCKS).glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # it left meanwhile
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(_read(path))
            else:
                path.unlink()
            finally:
                os.close(descriptor)
    return sorted(found, key=lambda each: (each.what != "server", each.pid))


def _read(path: Path) -> Occupant:
    try:
        return Occupant(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Occupant("process", "of an unknown version", int(path.name.split(".")[1]))
