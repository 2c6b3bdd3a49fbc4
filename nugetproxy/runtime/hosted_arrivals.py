"""Publishing the hosted packages of a bundle: verified by `mirroring`, taken over by `hosting` as from any server."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import Account, Actor
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.config import Config
from nugetproxy.errors import InvalidBundle, TooLarge
from nugetproxy.executors.threads import DISK
from nugetproxy.feeds.offers import FileKind, History, Offer, plausible_date
from nugetproxy.hosting.moving_in.report import Report
from nugetproxy.hosting.moving_in.run import MovingIn
from nugetproxy.mirroring.bundle.manifest import HostedFacts, Kind
from nugetproxy.mirroring.bundle.receiving import HostedFile
from nugetproxy.nuget.identity import PackageId
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.runtime.moving_in_parts import receiver
from nugetproxy.runtime.stores import MainStores
from nugetproxy.storage.spool import BLOCK, Spool, disk_failures

_PARALLEL = 4


class StagedFiles:
    """The hosted packages of a bundle, as a source that is being left (`hosting.moving_in`)."""

    def __init__(self, files: Sequence[HostedFile], bundle: str) -> None:
        self.name = f"bundle {bundle}"
        self._files = {each.entry.path: each for each in files}

    async def offers(self) -> AsyncIterator[Offer]:
        """Raises InvalidBundle."""
        for place, file in self._files.items():
            entry = file.entry
            kind = FileKind.PACKAGE if entry.kind is Kind.HOSTED_PACKAGE else FileKind.SYMBOLS
            yield Offer(place, kind, entry.identity, _history(file.facts, self.name), entry.size, entry.sha512)

    def local(self, offer: Offer) -> Path:
        return self._files[offer.place].path

    async def copy(self, offer: Offer, spool: Spool, limit: int) -> None:
        """See `Source`."""
        if (offer.size or 0) > limit:
            raise TooLarge(offer.place, limit)
        await DISK.run(_copy, self.local(offer), spool)


async def publish_hosted(
    files: Sequence[HostedFile],
    bundle: str,
    *,
    config: Config,
    path: Path,
    stores: MainStores,
    ownership: Ownership,
    audit: AuditLog,
    directory: Directory,
    by: Actor,
    owner: str,
) -> Report:
    """Push them, each as the first of its owners that has an account here, or as `owner` (empty: none).

    The other owners with accounts here become owners of ids that are new here; others keep the owners that they have.
    Versions that are here are skipped, so it can be repeated.

    Raises AccountNotFound, InvalidBundle, StorageUnavailable.
    """
    usable = {each.name.lower(): each for each in await directory.accounts() if not each.is_disabled}
    actor_for = await _actors(files, directory, usable, by, owner)
    parts = receiver(config, path, stores, ownership, audit, parallel=_PARALLEL)
    owners = {PackageId.parse(each.facts.id).lower: each.facts.owners for each in files}
    new = [lower_id for lower_id in owners if not await ownership.owners(lower_id)]
    async with parts as to:
        report = await MovingIn(StagedFiles(files, bundle), to, actor_for, parallel=_PARALLEL).run()
    for lower_id in new:
        known = {account.account_id for account in await ownership.owners(lower_id)}
        accounts = [account for name in owners[lower_id] if (account := usable.get(name.lower())) is not None]
        for account in accounts if known else ():  # nobody owns an id that was refused
            if account.account_id not in known:
                await ownership.add_owner(lower_id, account, by=by)
    return report


async def _actors(
    files: Sequence[HostedFile], directory: Directory, usable: Mapping[str, Account], by: Actor, owner: str
) -> Callable[[PackageId], Actor | None]:
    """Who pushes an id. `usable`: the accounts that are not disabled, by lower-case name."""
    otherwise = await directory.account(owner) if owner else None
    chosen: dict[str, Account | None] = {}
    for file in files:
        found = (usable[name.lower()] for name in file.facts.owners if name.lower() in usable)
        chosen.setdefault(PackageId.parse(file.facts.id).lower, next(found, otherwise))
    actors = {each: await _acting(each, directory, by) for each in set(chosen.values()) if each is not None}

    def actor_for(package_id: PackageId) -> Actor | None:
        account = chosen.get(package_id.lower)
        return None if account is None else actors[account]

    return actor_for


async def _acting(account: Account, directory: Directory, by: Actor) -> Actor:
    actor = await directory.actor_of(account)
    return replace(actor, name=f"{by.name} for {account.name}", is_administrator=False)


def _history(facts: HostedFacts, where: str) -> History:
    """Raises InvalidBundle."""
    try:
        deprecation = Deprecation.from_dict(orjson.loads(facts.deprecation)) if facts.deprecation else None
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidBundle(where, f"the deprecation of {facts.id} {facts.version} cannot be read: {error}") from None
    return History(plausible_date(facts.published), facts.listed, deprecation, max(0, facts.downloads))


def _copy(path: Path, spool: Spool) -> None:
    with disk_failures("read the staging area of an import"), path.open("rb") as file:
        while block := file.read(BLOCK):
            spool.append(block)
