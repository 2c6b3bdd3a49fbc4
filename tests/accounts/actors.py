"""Actors and facts for the tests of permissions."""

from nugetproxy.accounts.model import (
    DAY,
    Account,
    AccountKind,
    Actor,
    ApiKey,
    Role,
    Scope,
)
from nugetproxy.accounts.permissions import (
    ALLOWED,
    PackageFacts,
)
from nugetproxy.accounts.reservations import Reservation
from nugetproxy.nuget.identity import PackageId
from tests.accounts.places import NOON

ID = PackageId.parse("Contoso.Core")


def account(number: int, name: str, kind=AccountKind.USER, *, administrator=False, disabled=False) -> Account:
    return Account(number, name, kind, administrator, disabled, NOON - DAY)


ALICE = account(1, "alice")
BOBBY = account(2, "bobby")
ACME = account(3, "acme", AccountKind.ORGANIZATION)
ROOT = account(4, "root", administrator=True)


def key(owner: Account, scopes=frozenset(Scope), globs=("*",), *, expires=NOON + DAY, revoked=None) -> ApiKey:
    return ApiKey("abc", "ci", owner, None, frozenset(scopes), globs, NOON - DAY, expires, None, revoked)


def by_key(owner: Account, **differing) -> Actor:
    return Actor(f"{owner.name}/key ci", owner, key(owner, **differing), owner.is_administrator)


def by_password(user: Account, acme: Role | None = None) -> Actor:
    return Actor(user.name, user, None, user.is_administrator, {ACME.account_id: acme} if acme else {})


def facts(*, exists=True, owners=(), reservations=(), protected=True, outside=False) -> PackageFacts:
    return PackageFacts(
        ID, exists, frozenset(each.account_id for each in owners), tuple(reservations), protected, outside
    )


def reserved(*owners: Account, pattern="Contoso.*", shared=False) -> Reservation:
    return Reservation(pattern, not pattern.endswith("*"), shared, frozenset(each.account_id for each in owners))


def outcome(verdict) -> str:
    return "allowed" if verdict is ALLOWED else type(verdict.error).__name__
