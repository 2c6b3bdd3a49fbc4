"""The owners of ids: owners of packages, reserved prefixes, and so which ids are protected.

The rules themselves are in `reservations` and `permissions`; this module has the tables and their cache in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nugetproxy.accounts import records
from nugetproxy.accounts.audit import AuditEntry, insert_audit
from nugetproxy.accounts.model import COMMAND_LINE, Account, Actor, now_us
from nugetproxy.accounts.permissions import PackageFacts, PushReach
from nugetproxy.accounts.reservations import (
    ProtectedPrefixes,
    Reservation,
    check_breadth,
    most_specific_first,
    parse_pattern,
    protected_prefixes,
)
from nugetproxy.errors import Conflict, Forbidden
from nugetproxy.executors.slices import in_slices
from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.identity import PackageId, lower_invariant
from nugetproxy.protocol.steps import Steps
from nugetproxy.storage.database.base import Database, Fetch, Rows, Transaction
from nugetproxy.storage.database.lists import listed, padded
from nugetproxy.storage.database.remembered import Remembered
from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.storage.telling import write_and_tell

_RESERVED: Final = (
    "SELECT r.pattern, r.is_exact, r.is_shared, o.account_id FROM reservations r "
    "LEFT JOIN reservation_owners o USING (lower_pattern) ORDER BY r.lower_pattern, o.account_id"
)


@dataclass(frozen=True, slots=True)
class _Reserved:
    """The reservations, and what they protect; `rows` are those they were read from."""

    rows: Rows
    reservations: tuple[Reservation, ...]
    protected: ProtectedPrefixes


class Ownership:
    """The owners and prefixes of one database. `by` is the actor, for the audit log; the caller checks permissions.

    Every method may raise StorageUnavailable.
    """

    def __init__(
        self,
        database: Database,
        revisions: Revisions,
        *,
        protected: Iterable[str] = (),
        allowed_ids: Iterable[str] = (),
        clock: Callable[[], int] = now_us,
    ) -> None:
        """`protected`: prefixes protected by the settings; `allowed_ids`: ids and globs that may also be pushed."""
        self._database = database
        self._revisions = revisions
        self._settings = tuple(protected)
        self._allowed_ids = tuple(allowed_ids)
        self._clock = clock
        self._reserved = _Reserved([], (), protected_prefixes(self._settings, ()))
        self._current = Remembered(lambda: revisions.accounts, self._read)

    # --- owners ---

    async def owners(self, lower_id: str) -> tuple[Account, ...]:
        """By name; empty for an id without owners."""
        return await self._database.look(lambda fetch: records.owners_of(fetch, lower_id))

    async def add_owner(self, lower_id: str, account: Account, *, by: Actor = COMMAND_LINE) -> None:
        """All owners have the same rights. An owner of an id that does not exist yet may push it, even if its prefix is
        reserved for others.
        """
        await self._change(
            lambda transaction: self._insert_owner(transaction, lower_id, account.account_id),
            AuditEntry(by.name, "owner.add", lower_id, detail=account.name),
        )

    async def remove_owner(
        self, lower_id: str, account: Account, *, force: bool = False, by: Actor = COMMAND_LINE
    ) -> None:
        """Raises Conflict when the account is not an owner, or is the last one and `force` is not given."""

        def work(transaction: Transaction) -> None:
            owners = _owner_ids(transaction, lower_id)
            if account.account_id not in owners:
                raise Conflict(f"{account.name} is not an owner of {lower_id}")
            if len(owners) == 1 and not force:
                raise Conflict(f"{account.name} is the last owner of {lower_id}; add another first, or use --force")
            transaction.change(
                "DELETE FROM package_owners WHERE lower_id = ? AND account_id = ?", (lower_id, account.account_id)
            )

        await self._change(work, AuditEntry(by.name, "owner.remove", lower_id, detail=account.name))

    def add_first_owner(self, transaction: Transaction, lower_id: str, account_id: int) -> None:
        """Part of the write that creates a new id. Raises Forbidden if others have become owners since the check."""
        owners = _owner_ids(transaction, lower_id)
        if owners and account_id not in owners:
            raise Forbidden(f"{lower_id} now belongs to another owner, who was first")
        self._insert_owner(transaction, lower_id, account_id)

    # --- prefixes ---

    async def reservations(self) -> tuple[Reservation, ...]:
        """By pattern."""
        return (await self._current.current()).reservations

    async def reserve(
        self, pattern: str, owner: Account, shared: bool | None = None, *, wide: bool = False, by: Actor = COMMAND_LINE
    ) -> Reservation:
        """Reserve a prefix (`Contoso.*`) or an id; an existing reservation gets another owner.

        `shared`: None leaves it unchanged, which is not shared for a new one. `wide`: it may end inside a word. Raises
        InvalidRequest.
        """
        text, exact = parse_pattern(pattern)
        check_breadth(text, exact, wide=wide)
        lower = lower_invariant(text)

        def work(transaction: Transaction) -> None:
            transaction.change(
                "INSERT INTO reservations (lower_pattern, pattern, is_exact, is_shared, created) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (lower_pattern) DO NOTHING",
                (lower, text, exact, bool(shared), self._clock()),
            )
            if shared is not None:
                transaction.change("UPDATE reservations SET is_shared = ? WHERE lower_pattern = ?", (shared, lower))
            transaction.change(
                "INSERT INTO reservation_owners VALUES (?, ?) ON CONFLICT DO NOTHING", (lower, owner.account_id)
            )

        detail = owner.name + {None: "", True: ", shared", False: ", not shared"}[shared]
        await self._change(work, AuditEntry(by.name, "prefix.reserve", text, detail=detail))
        return next(each for each in await self.reservations() if lower_invariant(each.pattern) == lower)

    async def release(self, pattern: str, owner: Account | None = None, *, by: Actor = COMMAND_LINE) -> None:
        """End a reservation, whatever owners it has, or remove one of its owners.

        Raises InvalidRequest, Conflict when it is not reserved, not for this owner, or only for this owner.
        """
        text, _ = parse_pattern(pattern)
        lower = lower_invariant(text)

        def work(transaction: Transaction) -> None:
            if not transaction.fetch("SELECT 1 FROM reservations WHERE lower_pattern = ?", (lower,)):
                raise Conflict(f"{text} is not reserved")
            if owner is None:
                transaction.change("DELETE FROM reservations WHERE lower_pattern = ?", (lower,))
                return
            rows = transaction.fetch("SELECT account_id FROM reservation_owners WHERE lower_pattern = ?", (lower,))
            owners = {row[0] for row in rows}
            if owner.account_id not in owners:
                raise Conflict(f"{text} is not reserved for {owner.name}")
            if len(owners) == 1:
                raise Conflict(
                    f"{text} is reserved for {owner.name} alone: reserve it for another account first, or release it "
                    "without --owner"
                )
            transaction.change(
                "DELETE FROM reservation_owners WHERE lower_pattern = ? AND account_id = ?", (lower, owner.account_id)
            )

        await self._change(work, AuditEntry(by.name, "prefix.release", text, detail=owner.name if owner else ""))

    async def protected(self) -> ProtectedPrefixes:
        """The ids that no upstream is asked about, as of now. Costs a read of shared memory when nothing changed."""
        return (await self._current.current()).protected

    # --- derived facts: read with `fetch`, which is that of a transaction or of `Database.look` ---

    def facts(self, fetch: Fetch, package_id: PackageId, exists: bool) -> PackageFacts:
        """The input of the permission rules. `exists`: whether any version of the id is hosted here."""
        lower = package_id.lower
        reserved = self._derived(fetch(_RESERVED, ()))
        matching = most_specific_first(reserved.reservations, lower)
        owners = records.owners_of(fetch, lower)
        return PackageFacts(
            package_id=package_id,
            exists=exists,
            owners=frozenset(owner.account_id for owner in owners),
            reservations=matching,
            is_protected=reserved.protected.covers(lower),
            # Sharing a prefix allows packages to be pushed under it.
            is_allowed_outside=any_glob_matches(self._allowed_ids, lower) or bool(matching and matching[0].shared),
            owners_disabled=bool(owners) and all(owner.is_disabled for owner in owners),
        )

    def reach(self, fetch: Fetch, actor: Actor) -> PushReach:
        """The input of `may_push_anything` for an actor. Owned ids are read only when needed."""
        reserved = self._derived(fetch(_RESERVED, ()))
        return PushReach(
            places=(
                *(f"{prefix}*" for prefix in reserved.protected.prefixes),
                *reserved.protected.exact,
                *self._allowed_ids,
                *(each.glob for each in reserved.reservations if each.shared),
            ),
            reservations=reserved.reservations,
            owned=_owned(fetch, actor),
        )

    async def verified_among(self, lower_ids: Iterable[str]) -> frozenset[str]:
        """Those for which search shows the check mark: an owner of the package owns a reservation that covers it."""
        holders = await in_slices(_holders(await self.reservations(), lower_ids))
        if not holders:
            return frozenset()
        wanted = padded(holders)
        owners = await self._database.fetch(
            f"SELECT lower_id, account_id FROM package_owners WHERE lower_id IN {listed(wanted)}",  # noqa: S608  parameters
            wanted,
        )
        return frozenset(lower_id for lower_id, account_id in owners if account_id in holders[lower_id])

    # --- tables ---

    async def _read(self) -> _Reserved:
        return self._derived(await self._database.fetch(_RESERVED))

    def _derived(self, rows: Rows) -> _Reserved:
        # Every push reads these rows; what follows from them is computed only when they differ.
        reserved = self._reserved
        if rows == reserved.rows:
            return reserved
        owners: dict[tuple[str, bool, bool], set[int]] = {}
        for pattern, exact, shared, account_id in rows:
            owners.setdefault((pattern, bool(exact), bool(shared)), set()).update({account_id} - {None})
        reservations = tuple(Reservation(*key, frozenset(ids)) for key, ids in owners.items())
        reserved = self._reserved = _Reserved(rows, reservations, protected_prefixes(self._settings, reservations))
        return reserved

    async def _change(self, work: Callable[[Transaction], Any], entry: AuditEntry) -> None:
        def whole(transaction: Transaction) -> None:
            work(transaction)
            insert_audit(transaction, entry)

        # Owners and check marks are shown with hosted packages.
        await write_and_tell(self._database, whole, self._revisions, Change.of_accounts() | Change.of_hosting())

    def _insert_owner(self, transaction: Transaction, lower_id: str, account_id: int) -> None:
        transaction.change_later(
            "INSERT INTO package_owners (lower_id, account_id, added) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (lower_id, account_id, self._clock()),
        )


def _holders(reservations: Sequence[Reservation], lower_ids: Iterable[str]) -> Steps[dict[str, set[int]]]:
    """The accounts that own a reservation that covers the id; without the ids that have none."""
    found: dict[str, set[int]] = {}
    for lower_id in lower_ids:
        if accounts := {owner for each in reservations if each.matches(lower_id) for owner in each.owners}:
            found[lower_id] = accounts
        yield
    return found


def _owner_ids(transaction: Transaction, lower_id: str) -> frozenset[int]:
    rows = transaction.fetch("SELECT account_id FROM package_owners WHERE lower_id = ?", (lower_id,))
    return frozenset(row[0] for row in rows)


def _owned(fetch: Fetch, actor: Actor) -> Iterator[str]:
    yield from records.owned_by(fetch, actor.acts_for)
