"""Every decision about who may do what.

Rule 1: everything that decides between allowing and refusing is here.
Rule 2: nothing here knows a database, a request or the time; a refusal is an error, and web chooses its status.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import shorten
from typing import Final, Literal

from nugetproxy.accounts.addresses import is_within
from nugetproxy.accounts.model import Account, Actor, ApiKey, Role, Scope
from nugetproxy.accounts.reservations import Reservation
from nugetproxy.errors import Forbidden, IdReserved, NotAuthenticated, NugetproxyError
from nugetproxy.nuget.globs import EVERYTHING, any_glob_matches, globs_overlap
from nugetproxy.nuget.identity import PackageId, lower_invariant

AnonymousRead = Literal["all", "mirrored", "none"]
"""What may be read without credentials: everything, only mirrored packages, or nothing."""

KEY_NEEDED: Final = "An API key must be provided in the 'X-NuGet-ApiKey' header to use this service"
KEY_REFUSED: Final = (
    "The specified API key is invalid, has expired, or does not have permission to access the specified package."
)
"""nuget.org's words. They do not reveal whether a key is unknown, revoked or expired."""
CREDENTIALS_NEEDED: Final = "a user name and a password, or an API key as password, are needed to read here"


_OWNS_NOTHING: Final = "the command line owns no packages: push with a key of their owner"

# Refusals are sent in the status line, where about two hundred characters are safe.
_LONGEST_LIST: Final = 80


@dataclass(frozen=True, slots=True)
class Allowed:
    """The act is allowed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The act is refused; `error` is what to raise."""

    error: NugetproxyError


Verdict = Allowed | Refused
ALLOWED: Final = Allowed()


def require(verdict: Verdict) -> None:
    """Raises the error of a refusal."""
    if isinstance(verdict, Refused):
        raise verdict.error


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """The input of the rules about an id. `reservations` are those that match, the most specific first.

    `is_protected`: no upstream is ever asked about it. `is_allowed_outside`: the settings or a shared reservation allow
    it to be pushed though it is not protected. `owners` by account id; `owners_disabled`: it has owners, and all of
    them are disabled.
    """

    package_id: PackageId
    exists: bool
    owners: frozenset[int]
    reservations: tuple[Reservation, ...]
    is_protected: bool
    is_allowed_outside: bool
    owners_disabled: bool = False


@dataclass(frozen=True, slots=True)
class PushReach:
    """What an actor could push, as far as that is known before there is a package.

    `places`: globs of the ids that are protected or allowed outside, where new ones may be pushed. `owned`: the lower
    ids that belong to an account the actor acts for; read once, and last.
    """

    places: tuple[str, ...]
    reservations: tuple[Reservation, ...]
    owned: Iterable[str]


def may_read(actor: Actor, *, anonymous: AnonymousRead, hosted: bool) -> Verdict:
    """Whether the requested content may be seen. An identified actor may read with a key of any scope;
    which hosted packages: `may_read_hosted`.
    """
    if actor.key is not None and actor.key.is_verification:
        return Refused(Forbidden(f"API key '{actor.key.name}' is a verification key and cannot read"))
    if not actor.is_anonymous or anonymous == "all" or (anonymous == "mirrored" and not hosted):
        return ALLOWED
    return Refused(NotAuthenticated(CREDENTIALS_NEEDED))


def may_use_from(actor: Actor, address: str) -> Verdict:
    """Whether the actor's key may be used by a client with this address. What is no address is in no network."""
    if actor.key is None or not actor.key.networks or is_within(address, actor.key.networks):
        return ALLOWED
    return Refused(Forbidden(f"API key '{actor.key.name}' may not be used from this address, {shorten(address, 64)}"))


def may_read_hosted(actor: Actor, lower_id: str | None) -> Verdict:
    """Whether hosted packages of this id, or of any id (None), may be seen, if reading is allowed at all."""
    key = actor.key
    if key is None or not key.reads_some or (lower_id is not None and any_glob_matches(key.globs, lower_id)):
        return ALLOWED
    what = lower_id or "all packages here"
    return Refused(Forbidden(f"API key '{key.name}' may not read {what}, only {_listed(key.globs)}"))


def may_push(actor: Actor, facts: PackageFacts, now: int) -> Verdict:
    """Whether a version of this id may be pushed. `now` in unix microseconds.

    An existing id accepts versions from its owners. A new one must not be reserved for others, and must be either
    protected from upstreams or allowed by the settings: no private package shadows a public one by accident.
    """
    scopes = (Scope.PUSH, Scope.PUSH_VERSION) if facts.exists else (Scope.PUSH,)
    refused = _refused_for(actor, facts.package_id, scopes, now)
    if refused is not None:
        return refused
    if actor.account is None:
        return Refused(Forbidden(_OWNS_NOTHING))
    if facts.owners and not actor.acts_for & facts.owners:
        return _not_an_owner(actor, facts)
    if facts.exists:
        return ALLOWED if facts.owners else _not_an_owner(actor, facts)
    # Owners of an id that does not exist yet were named by an administrator, which delegates this one id to them.
    if not facts.owners and facts.reservations and not _may_use(actor, facts.reservations[0]):
        return Refused(IdReserved(facts.package_id.text, facts.reservations[0].pattern))
    if not facts.is_protected and not facts.is_allowed_outside:
        return Refused(
            Forbidden(
                f"{facts.package_id} is not below a protected prefix: only such ids may be pushed here, and those that "
                "hosting.allowed_ids names. Have its prefix reserved (nugetproxy prefix reserve)"
            )
        )
    return ALLOWED


def may_push_anything(actor: Actor, reach: PushReach, now: int, *, new_ids: bool = True) -> Verdict:
    """Whether `may_push` could allow any id at all: checked before a package is read. `now` in unix microseconds.

    Refuses only actors who can push nothing, whatever their package is. `new_ids` False: existing versions only.
    """
    scopes = (Scope.PUSH, Scope.PUSH_VERSION)
    refused = _refused_at_the_door(actor, scopes, now)
    if refused is not None:
        return refused
    if actor.account is None:
        return Refused(Forbidden(_OWNS_NOTHING))
    key = actor.key
    globs = (EVERYTHING,) if key is None else key.globs
    if new_ids and (key is None or Scope.PUSH in key.scopes) and _may_push_new(actor, globs, reach):
        return ALLOWED
    if any(any_glob_matches(globs, lower_id) for lower_id in reach.owned):
        return ALLOWED
    who = actor.account.name
    pusher = who if key is None else f"API key '{key.name}' (scope {_listed(key.scopes)}; covers {_listed(key.globs)})"
    new = ", and no such new id is protected or allowed here" if new_ids else "; push a package before its symbols"
    return Refused(Forbidden(f"{pusher} can push nothing: {who} owns no such package{new}"))


def may_unlist(actor: Actor, facts: PackageFacts, now: int) -> Verdict:
    """Whether versions of this id may be unlisted, relisted or deprecated: by its owners and by administrators."""
    refused = _refused_for(actor, facts.package_id, (Scope.UNLIST,), now)
    if refused is not None:
        return refused
    if actor.is_administrator or actor.acts_for & facts.owners:
        return ALLOWED
    return _not_an_owner(actor, facts)


def may_hard_delete(actor: Actor, package_id: PackageId | None = None, now: int = 0) -> Verdict:
    """Whether a version may be deleted permanently: by administrators, with a key only if it may unlist.

    Without `package_id` a key must cover every id; `now` is only used when it is given.
    """
    refused = _refused_for(actor, package_id, (Scope.UNLIST,), now)
    if refused is not None:
        return refused
    if actor.is_administrator:
        return ALLOWED
    return Refused(Forbidden("only administrators may delete packages permanently; unlist the version instead"))


def may_make_key(actor: Actor, owner: Account) -> Verdict:
    """Whether a user may create a key that acts for `owner`: for itself, and for an organisation as a member in any
    role, as on nuget.org; the key ends with the membership.
    """
    refused = _refused_at_the_accounts(actor)
    if refused is not None:
        return refused
    if owner.account_id in actor.acts_for:
        return ALLOWED
    return Refused(Forbidden(f"{actor.name} may not create keys for {owner.name}: only its members may"))


def may_end_key(actor: Actor, key: ApiKey) -> Verdict:
    """Whether a user may end a key: its own, and any key of an account that it manages."""
    refused = _refused_at_the_accounts(actor)
    if refused is not None:
        return refused
    if actor.account is not None and key.creator == actor.account:
        return ALLOWED
    return may_manage(actor, key.owner)


def may_manage(actor: Actor, account: Account) -> Verdict:
    """Whether an account's members and keys may be changed: by administrators, by itself, and by its administrators."""
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
    """The check for every act on accounts. Never with a key: a stolen key must not be able to create others."""
    if actor.is_anonymous:
        return Refused(NotAuthenticated("managing accounts needs a user name and a password"))
    if actor.key is not None:
        return Refused(Forbidden("an API key cannot manage accounts; use a password"))
    if actor.account is not None and actor.account.is_disabled:
        return Refused(Forbidden(f"user {actor.account.name} is disabled"))
    return None


def _refused_at_the_door(actor: Actor, scopes: tuple[Scope, ...], now: int) -> Refused | None:
    """The check for every act on packages, whatever their ids: an identified, enabled actor, with an active key of a
    suitable scope. `scopes`: any one of them is enough.
    """
    if actor.is_anonymous:
        return Refused(NotAuthenticated(KEY_NEEDED))
    if actor.account is not None and actor.account.is_disabled:
        return Refused(Forbidden(KEY_REFUSED))
    key = actor.key
    if key is None:
        return None
    if not key.is_live(now):
        return Refused(Forbidden(KEY_REFUSED))
    if not key.scopes.intersection(scopes):
        wanted = " or ".join(scopes)
        return Refused(Forbidden(f"API key '{key.name}' lacks the required scope: {wanted}"))
    return None


def _refused_for(actor: Actor, package_id: PackageId | None, scopes: tuple[Scope, ...], now: int) -> Refused | None:
    """As `_refused_at_the_door`; the key must also cover the id, or every id when none is given."""
    refused = _refused_at_the_door(actor, scopes, now)
    key = actor.key
    if refused is not None or key is None:
        return refused
    if not (EVERYTHING in key.globs if package_id is None else any_glob_matches(key.globs, package_id.lower)):
        covered = _listed(key.globs)
        return Refused(
            Forbidden(f"API key '{key.name}' does not cover {package_id or 'every package'}, it covers {covered}")
        )
    return None


def _may_push_new(actor: Actor, globs: Iterable[str], reach: PushReach) -> bool:
    """Whether new ids may be pushed somewhere that a glob matches and that is not entirely reserved for others."""
    usable = [each.glob for each in reach.reservations if _may_use(actor, each)]
    for glob, place in itertools.product(globs, reach.places):
        if not globs_overlap(glob, place):
            continue
        # Of the reservations that cover the whole overlap, the most specific one decides; unless another lies inside.
        both = max((glob, place), key=lambda each: ("*" not in each, len(each.partition("*")[0])))
        head, is_id = lower_invariant(both.partition("*")[0]), "*" not in both
        covering = [each for each in reach.reservations if (each.matches(head) if is_id else each.covers(head))]
        deciding = max(covering, key=lambda each: (each.exact, len(each.stem)), default=None)
        if deciding is None or _may_use(actor, deciding):
            return True
        if not is_id and any(globs_overlap(each, place) and globs_overlap(each, glob) for each in usable):
            return True
    return False


def _listed(texts: Iterable[str]) -> str:
    return shorten(", ".join(texts), _LONGEST_LIST, placeholder=" ...")


def _may_use(actor: Actor, reservation: Reservation) -> bool:
    return reservation.shared or bool(actor.acts_for & reservation.owners)


def _not_an_owner(actor: Actor, facts: PackageFacts) -> Refused:
    """Says what is needed, but not who the owners are."""
    who, package_id = actor.account.name if actor.account is not None else actor.name, facts.package_id
    if not facts.owners:
        why = f"{package_id} has no owner: have one added"
    elif facts.owners_disabled:
        why = f"each owner of {package_id} is disabled: have one enabled (nugetproxy user enable), or another added"
    else:
        why = f"{who} is not an owner of {package_id}: use a key of one of its owners, or have one added"
    return Refused(Forbidden(f"{why}: nugetproxy owner add {package_id} {who}"))
