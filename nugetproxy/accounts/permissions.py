"""Every decision about who may do what.

Rule 1: whatever decides between allowing and refusing lives here.
Rule 2: nothing here knows a database, a request or what time it is; a refusal is an error, its status is web's affair.
"""

from dataclasses import dataclass
from textwrap import shorten
from typing import Final, Literal

from nugetproxy.accounts.globs import EVERYTHING, any_glob_matches
from nugetproxy.accounts.model import Account, Actor, ApiKey, Role, Scope
from nugetproxy.accounts.reservations import Reservation
from nugetproxy.errors import Forbidden, IdReserved, NotAuthenticated, NugetproxyError
from nugetproxy.nuget.identity import PackageId

AnonymousRead = Literal["all", "mirrored", "none"]
"""What nobody in particular may read: everything, what is mirrored but not what is hosted here, nothing."""

KEY_NEEDED: Final = "An API key must be provided in the 'X-NuGet-ApiKey' header to use this service"
KEY_REFUSED: Final = (
    "The specified API key is invalid, has expired, or does not have permission to access the specified package."
)
"""nuget.org's words. A key that is unknown, revoked or expired is told no more."""
CREDENTIALS_NEEDED: Final = "a user name and a password, or an API key as password, are needed to read here"


# Refusals travel in the status line, where some two hundred characters are safe.
_LONGEST_LIST: Final = 80


@dataclass(frozen=True, slots=True)
class Allowed:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Do not; `error` is what to raise."""

    error: NugetproxyError


Verdict = Allowed | Refused
ALLOWED: Final = Allowed()


def require(verdict: Verdict) -> None:
    """Raises the error of a refusal."""
    if isinstance(verdict, Refused):
        raise verdict.error


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What the rules must know about an id. `reservations` are those that match, the most specific first.

    `is_protected`: no upstream is ever asked about it. `is_allowed_outside`: the settings or a shared reservation
    allow it to be pushed though it is not protected. `owners` by account id; `owners_disabled`: there are some, and
    each is disabled.
    """

    package_id: PackageId
    exists: bool
    owners: frozenset[int]
    reservations: tuple[Reservation, ...]
    is_protected: bool
    is_allowed_outside: bool
    owners_disabled: bool = False


def may_read(actor: Actor, *, anonymous: AnonymousRead, hosted: bool) -> Verdict:
    """Whether what is asked may be seen. Whoever is known may read everything: also with a key of any scope."""
    if actor.key is not None and actor.key.is_verification:
        return Refused(Forbidden(f"API key '{actor.key.name}' is for one verification and reads nothing"))
    if not actor.is_anonymous or anonymous == "all" or (anonymous == "mirrored" and not hosted):
        return ALLOWED
    return Refused(NotAuthenticated(CREDENTIALS_NEEDED, "basic"))


def may_push(actor: Actor, facts: PackageFacts, now: int) -> Verdict:
    """Whether a version of this id may be added. `now` in unix microseconds.

    An existing id takes versions from its owners. A new one must not be reserved for others, and must be one that the
    upstream is never asked about or that the settings allow: no private package shadows a public one by accident.
    """
    scopes = (Scope.PUSH, Scope.PUSH_VERSION) if facts.exists else (Scope.PUSH,)
    refused = _refused_at_the_door(actor, facts.package_id, scopes, now)
    if refused is not None:
        return refused
    if actor.account is None:
        return Refused(Forbidden("the command line owns no packages: push with a key of their owner"))
    if facts.owners and not actor.acts_for & facts.owners:
        return _not_an_owner(actor, facts)
    if facts.exists:
        return ALLOWED if facts.owners else _not_an_owner(actor, facts)
    # Owners of an id that does not exist yet were named by an administrator: that is a delegation of this one id.
    if not facts.owners and facts.reservations and not _may_use(actor, facts.reservations[0]):
        return Refused(IdReserved(facts.package_id.text, facts.reservations[0].pattern))
    if not facts.is_protected and not facts.is_allowed_outside:
        return Refused(
            Forbidden(
                f"{facts.package_id} lies under no protected prefix, and only such ids may be pushed here "
                "unless hosting.allowed_ids names them: have its prefix reserved (nugetproxy prefix reserve)"
            )
        )
    return ALLOWED


def may_unlist(actor: Actor, facts: PackageFacts, now: int) -> Verdict:
    """Whether versions of this id may be unlisted, relisted or deprecated: by its owners and by administrators."""
    refused = _refused_at_the_door(actor, facts.package_id, (Scope.UNLIST,), now)
    if refused is not None:
        return refused
    if actor.is_administrator or actor.acts_for & facts.owners:
        return ALLOWED
    return _not_an_owner(actor, facts)


def may_hard_delete(actor: Actor, package_id: PackageId | None = None, now: int = 0) -> Verdict:
    """Whether a version may be taken away for good: by administrators, with a key only when it may unlist.

    Without `package_id` a key must cover every id; `now` is looked at when it is given.
    """
    refused = _refused_at_the_door(actor, package_id, (Scope.UNLIST,), now)
    if refused is not None:
        return refused
    if actor.is_administrator:
        return ALLOWED
    return Refused(Forbidden("only administrators delete packages for good; unlist the version instead"))


def may_make_key(actor: Actor, owner: Account) -> Verdict:
    """Whether a user may have a key that acts for `owner`: for itself, and for an organisation as a member of whatever
    role, as on nuget.org; the key ends with the membership.
    """
    refused = _refused_at_the_accounts(actor)
    if refused is not None:
        return refused
    if owner.account_id in actor.acts_for:
        return ALLOWED
    return Refused(Forbidden(f"{actor.name} may not make keys for {owner.name}: only its members may"))


def may_end_key(actor: Actor, key: ApiKey) -> Verdict:
    """Whether a user may end a key: its own, and any key of an account that it manages."""
    refused = _refused_at_the_accounts(actor)
    if refused is not None:
        return refused
    if actor.account is not None and key.creator == actor.account:
        return ALLOWED
    return may_manage(actor, key.owner)


def may_manage(actor: Actor, account: Account) -> Verdict:
    """Whether an account's members and keys may be changed: by administrators, itself, and its administrators."""
    refused = _refused_at_the_accounts(actor)
    if refused is not None:
        return refused
    if actor.is_administrator or (actor.account is not None and actor.account.account_id == account.account_id):
        return ALLOWED
    if actor.memberships.get(account.account_id) is Role.ADMINISTRATOR:
        return ALLOWED
    return Refused(Forbidden(f"only its administrators may manage {account.name}"))


def first_owner(actor: Actor, facts: PackageFacts) -> int:
    """The account that owns a new id after `may_push` allowed it.

    The actor's own account; with a password and below a reservation of the user's organisation, the organisation.
    """
    assert actor.account is not None
    own = actor.account.account_id
    if actor.key is None and facts.reservations:
        owners = facts.reservations[0].owners & actor.acts_for
        if owners and own not in owners:
            return min(owners)
    return own


def _refused_at_the_accounts(actor: Actor) -> Refused | None:
    """What holds for every act on accounts. Never by a key: whoever steals one must not be able to make more of it."""
    if actor.is_anonymous:
        return Refused(NotAuthenticated("a user name and a password are needed to manage accounts", "basic"))
    if actor.key is not None:
        return Refused(Forbidden("API keys do not manage accounts; use a password"))
    if actor.account is not None and actor.account.is_disabled:
        return Refused(Forbidden(f"user {actor.account.name} is disabled"))
    return None


def _refused_at_the_door(
    actor: Actor, package_id: PackageId | None, scopes: tuple[Scope, ...], now: int
) -> Refused | None:
    """What holds for every act on packages: somebody known, not disabled, with a live key of a fitting scope and glob.

    `scopes`: any one of them is enough.
    """
    if actor.is_anonymous:
        return Refused(NotAuthenticated(KEY_NEEDED, "key"))
    if actor.account is not None and actor.account.is_disabled:
        return Refused(Forbidden(KEY_REFUSED))
    key = actor.key
    if key is None:
        return None
    if not key.is_live(now):
        return Refused(Forbidden(KEY_REFUSED))
    if not key.scopes.intersection(scopes):
        wanted = " or ".join(scopes)
        return Refused(Forbidden(f"API key '{key.name}' has not the scope {wanted} that this needs"))
    if not (EVERYTHING in key.globs if package_id is None else any_glob_matches(key.globs, package_id.lower)):
        covered = shorten(", ".join(key.globs), _LONGEST_LIST, placeholder=" ...")
        return Refused(
            Forbidden(f"API key '{key.name}' does not cover {package_id or 'every package'}, it covers {covered}")
        )
    return None


def _may_use(actor: Actor, reservation: Reservation) -> bool:
    return reservation.shared or bool(actor.acts_for & reservation.owners)


def _not_an_owner(actor: Actor, facts: PackageFacts) -> Refused:
    """Says what would be right, and not who the owners are."""
    who, package_id = actor.account.name if actor.account is not None else actor.name, facts.package_id
    if not facts.owners:
        why = f"{package_id} has no owner: have one added"
    elif facts.owners_disabled:
        why = f"each owner of {package_id} is disabled: have one enabled (nugetproxy user enable), or another added"
    else:
        why = f"{who} is not an owner of {package_id}: use a key of one of its owners, or have one added"
    return Refused(Forbidden(f"{why}: nugetproxy owner add {package_id} {who}"))
