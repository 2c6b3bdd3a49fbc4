"""Exceptions from the policy: versions that an operator allowed although a rule withholds them.

What rules withhold belongs to `feeds.policy`. Each change has its line in the audit log.
"""

from dataclasses import dataclass
from typing import Final

from nugetproxy.accounts.audit import AuditEntry, insert_audit
from nugetproxy.accounts.model import Actor, now_us
from nugetproxy.errors import InvalidRequest, InvalidVersion
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.database.base import Database, Transaction
from nugetproxy.storage.database.remembered import Remembered
from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.storage.telling import write_and_tell

LONGEST_REASON: Final = 200
_COLUMNS: Final = "lower_id, lower_version, until, because, made_by, made_at"


@dataclass(frozen=True, slots=True)
class PolicyException:
    """One allowed version. The times are in unix microseconds; `by` is the name of the actor."""

    lower_id: str
    version: NuGetVersion
    until: int
    because: str
    by: str
    at: int


class PolicyExceptions:
    """The exceptions of one data directory."""

    def __init__(self, database: Database, revisions: Revisions) -> None:
        self._database = database
        self._revisions = revisions
        self._by_id = Remembered(lambda: revisions.accounts, self._read)

    async def of_id(self, lower_id: str) -> dict[NuGetVersion, PolicyException]:
        """The exceptions of an id, also those that have ended. Raises StorageUnavailable."""
        return (await self._by_id.current()).get(lower_id, {})

    async def all(self) -> list[PolicyException]:
        """By id and version. Raises StorageUnavailable."""
        rows = await self._database.fetch(f"SELECT {_COLUMNS} FROM policy_exceptions ORDER BY lower_id, made_at")  # noqa: S608  names are ours
        found = []
        for lower_id, version, *rest in rows:
            try:
                found.append(PolicyException(lower_id, NuGetVersion.parse(version), *rest))
            except InvalidVersion:
                continue
        return found

    async def _read(self) -> dict[str, dict[NuGetVersion, PolicyException]]:
        by_id: dict[str, dict[NuGetVersion, PolicyException]] = {}
        for each in await self.all():
            by_id.setdefault(each.lower_id, {})[each.version] = each
        return by_id

    async def allow(self, package: PackageIdentity, *, until: int, because: str, by: Actor) -> PolicyException:
        """Allow a version, or change until when it is allowed. Raises InvalidRequest, StorageUnavailable."""
        because = because.strip()
        if not because or len(because) > LONGEST_REASON or not because.isprintable():
            raise InvalidRequest(f"the reason must be one line of 1 to {LONGEST_REASON} characters")
        now = now_us()
        if until <= now:
            raise InvalidRequest("the end of the exception is in the past")
        made = PolicyException(package.lower_id, package.version, until, because, by.name, now)
        row = (package.lower_id, package.lower_version, until, because, by.name, now)

        def write(transaction: Transaction) -> None:
            transaction.change(
                "INSERT INTO policy_exceptions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (lower_id, lower_version)"
                " DO UPDATE SET until = excluded.until, because = excluded.because, made_by = excluded.made_by,"
                " made_at = excluded.made_at",
                row,
            )
            insert_audit(transaction, AuditEntry(by.name, "policy.allow", str(package), detail=because))

        await write_and_tell(self._database, write, self._revisions, Change.of_accounts())
        return made

    async def revoke(self, package: PackageIdentity, *, by: Actor) -> None:
        """End an exception. Raises InvalidRequest if there is none, StorageUnavailable."""

        def write(transaction: Transaction) -> None:
            deleted = transaction.change(
                "DELETE FROM policy_exceptions WHERE lower_id = ? AND lower_version = ?",
                (package.lower_id, package.lower_version),
            )
            if not deleted:
                raise InvalidRequest(f"there is no exception for {package}; see nugetproxy policy list")
            insert_audit(transaction, AuditEntry(by.name, "policy.revoke", str(package)))

        await write_and_tell(self._database, write, self._revisions, Change.of_accounts())
