"""Pushing, unlisting and deleting: every combination of actor, key and id."""

import itertools
from typing import NamedTuple

import pytest

from nugetproxy.accounts.model import (
    ANONYMOUS,
    COMMAND_LINE,
    Account,
    Actor,
    Role,
    Scope,
)
from nugetproxy.accounts.permissions import (
    PackageFacts,
    may_hard_delete,
    may_push,
    may_unlist,
)
from tests.accounts.actors import ACME, ALICE, BOBBY, ID, ROOT, by_key, by_password, facts, outcome, reserved
from tests.accounts.places import NOON


class Case(NamedTuple):
    who: str
    scopes: frozenset[Scope]
    glob: str
    state: str
    owners: tuple[Account, ...]
    reservation: str
    protected: bool
    outside: bool
    exists: bool


WITHOUT_KEY = {
    "anonymous": ANONYMOUS,
    "command line": COMMAND_LINE,
    "alice": by_password(ALICE),
    "alice of acme": by_password(ALICE, acme=Role.COLLABORATOR),
    "alice over acme": by_password(ALICE, acme=Role.ADMINISTRATOR),
    "bobby": by_password(BOBBY),
    "root": by_password(ROOT),
}
WITH_KEY = {"key of alice": ALICE, "key of acme": ACME, "key of bobby": BOBBY, "key of root": ROOT}
GLOBS = {"matching": ("Other.*", "contoso.*"), "other": ("Other.*",)}
STATES = {"live": {}, "expired": {"expires": NOON}, "revoked": {"revoked": NOON - 1}}
OWNERS = ((), (ALICE,), (ACME,), (BOBBY,), (ALICE, BOBBY))
RESERVATIONS = {
    "none": (),
    "alice": (reserved(ALICE),),
    "acme": (reserved(ACME),),
    "bobby": (reserved(BOBBY),),
    "shared": (reserved(BOBBY, shared=True),),
    "delegated to alice": (reserved(ALICE, pattern="Contoso.Core"), reserved(BOBBY)),
    "delegated away from alice": (reserved(BOBBY, pattern="Contoso.Core"), reserved(ALICE)),
}
SCOPES = [frozenset(some) for count in range(5) for some in itertools.combinations(Scope, count)]
PLACES = list(itertools.product(OWNERS, RESERVATIONS, (True, False), (True, False), (True, False)))

# Spelled out, not computed: who acts for whom, and who is allowed by which reservation.
ACTS_FOR = {
    "anonymous": set(),
    "command line": set(),
    "alice": {ALICE},
    "alice of acme": {ALICE, ACME},
    "alice over acme": {ALICE, ACME},
    "bobby": {BOBBY},
    "root": {ROOT},
    "key of alice": {ALICE},
    "key of acme": {ACME},
    "key of bobby": {BOBBY},
    "key of root": {ROOT},
}
LET_IN = {
    "none": {ALICE, ACME, BOBBY, ROOT},
    "alice": {ALICE},
    "acme": {ACME},
    "bobby": {BOBBY},
    "shared": {ALICE, ACME, BOBBY, ROOT},
    "delegated to alice": {ALICE},
    "delegated away from alice": {BOBBY},
}


def cases():
    for who in WITHOUT_KEY:
        for place in PLACES:
            yield Case(who, frozenset(), "matching", "live", *place)
    for who, scopes, glob, state in itertools.product(WITH_KEY, SCOPES, GLOBS, STATES):
        for place in PLACES:
            yield Case(who, scopes, glob, state, *place)


def actor(case: Case) -> Actor:
    if case.who in WITHOUT_KEY:
        return WITHOUT_KEY[case.who]
    return by_key(WITH_KEY[case.who], scopes=case.scopes, globs=GLOBS[case.glob], **STATES[case.state])


def facts_of(case: Case) -> PackageFacts:
    return facts(
        exists=case.exists,
        owners=case.owners,
        reservations=RESERVATIONS[case.reservation],
        protected=case.protected,
        outside=case.outside,
    )


def key_allows(case: Case, scopes: set[Scope]) -> bool:
    if case.who in WITHOUT_KEY:
        return True
    return bool(case.scopes & scopes) and case.glob == "matching" and case.state == "live"


def test_pushing_in_every_combination():
    wrong = []
    for case in cases():
        ours = ACTS_FOR[case.who]
        scopes = {Scope.PUSH, Scope.PUSH_VERSION} if case.exists else {Scope.PUSH}
        if case.who == "anonymous":
            expected = "NotAuthenticated"
        elif not key_allows(case, scopes) or case.who == "command line":
            expected = "Forbidden"
        elif case.exists or case.owners:
            is_owner = bool(ours & set(case.owners))
            in_place = case.exists or case.protected or case.outside
            expected = "allowed" if is_owner and in_place else "Forbidden"
        elif not ours & LET_IN[case.reservation]:
            expected = "IdReserved"
        else:
            expected = "allowed" if case.protected or case.outside else "Forbidden"
        if outcome(may_push(actor(case), facts_of(case), NOON)) != expected:
            wrong.append((case, expected))
    assert wrong == []


def test_unlisting_in_every_combination():
    wrong = []
    for case in cases():
        if case.who == "anonymous":
            expected = "NotAuthenticated"
        elif not key_allows(case, {Scope.UNLIST}):
            expected = "Forbidden"
        else:
            is_above = case.who in ("command line", "root", "key of root")
            expected = "allowed" if is_above or ACTS_FOR[case.who] & set(case.owners) else "Forbidden"
        if outcome(may_unlist(actor(case), facts_of(case), NOON)) != expected:
            wrong.append((case, expected))
    assert wrong == []


def test_deleting_for_good_in_every_combination():
    wrong = []
    for case in cases():
        if case.who == "anonymous":
            expected = "NotAuthenticated"
        else:
            is_above = case.who in ("command line", "root", "key of root")
            expected = "allowed" if is_above and key_allows(case, {Scope.UNLIST}) else "Forbidden"
        if outcome(may_hard_delete(actor(case), ID, NOON)) != expected:
            wrong.append((case, expected))
    assert wrong == []


@pytest.mark.parametrize(("globs", "expected"), [(("*",), "allowed"), (("Contoso.*",), "Forbidden")])
def test_deleting_what_is_not_named_needs_a_key_for_everything(globs, expected):
    assert outcome(may_hard_delete(by_key(ROOT, globs=globs))) == expected
