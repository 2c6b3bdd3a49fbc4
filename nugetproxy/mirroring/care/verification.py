"""Reading every kept file again: what is wrong goes to quarantine and is fetched again.

A file must have the size and hashes of its row, the content that its signature covers, and the identity of its folder.
The PDBs of a package are read with it.
If the upstream states another hash, the file is reported and stays: which of the two is right is not known here.

Any number of processes may do this beside a server. A file is only moved under the lease of its download. Each result
is in the row, so a run that ends early is continued by naming a time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from nugetproxy import metrics
from nugetproxy.errors import InvalidRequest, StorageUnavailable
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.logs import logger
from nugetproxy.mirroring.care.asking import StillOffered
from nugetproxy.mirroring.care.file_check import CheckedFile, check_file
from nugetproxy.mirroring.downloads.keys import lease_of, package_key
from nugetproxy.mirroring.kept.files import ExpectedFile, FileKey, KeptFile, KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage
from nugetproxy.mirroring.kept.quarantine import Quarantine
from nugetproxy.mirroring.kept.symbols import delete_pdbs
from nugetproxy.mirroring.symbols.verification import SymbolsVerification
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobKey, BlobStore
from nugetproxy.storage.leases import Leases
from nugetproxy.storage.spool import disk_failures

LEASE: Final = "mirror verification"
"""Held by the process that verifies in the background."""

EVERY: Final = 30 * 86400.0
"""Seconds after which the background job verifies a file again."""

BACKGROUND_RATE: Final = 20_000_000
"""Bytes a second that the background job reads."""

_WINDOW: Final = 500
_HOUR: Final = 3600.0
# After a start, other things come first.
_FIRST_SECONDS: Final = 600.0
# A nuspec without a package is left by a kill; a younger one may belong to a download that is committing.
_ORPHAN_SECONDS: Final = 3600.0

_log = logger()


@dataclass(frozen=True, slots=True)
class UpstreamSide:
    """What verification asks of an upstream. `stated` is the SHA-512 that stored documents of it give, in base64, None
    if they give none. `offers` is as in eviction; `fetch_again` returns whether the package is kept again."""

    offers: StillOffered
    stated: Callable[[PackageIdentity], Awaitable[str | None]]
    fetch_again: Callable[[PackageIdentity], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is wrong, or differs from what its upstream states."""

    key: FileKey
    why: str
    is_repaired: bool = False


@dataclass
class Verified:
    """The result of a run. `bytes` is what was read."""

    checked: int = 0
    bytes: int = 0
    damaged: list[Problem] = field(default_factory=list)
    differing: list[Problem] = field(default_factory=list)
    missing: int = 0
    """Rows whose file was gone; they were removed."""
    added: int = 0
    """Files without a row; they were entered."""

    @property
    def is_clean(self) -> bool:
        return not (self.damaged or self.differing)


class Verification:
    """Verifies the packages in `blobs`, below the folder `mirror`."""

    def __init__(
        self,
        mirror: Path,
        inventory: Inventory,
        files: KeptFiles,
        blobs: BlobStore,
        quarantine: Quarantine,
        leases: Leases,
        upstreams: Mapping[str, UpstreamSide],
        *,
        symbols: SymbolsVerification | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._mirror = mirror
        self._inventory = inventory
        self._files = files
        self._blobs = blobs
        self._quarantine = quarantine
        self._leases = leases
        self._upstreams = upstreams
        self._symbols = symbols
        self._clock = clock

    async def verify(self, before: float, *, rate: int | None = None, repair: bool = True) -> Verified:
        """Check the files that were last verified before this unix time, and those without a row.

        `rate` is in bytes a second. Raises StorageUnavailable.
        """
        result = Verified()
        async for file in self._due(int(before)):
            began = time.monotonic()
            size = await self._verify(file.key, file, result, repair=repair)
            await _keep_pace(size, rate, began)
        async for key in self._without_row():
            began = time.monotonic()
            size = await self._verify(key, None, result, repair=repair)
            await _keep_pace(size, rate, began)
        return result

    async def run(self) -> None:
        """In the background, until cancelled: every file once a month, in one process."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            await self._verify_due()
            await asyncio.sleep(_HOUR)

    async def _verify_due(self) -> None:
        lease = self._leases.try_hold(LEASE)
        if lease is None:
            return
        with lease:
            try:
                now = self._clock()
                await self._quarantine.sweep(now)
                await self.verify(now - EVERY, rate=BACKGROUND_RATE)
            except (StorageUnavailable, OSError) as error:
                _log.warning("mirror_care_failed", error=str(error))
            except Exception:  # noqa: BLE001 - a bug must not end the job until the next start
                _log.exception("mirror_care_failed")

    # --- one file ---

    async def _verify(self, key: FileKey, file: KeptFile | None, result: Verified, *, repair: bool) -> int:
        """Returns the bytes read."""
        blob = package_key(*key)
        checked = await self._checked(blob, key)
        if checked is not None and checked.fault:
            # Somebody may have replaced or evicted it meanwhile. While the lease is held, nobody does.
            async with self._leases.hold(lease_of(blob)):
                checked = await self._checked(blob, key)
                if checked is not None and checked.fault and not self._files.is_read_only:
                    taken = await UPKEEP.run(self._quarantine.take, blob, checked.fault)
                    if taken is not None:
                        await self._quarantine.record(taken)
        if checked is None:
            await self._missing(blob, file, result)
            return 0
        result.checked += 1
        result.bytes += checked.size
        if checked.fault:
            metrics.MIRROR_VERIFIED.labels("damaged").inc()
            result.damaged.append(Problem(key, checked.fault, repair and await self._fetched_again(key)))
        else:
            await self._note(key, file, checked, result)
            return checked.size + await self._verify_symbols(key, result)
        return checked.size

    async def _verify_symbols(self, key: FileKey, result: Verified) -> int:
        """Returns the bytes read."""
        if self._symbols is None:
            return 0
        size, damaged = await self._symbols.verify(key)
        result.bytes += size
        result.damaged += [Problem(key, f"its PDB {name} was missing or changed") for name in damaged]
        return size

    async def _checked(self, blob: BlobKey, key: FileKey) -> CheckedFile | None:
        """None if there is no such file."""
        expected = self._files.expected(key)
        try:
            return await UPKEEP.run(_check, self._blobs.path(blob), key, expected)
        except FileNotFoundError:
            return None

    async def _missing(self, blob: BlobKey, file: KeptFile | None, result: Verified) -> None:
        """Evicted meanwhile, or by a process that was killed, or deleted by hand: it is fetched when it is needed."""
        if file is None or self._files.is_read_only:
            return
        async with self._leases.hold(lease_of(blob)):
            if self._blobs.stat(blob) is None:
                await self._files.remove([file])
                result.missing += 1

    async def _note(self, key: FileKey, file: KeptFile | None, checked: CheckedFile, result: Verified) -> None:
        stated = await self._stated(key)
        if stated is not None and stated != checked.sha512:
            metrics.MIRROR_VERIFIED.labels("differing").inc()
            why = "the upstream states another SHA-512"
            _log.warning("kept_package_differs", upstream=key[0], package=" ".join(key[1:]), why=why)
            result.differing.append(Problem(key, why))
        else:
            metrics.MIRROR_VERIFIED.labels("right").inc()
        now = int(self._clock())
        if self._files.is_read_only:
            return
        if file is not None and file.is_gone and await self._is_back(key):
            await self._files.mark_gone(key, gone=False)
        if file is None and checked.manifest is not None:
            committed = int(checked.modified / 1e9)
            self._inventory.add(
                KeptPackage(
                    key[0], checked.manifest, checked.size, checked.content_hash, committed, checked.modified,
                    checked.sha512, verified=now,
                )
            )  # fmt: skip
            result.added += 1
        else:
            await self._files.accept(key, checked.size, checked.modified, checked.sha512, verified=now)

    async def _stated(self, key: FileKey) -> str | None:
        side, package = self._upstreams.get(key[0]), _identity(key)
        return None if side is None or package is None else await side.stated(package)

    async def _is_back(self, key: FileKey) -> bool:
        side, package = self._upstreams.get(key[0]), _identity(key)
        return side is not None and package is not None and bool(await side.offers(package))

    async def _fetched_again(self, key: FileKey) -> bool:
        side, package = self._upstreams.get(key[0]), _identity(key)
        return side is not None and package is not None and await side.fetch_again(package)

    # --- what is to be verified ---

    async def _due(self, before: int) -> AsyncIterator[KeptFile]:
        last: KeptFile | None = None
        now = int(self._clock())
        while window := await self._files.unverified(before, now, _WINDOW, after=last):
            last = window[-1]
            for file in window:
                yield file

    async def _without_row(self) -> AsyncIterator[FileKey]:
        """Files that were copied here, or whose process was killed before their row was written."""
        walk = _tree(self._mirror, self._clock() - _ORPHAN_SECONDS, may_delete=not self._files.is_read_only)
        while batch := await UPKEEP.run(lambda: list(islice(walk, _WINDOW))):
            for key in batch:
                if self._files.expected(key) is None:
                    yield key


def _check(path: Path, key: FileKey, expected: ExpectedFile | None) -> CheckedFile:
    try:
        return check_file(path, path.with_name(f"{key[1]}.nuspec"), key, expected)
    except FileNotFoundError:
        raise
    except OSError as error:
        # A sector that cannot be read is damage to this file, not a failure of the run.
        return CheckedFile(f"it cannot be read: {error.strerror}", path.stat().st_size, 0, "")


def _tree(mirror: Path, orphans_before: float, *, may_delete: bool) -> Iterator[FileKey]:
    """The keys of all package files that can be served. Manifests and PDBs that a killed process left are removed.

    Blocks; raises StorageUnavailable."""
    with disk_failures("list the mirror"):
        for folder in mirror.glob("*/*/*"):
            upstream, lower_id, lower_version = key = folder.parts[-3], folder.parts[-2], folder.parts[-1]
            package, nuspec = folder / f"{lower_id}.{lower_version}.nupkg", folder / f"{lower_id}.nuspec"
            identity = _identity(key)
            if upstream.startswith(".") or identity is None or identity.lower_version != lower_version:
                continue  # put there by hand: never served
            if package.is_file():
                yield key
            elif may_delete and _is_left_over(folder, nuspec, orphans_before):
                nuspec.unlink(missing_ok=True)
                delete_pdbs(folder)


def _is_left_over(folder: Path, nuspec: Path, before: float) -> bool:
    """Whether the folder has no package, and its files are older than this. Raises OSError."""
    return any(each.is_file() and each.stat().st_ctime < before for each in (nuspec, *folder.glob("*.pdb")))


def _identity(key: FileKey) -> PackageIdentity | None:
    try:
        return PackageIdentity.parse(key[1], key[2])
    except InvalidRequest:
        return None


async def _keep_pace(size: int, rate: int | None, began: float) -> None:
    if rate:
        await asyncio.sleep(max(0.0, size / rate - (time.monotonic() - began)))
