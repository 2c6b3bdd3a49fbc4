"""Keeping files and rows of hosted packages in step: garbage is swept, what is missing is reported.

Both look from outside and may run at any time beside pushes; when they run is the affair of whoever schedules jobs.
"""

import time
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from nugetproxy.hosting.contents import FOLDER
from nugetproxy.storage.blobs.base import BlobStore

_log = structlog.get_logger(__name__)

SWEPT_AFTER: Final = 3600.0
"""Seconds. A push makes its row within moments of its blob; an hour is far beyond any that still runs."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was taken away. `size` in bytes."""

    blobs: int
    size: int


class Needing(Protocol):
    """Whoever has rows that name blobs: hosted packages, their symbols."""

    def blobs(self) -> frozenset[str]:
        """The keys of what is needed, as texts."""


def sweep_unreferenced_blobs(
    packages: Needing,
    blobs: BlobStore,
    folder: str = FOLDER,
    *,
    older_than: float = SWEPT_AFTER,
    now: float | None = None,
) -> Swept:
    """Delete blobs that no hosted version needs: left by a push that lost, failed or was killed. Blocks.

    `folder` is the first segment of their keys. `older_than` in seconds: a younger blob may belong to a push whose row
    is being written. `now` in unix seconds.

    Raises StorageUnavailable.
    """
    oldest = (time.time() if now is None else now) - older_than
    count = size = 0
    # Only what is old is garbage, and an old blob that has no row yet never gets one: a push refuses a blob that is
    # gone, and every push has a key of its own.
    garbage = [info for info in blobs.walk(folder) if info.modified / 1e9 < oldest]
    needed = packages.blobs() if garbage else frozenset()
    for info in garbage:
        if str(info.key) not in needed:
            blobs.delete(info.key)
            count, size = count + 1, size + info.size
    if count:
        _log.info("hosted_garbage_swept", blobs=count, bytes=size)
    return Swept(count, size)


def check_blobs(packages: Needing, blobs: BlobStore, folder: str = FOLDER) -> tuple[str, ...]:
    """The blobs that a hosted version needs and that are not there, by key. None should ever be. Blocks.

    Raises StorageUnavailable.
    """
    there = {str(info.key) for info in blobs.walk(folder)}
    missing = sorted(packages.blobs() - there)
    # A version deleted between the two looks is no loss.
    missing = [key for key in missing if key in packages.blobs()] if missing else []
    for key in missing:
        _log.error("hosted_package_missing", blob=key)
    return tuple(missing)
