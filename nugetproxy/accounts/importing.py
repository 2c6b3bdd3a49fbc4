"""Many users at once, all or none: what `user import` changes in the existing accounts.

Nothing is removed: what a file does not mention stays unchanged, so importing a file again changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from nugetproxy.accounts import members
from nugetproxy.accounts.audit import AuditEntry, insert_audit
from nugetproxy.accounts.credentials import Passwords
from nugetproxy.accounts.import_file import ImportedUser, Problem
from nugetproxy.accounts.model import AccountKind, Actor, Role, now_us
from nugetproxy.accounts.records import account_named, find_account, members_of
from nugetproxy.errors import Conflict, NugetproxyError
from nugetproxy.storage.database.base import Database, Transaction
from nugetproxy.storage.revisions import Change, Revisions
from nugetproxy.storage.telling import write_and_tell


@dataclass(slots=True)
class ImportReport:
    """The result of an import, or of a dry run. If there are `problems`, nothing was changed.

    `created` and `organizations` are names; `changed` are existing users with a changed role.
    """

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    organizations: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _Undone(Exception):
    """Rolls back a transaction whose report is still needed."""


async def import_users(
    database: Database,
    revisions: Revisions,
    users: Sequence[ImportedUser],
    *,
    passwords: Mapping[str, str] | None = None,
    dry_run: bool,
    by: Actor,
    hashing: Passwords | None = None,
    clock: Callable[[], int] = now_us,
) -> ImportReport:
    """Create missing users, and give all of them the roles in the file, in one transaction.

    A missing organisation is created if the file gives it an administrator. `passwords` by name, for exactly the users
    that are created, which a dry run lists; None: they get no password. Raises StorageUnavailable.
    """
    hashing = hashing or Passwords()
    hashes = {name: await hashing.hash(password) for name, password in (passwords or {}).items()}
    report = ImportReport()

    def work(transaction: Transaction) -> None:
        _Import(transaction, report, hashes, by, clock()).run(users)
        if passwords is not None and set(passwords) != set(report.created) and not report.problems:
            report.problems.append(Problem(1, "the accounts changed while this ran; run it again"))
        if report.problems or dry_run:
            raise _Undone

    try:
        await write_and_tell(database, work, revisions, Change.of_accounts())
    except _Undone:
        report.problems.sort(key=lambda problem: problem.line)
    return report


class _Import:
    """One transaction. Promotions come before demotions: only the final state must have an administrator."""

    def __init__(
        self, transaction: Transaction, report: ImportReport, hashes: Mapping[str, str], by: Actor, now: int
    ) -> None:
        self._transaction = transaction
        self._fetch = transaction.fetch
        self._report = report
        self._hashes = hashes
        self._by = by
        self._now = now
        self._changed: set[str] = set()

    def run(self, users: Sequence[ImportedUser]) -> None:
        known = [user for user in users if self._tried(user, self._ensure)]
        for user in known:
            if user.administrator:
                self._tried(user, self._set_administrator)
        self._create_organizations(known)
        roles = [(user, organization, role) for user in known for organization, role in user.roles.items()]
        for user, organization, role in sorted(roles, key=lambda each: each[2] is not Role.ADMINISTRATOR):
            self._tried(user, partial(self._set_role, organization=organization, role=role))
        for user in known:
            if user.administrator is False:
                self._tried(user, self._set_administrator)
        there = [user.name for user in known if user.name not in self._report.created]
        self._report.changed += [name for name in there if name in self._changed]
        self._report.unchanged += [name for name in there if name not in self._changed]

    def _tried(self, user: ImportedUser, act: Callable[[ImportedUser], None]) -> bool:
        """Whether it succeeded; otherwise the reason is added to the problems."""
        try:
            act(user)
        except NugetproxyError as error:
            self._report.problems.append(Problem(user.line, str(error)))
            return False
        return True

    def _ensure(self, user: ImportedUser) -> None:
        found = find_account(self._fetch, user.name)
        if found is not None:
            if found.kind is not AccountKind.USER:
                raise Conflict(f"{found.name} is an organisation")
            return
        hashed = self._hashes.get(user.name)
        members.insert_account(self._transaction, user.name, AccountKind.USER, self._now, hashed, False)
        self._report.created.append(user.name)
        self._audit("user.add", user.name, "with password" if hashed else "")

    def _set_administrator(self, user: ImportedUser) -> None:
        account = account_named(self._fetch, user.name)
        if account.is_administrator is not user.administrator:
            members.set_administrator(self._transaction, user.name, bool(user.administrator))
            self._changed.add(user.name)
            self._audit("user.promote" if user.administrator else "user.demote", account.name)

    def _create_organizations(self, users: Sequence[ImportedUser]) -> None:
        """The missing ones: each needs an administrator, as with `org add`."""
        named: dict[str, list[tuple[ImportedUser, str, Role]]] = {}
        for user in users:
            for organization, role in user.roles.items():
                named.setdefault(organization.lower(), []).append((user, organization, role))
        for mentions in named.values():
            first, name, _ = mentions[0]
            if find_account(self._fetch, name) is not None:
                continue
            if all(role is not Role.ADMINISTRATOR for _, _, role in mentions):
                why = f"organisation {name} does not exist; to create it, name an administrator: {name}:administrator"
                self._report.problems.append(Problem(first.line, why))
                continue
            members.insert_account(self._transaction, name, AccountKind.ORGANIZATION, self._now, None, False)
            self._report.organizations.append(name)
            self._audit("org.add", name)

    def _set_role(self, user: ImportedUser, organization: str, role: Role) -> None:
        whole, one = find_account(self._fetch, organization), account_named(self._fetch, user.name)
        if whole is None:
            return  # reported once, where it was to be created
        members.check_kinds(whole, one)
        if (one, role) not in members_of(self._fetch, whole.account_id):
            members.set_member(self._transaction, whole, one, role, self._now)
            self._changed.add(user.name)
            self._audit("org.member.add", whole.name, f"{role} {one.name}")

    def _audit(self, action: str, subject: str, detail: str = "") -> None:
        insert_audit(
            self._transaction,
            AuditEntry(self._by.name, action, subject, detail=", ".join(filter(None, (detail, "import")))),
        )
