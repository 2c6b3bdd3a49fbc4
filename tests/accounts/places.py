"""A data directory of accounts for a test, with cheap password hashing."""

from collections.abc import Iterable
from pathlib import Path

from argon2 import PasswordHasher

from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.credentials import Passwords
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import DAY
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.revisions import Revisions

NOON = 1_800_000_000_000_000
"""A time in unix microseconds."""

IN_A_YEAR = NOON + 365 * DAY


def quick_passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


class Place:
    """A data directory as opened by one process. `now` is the time of its clock."""

    def __init__(
        self,
        path: Path,
        *,
        protected: Iterable[str] = (),
        allowed_ids: Iterable[str] = (),
        database: Database | None = None,
    ) -> None:
        """`database` is closed with it; None: that of the directory."""
        self.path = path
        self.now = NOON
        self.database = database or open_main_database(path)
        self.revisions = Revisions(path)
        self.directory = Directory(self.database, self.revisions, passwords=quick_passwords(), clock=lambda: self.now)
        self.ownership = Ownership(
            self.database, self.revisions, protected=protected, allowed_ids=allowed_ids, clock=lambda: self.now
        )
        self.audit = AuditLog(self.database)

    def close(self) -> None:
        self.directory.close()
        self.database.close()
        self.revisions.close()
