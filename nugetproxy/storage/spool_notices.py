"""What the process that fills a spool reports to the others: a small file beside it, replaced as a whole.

The holder of the lease on a key writes its notice; all others only read it. A notice is a hint: without it others wait
for the lease, so losing one costs time but never correctness.
"""

import hashlib
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import orjson

from nugetproxy.storage.access import PRIVATE, private_opener
from nugetproxy.storage.leases import Leases

_SUFFIX = ".notice"
_HALF_WRITTEN = ".tmp"
# A living process renames it within milliseconds.
_HALF_WRITTEN_SECONDS = 60.0


class Stage(StrEnum):
    """How far the bytes have come."""

    GROWING = "growing"
    COMPLETE = "complete"
    """All bytes have arrived and passed their checks."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SpoolNotice:
    """The state of one spool at one moment. `part` is the name of its file in the spool folder, empty if none."""

    key: str
    stage: Stage
    part: str = ""
    total: int | None = None
    """The final number of bytes, when known."""
    content_type: str = ""
    validator: str = ""
    """The If-Range value for continuing after these bytes; empty when the transfer cannot be continued."""
    sha512: str = ""
    md5: str = ""
    """The expected hash of the whole, in base64."""
    failure: str = ""
    """The kind of failure, in the writer's terms."""
    why: str = ""
    retry_after: float | None = None
    ended: float = 0.0
    """This machine's monotonic clock when it failed: a failure does not concern those who came later."""


class SpoolNotices:
    """The notices of a spool folder, one per key."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, key: str) -> SpoolNotice | None:
        """None when there is none or it cannot be read. Never raises."""
        return _read(self._path(key))

    def write(self, notice: SpoolNotice) -> None:
        """Raises OSError; the previous notice is then still there."""
        path = self._path(notice.key)
        half = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_HALF_WRITTEN}")
        # A failure may be reported before the first spool was created.
        self._directory.mkdir(PRIVATE.folder, parents=True, exist_ok=True)
        try:
            with open(half, "wb", opener=private_opener) as file:
                file.write(orjson.dumps(asdict(notice)))
            half.replace(path)
        except OSError:
            with suppress(OSError):
                half.unlink()
            raise

    def withdraw(self, key: str) -> None:
        """Never raises."""
        with suppress(OSError):
            self._path(key).unlink()

    def sweep(self, leases: Leases) -> None:
        """Remove the notices of processes that have ended. Never raises."""
        with suppress(OSError):
            for path in sorted(self._directory.iterdir()):
                if path.name.endswith(_HALF_WRITTEN) and time.time() - path.stat().st_mtime > _HALF_WRITTEN_SECONDS:
                    path.unlink(missing_ok=True)
                elif path.name.endswith(_SUFFIX):
                    notice = _read(path)
                    lease = leases.try_hold(notice.key) if notice is not None else None
                    if lease is not None or notice is None:
                        path.unlink(missing_ok=True)
                    if lease is not None:
                        lease.release()

    def _path(self, key: str) -> Path:
        return self._directory / f"{stem_of(key)}{_SUFFIX}"


def stem_of(key: str) -> str:
    """The start of the names of all files that belong to a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def _read(path: Path) -> SpoolNotice | None:
    try:
        fields = orjson.loads(path.read_bytes())
        return SpoolNotice(**{**fields, "stage": Stage(fields["stage"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
