"""What events mean for the packages that are kept: deleted upstream, or with another file than the one kept.

A kept file is never replaced or removed because of an event: a build that used it must be able to use it again.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from nugetproxy import metrics
from nugetproxy.errors import UnreadableDocument, UpstreamError, UpstreamNonsense
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.feeds.base import LocalFile
from nugetproxy.logs import logger
from nugetproxy.mirroring.documents.parsing import parsed
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v3.catalog_reader import Change, StatedFile, read_stated_file

_log = logger()

CHECKS: Final = 50
"""Leaves fetched in one poll."""
MOST_WAITING: Final = 5_000
_TRIES: Final = 10
_LOOKED_UP_AT_ONCE: Final = 50

FindKept = Callable[[PackageIdentity], LocalFile | None]
"""The kept file of a package."""
MarkGone = Callable[[PackageIdentity, bool], Awaitable[None]]
"""Record whether the upstream no longer has a kept version. Raises StorageUnavailable."""
Fetch = Callable[[str], Awaitable[bytes | None]]
"""A document of the upstream, None if it does not exist. Raises UpstreamError."""


@dataclass(slots=True)
class _Waiting:
    change: Change
    tries: int = 0


class KeptChanges:
    """The events about kept packages of one upstream that are not dealt with yet."""

    def __init__(self, upstream: str, find: FindKept, mark_gone: MarkGone, fetch: Fetch) -> None:
        self._upstream = upstream
        self._find = find
        self._mark_gone = mark_gone
        self._fetch = fetch
        self._waiting: dict[PackageIdentity, _Waiting] = {}

    @property
    def oldest(self) -> int | None:
        """The time of the oldest event that is not dealt with, in ticks."""
        return min((each.change.commit.stamp for each in self._waiting.values()), default=None)

    async def note(self, changes: Iterable[Change]) -> None:
        """Enter events; those about packages that are not kept are ignored. Of one version the newest counts."""
        for number, change in enumerate(changes, 1):
            if number % _LOOKED_UP_AT_ONCE == 0:
                await asyncio.sleep(0)
            package = change.package
            if package is None or self._find(package) is None:
                continue
            known = self._waiting.get(package)
            if known is not None and known.change.commit.stamp >= change.commit.stamp:
                continue
            if known is None and len(self._waiting) >= MOST_WAITING:
                self._give_up(package, "too many kept packages changed")
                continue
            self._waiting[package] = _Waiting(change)

    async def work(self) -> None:
        """Deal with some of them. Raises StorageUnavailable; a failure of the upstream is only counted as a try."""
        left = CHECKS
        for package, waiting in list(self._waiting.items()):
            if waiting.change.is_delete:
                await self._mark_gone(package, True)
                _log.warning("package_deleted_upstream", upstream=self._upstream, package=str(package))
            elif left <= 0:
                continue
            else:
                left -= 1
                try:
                    await self._check(package, waiting.change)
                except UpstreamNonsense as error:
                    self._give_up(package, error.why)
                except UpstreamError as error:
                    waiting.tries += 1
                    if waiting.tries < _TRIES:
                        continue
                    self._give_up(package, error.why)
                await self._mark_gone(package, False)
            del self._waiting[package]

    async def _check(self, package: PackageIdentity, change: Change) -> None:
        file = self._find(package)
        if file is None:
            return
        stated = await self._stated(package, change.leaf)
        kept_hash = ""
        if stated.size is None or stated.size == file.size:
            if stated.sha512 is None:
                return
            try:
                kept_hash = await UPKEEP.run(_sha512, file.path)
            except FileNotFoundError:
                return  # evicted meanwhile
            if kept_hash == stated.sha512:
                return
        metrics.CATALOG_CONFLICTS.labels(self._upstream).inc()
        _log.error(
            "package_changed_upstream",
            upstream=self._upstream,
            package=str(package),
            kept_size=file.size,
            kept_hash=kept_hash,
            stated_size=stated.size,
            stated_hash=stated.sha512,
        )

    async def _stated(self, package: PackageIdentity, url: str) -> StatedFile:
        body = await self._fetch(url)
        if body is None:
            raise UpstreamNonsense(self._upstream, f"its catalog names {url}, which does not exist")
        try:
            return await parsed(partial(read_stated_file, package=package), body)
        except UnreadableDocument as error:
            raise UpstreamNonsense(self._upstream, str(error)) from error

    def _give_up(self, package: PackageIdentity, why: str) -> None:
        _log.warning("package_not_compared", upstream=self._upstream, package=str(package), why=why)


def _sha512(path: Path) -> str:
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
