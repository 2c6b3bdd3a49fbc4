"""Take over the packages of another server: push each file that `plan` chose by the same act as a client's push.

Rule 1: what a source says about a file is checked against the file: identity, size, hash. Nothing is published under a
name that its bytes do not have.
Rule 2: a version that is here is never replaced. So a run that was interrupted is continued by running it again.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nugetproxy.accounts.model import Actor
from nugetproxy.errors import (
    DocumentAbsent,
    Forbidden,
    IdReserved,
    InvalidPackage,
    NotAuthenticated,
    NugetproxyError,
    PackageExists,
    PackageNotFound,
    PartNotFound,
    StorageUnavailable,
    TooLarge,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
    VersionBurnt,
    VersionNotFound,
)
from nugetproxy.executors.base import Executor
from nugetproxy.executors.threads import DISK
from nugetproxy.feeds.base import LocalFile
from nugetproxy.feeds.offers import FileKind, Offer
from nugetproxy.hosting.inspection import Rules, identify, inspect
from nugetproxy.hosting.moving_in.plan import Found, chosen_of, gathered, together
from nugetproxy.hosting.moving_in.report import Outcome, Report, Row, in_order
from nugetproxy.hosting.moving_in.selection import Selection
from nugetproxy.hosting.moving_in.source import Source
from nugetproxy.hosting.packages import HostedPackages
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.symbols import Symbols
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.storage.spool import Spool, SpoolFolder

# In the audit log, acts by a command have no address.
_HERE: Final = ""
# After so many requests in a row without an answer, a source is taken to be gone: each costs a minute of retries.
_MOST_UNANSWERED: Final = 10


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """Sizes in bytes."""

    archive: ArchiveLimits
    package_size: int
    symbols_size: int

    def of(self, kind: FileKind) -> int:
        return self.package_size if kind is FileKind.PACKAGE else self.symbols_size


@dataclass(frozen=True, slots=True)
class Receiver:
    """The parts of the data directory that receives. `rules` are those that `publish` applies."""

    publish: Publish
    symbols: Symbols
    packages: HostedPackages
    spools: SpoolFolder
    inspection: Executor
    limits: ImportLimits
    rules: Rules


class _Refused(Exception):
    """A file is not taken over; `kind` is a word for scripts."""

    def __init__(self, kind: str, why: str) -> None:
        self.kind = kind
        super().__init__(why)


class MovingIn:
    """One run."""

    def __init__(
        self,
        source: Source,
        to: Receiver,
        actor_for: Callable[[PackageId], Actor | None],
        *,
        selection: Selection = Selection(),  # noqa: B008 - frozen
        parallel: int = 8,
        dry_run: bool = False,
        planned: Callable[[int], None] = lambda _: None,
        advanced: Callable[[Row], None] = lambda _: None,
    ) -> None:
        """`actor_for` returns who pushes an id: the account that gets it; None if nobody is named for it.

        `planned` is called with the number of files that will be looked at, `advanced` after each.
        """
        self._source = source
        self._to = to
        self._actor_for = actor_for
        self._selection = selection
        self._turns = asyncio.Semaphore(parallel)
        self._dry_run = dry_run
        self._planned = planned
        self._advanced = advanced
        self._rows: list[Row] = []
        self._unanswered = 0

    async def run(self) -> Report:
        """Raises StorageUnavailable, and what `Source.offers` raises; what was imported until then stays."""
        found = await gathered(self._source, self._identified, self._tell)
        chosen = chosen_of(found, self._selection, self._tell)
        self._planned(sum(map(len, chosen)))
        await together(self._import_id(offers) for offers in chosen)
        return Report(self._source.name, self._dry_run, in_order(self._rows))

    # --- one id -------------------------------------------------------------------------------------------------------

    async def _identified(self, path: Path) -> PackageIdentity:
        """What a file on this machine contains. Raises InvalidPackage, StorageUnavailable."""
        async with self._turns:
            return await self._to.inspection.run(identify, path, self._to.limits.archive)

    async def _import_id(self, offers: list[Found]) -> None:
        actor = self._actor_for(offers[0][0].id)
        offered: dict[PackageIdentity, Row] = {}
        for package, offer in offers:
            async with self._turns:
                row = await self._imported(actor, package, offer, offered)
            if offer.kind is FileKind.PACKAGE:
                offered.setdefault(package, row)
            self._tell(row)

    async def _imported(
        self, actor: Actor | None, package: PackageIdentity, offer: Offer, offered: dict[PackageIdentity, Row]
    ) -> Row:
        """What became of one file."""
        owner = actor.account.name if actor is not None and actor.account is not None else ""
        row = Row(offer, package, Outcome.IMPORTED, owner=owner, size=offer.size or 0, notes=offer.notes)
        try:
            if (kept := await self._kept(package, offer)) is not None:
                return replace(row, outcome=Outcome.KEPT, why=kept, kind="kept")
            if actor is None:
                why = f"no account here is named as the owner of {package.id}: create one, or use --owner"
                raise _Refused("no_owner", why)
            if offer.kind is FileKind.PACKAGE:
                await self._to.publish.judge_push(actor, package)
            if not self._dry_run:
                return await self._pushed(actor, row)
            if offer.kind is FileKind.SYMBOLS and self._source.local(offer) is None:
                return replace(row, outcome=Outcome.LEFT_OUT, why="symbols are looked for only in an import")
            if (before := offered.get(package)) is not None and offer.kind is FileKind.PACKAGE:
                return await self._second(row, before)
            if (
                offer.kind is FileKind.SYMBOLS
                and package not in offered
                and await self._to.packages.find(package) is None
            ):
                raise VersionNotFound(package.id.text, package.version.normalized, "symbols need their package")
            return await self._examined(row)
        except _Refused as refused:
            return replace(row, outcome=Outcome.REFUSED, why=str(refused), kind=refused.kind)
        except StorageUnavailable:
            raise
        except VersionBurnt as error:
            return replace(row, outcome=Outcome.REFUSED, why=str(error), kind=_kind(error))
        except PackageExists:  # somebody else was faster: another import, or a client
            return await self._exists(row)
        except DocumentAbsent as error:
            if offer.kind is FileKind.SYMBOLS:
                return replace(row, outcome=Outcome.LEFT_OUT, why="it has no symbols", kind="no_symbols")
            return replace(row, outcome=Outcome.REFUSED, why=str(error), kind=_kind(error))
        except NugetproxyError as error:
            remedy = f"; {error.remedy}" if isinstance(error, UpstreamError) and error.remedy else ""
            return replace(row, outcome=Outcome.REFUSED, why=f"{error}{remedy}", kind=_kind(error))

    async def _kept(self, package: PackageIdentity, offer: Offer) -> str | None:
        """Why nothing needs to be done: these bytes are here. Raises _Refused when other bytes are; None for none."""
        if offer.kind is FileKind.SYMBOLS:
            with suppress(PackageNotFound, VersionNotFound, PartNotFound):
                file = await self._to.symbols.snupkg(package)
                if not isinstance(file, LocalFile):
                    raise StorageUnavailable("there is no room on the disk for the symbols to compare with")
                if await self._differs(offer, await DISK.run(_sha512, file.path), file.size):
                    raise _Refused("different_bytes", f"other symbols of {package} are here; they are not replaced")
                return "its symbols are here already"
            return None
        there = await self._to.packages.find_content(package)
        if there is None:
            return None
        if await self._differs(offer, there.sha512, there.size):
            raise _Refused("different_bytes", f"{package} is here with different bytes; a version is never replaced")
        is_compared = offer.sha512 or self._source.local(offer) is not None
        return "it is here already" if is_compared else "it is here already; the source states no hash to compare"

    async def _exists(self, row: Row) -> Row:
        """For a version that came in while we were about to push it: the same bytes, or others."""
        assert row.package is not None, "only files with an identity are pushed"
        try:
            kept = await self._kept(row.package, row.offer)
        except _Refused as refused:
            return replace(row, outcome=Outcome.REFUSED, why=str(refused), kind=refused.kind)
        return replace(row, outcome=Outcome.KEPT, why=kept or "it was here a moment ago", kind="kept")

    async def _differs(self, offer: Offer, sha512: str, size: int) -> bool:
        """Whether a file is known to differ from one that is here: by all that can be known without fetching it."""
        if offer.size is not None and offer.size != size:
            return True
        if offer.sha512:
            return offer.sha512 != sha512
        path = self._source.local(offer)
        return path is not None and await self._hash_of(path) != sha512

    async def _hash_of(self, path: Path) -> str:
        try:
            return await DISK.run(_sha512, path)
        except OSError as error:
            raise _Refused("unreadable", f"it cannot be read: {error.strerror}") from error

    async def _examined(self, row: Row) -> Row:
        """For a dry run: what `_pushed` would find, as far as that can be known without copying the file."""
        path = self._source.local(row.offer)
        if path is None or row.offer.kind is FileKind.SYMBOLS:
            return row
        try:
            size = (await DISK.run(path.stat)).st_size
        except OSError as error:
            raise _Refused("unreadable", f"it cannot be read: {error.strerror}") from error
        self._check_size(row.offer, size)
        found = await self._to.inspection.run(inspect, path, self._to.limits.archive, self._to.rules)
        self._check(row, found.identity, size, await self._hash_of(path) if row.offer.sha512 else "")
        return replace(row, size=size, notes=(*row.notes, *found.warnings))

    async def _second(self, row: Row, before: Row) -> Row:
        """For a dry run: a file of a version that another file has."""
        one, other = self._source.local(row.offer), self._source.local(before.offer)
        if one is not None and other is not None and await self._hash_of(one) == await self._hash_of(other):
            return replace(row, outcome=Outcome.KEPT, why=f"it is the same file as {before.offer.place}", kind="kept")
        raise _Refused("different_bytes", f"{before.offer.place} has the same id and version, with different bytes")

    async def _pushed(self, actor: Actor, row: Row) -> Row:
        offer, package = row.offer, row.package
        assert package is not None, "only files with an identity are pushed"
        spool = await DISK.run(self._to.spools.create, "import")
        try:
            await self._copy(offer, spool)
            path = spool.path
            assert path is not None, "a package is spooled on disk"
            actual = await self._to.inspection.run(identify, path, self._to.limits.archive)
            self._check(row, actual, spool.size, base64.b64encode(spool.sha512).decode())
            size = spool.size
            if offer.kind is FileKind.SYMBOLS:
                pushed = await self._to.symbols.push(actor, spool, address=_HERE)
                return replace(row, size=size, notes=(*row.notes, *pushed.warnings))
            done = await self._to.publish.push(
                actor, spool, address=_HERE, history=offer.history, origin=f"from {self._source.name}"
            )
            return replace(row, size=size, notes=(*row.notes, *done.warnings))
        finally:
            spool.end()

    async def _copy(self, offer: Offer, spool: Spool) -> None:
        limit = self._to.limits.of(offer.kind)
        self._check_size(offer, offer.size or 0)
        if self._unanswered >= _MOST_UNANSWERED:
            raise _Refused("not_fetched", "the source does not answer any more")
        try:
            await self._source.copy(offer, spool, limit)
        except (UpstreamUnavailable, UpstreamTimeout):
            self._unanswered += 1
            raise
        self._unanswered = 0

    def _check_size(self, offer: Offer, size: int) -> None:
        limit = self._to.limits.of(offer.kind)
        if size > limit:
            setting = "max_package_size" if offer.kind is FileKind.PACKAGE else "max_symbols_size"
            raise _Refused("too_large", f"it has {size} bytes, more than the limit of {limit} (hosting.{setting})")

    def _check(self, row: Row, actual: PackageIdentity, size: int, sha512: str) -> None:
        """Raises _Refused when the file is not what the source says it is."""
        offer = row.offer
        if actual != row.package:
            raise _Refused(
                "another_package", f"the source says that it is {row.package}, but the file contains {actual}"
            )
        if offer.size is not None and offer.size != size:
            raise _Refused("damaged", f"the source says that it has {offer.size} bytes; it has {size}")
        if offer.sha512 and offer.sha512 != sha512:
            raise _Refused("damaged", "its hash (SHA-512) is not the one that the source states")

    def _tell(self, row: Row) -> None:
        self._rows.append(row)
        self._advanced(row)


def _sha512(path: Path) -> str:
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()


def _kind(error: NugetproxyError) -> str:
    kinds: tuple[tuple[type[NugetproxyError], str], ...] = (
        (VersionBurnt, "deleted"),
        (PackageExists, "different_bytes"),
        (InvalidPackage, "invalid"),
        (TooLarge, "too_large"),
        (UpstreamError, "not_fetched"),
        (DocumentAbsent, "not_fetched"),
        (VersionNotFound, "no_package"),
        (PackageNotFound, "no_package"),
        (NotAuthenticated, "not_allowed"),
        (Forbidden, "not_allowed"),
        (IdReserved, "not_allowed"),
    )
    return next((word for kind, word in kinds if isinstance(error, kind)), "failed")
