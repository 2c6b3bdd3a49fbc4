"""Actors who can push nothing, refused before a package is read: compared with `may_push` for every id."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nugetproxy.accounts.model import ANONYMOUS, COMMAND_LINE, Actor, Role, Scope
from nugetproxy.accounts.permissions import ALLOWED, PackageFacts, PushReach, Refused, may_push, may_push_anything
from nugetproxy.accounts.reservations import Reservation, most_specific_first, protected_prefixes
from nugetproxy.errors import Forbidden, NotAuthenticated
from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.identity import PackageId
from tests.accounts.actors import ACME, ALICE, BOBBY, account, by_key, by_password, outcome, reserved
from tests.accounts.places import NOON

# One from every region into which the patterns below divide the ids.
IDS = ("contoso", "contoso.core", "contoso.core.deep", "contoso.core.tools", "contoso.extra", "contoso.tools",
       "fabrikam.extra", "fabrikam.tools", "nowhere.extra",
    "nowhere.tools",
    "other.extra",
    "other.tools",)  # fmt: skip
SCOPES = ((), (Scope.READ,), (Scope.UNLIST,), (Scope.PUSH_VERSION,), (Scope.PUSH, Scope.UNLIST))
GLOBS = (("*",), ("Contoso.*",), ("contoso.core",), ("Other.*", "Fabrikam.*"), ("*.tools",), ("Nowhere.*",))
ACTORS: list[Actor] = [
    by_password(BOBBY),
    by_password(ALICE, acme=Role.COLLABORATOR),
    *(by_key(owner, scopes=scopes, globs=globs) for owner in (ALICE, ACME) for scopes in SCOPES for globs in GLOBS),
]
PROTECTED = ((), ("Contoso.",), ("Contoso.", "fabrikam."))
ALLOWED_IDS = ((), ("contoso.core",), ("*.Tools",))
RESERVED: tuple[tuple[Reservation, ...], ...] = (
    (),
    (reserved(BOBBY),),
    (reserved(ALICE),),
    (reserved(BOBBY, shared=True),),
    (reserved(BOBBY), reserved(ACME, pattern="Contoso.Core.*")),
    (reserved(ALICE), reserved(BOBBY, pattern="Contoso.Core")),
    (reserved(BOBBY), reserved(ALICE, pattern="Contoso.Core"), reserved(BOBBY, pattern="Fabrikam.*")),
    (reserved(BOBBY), reserved(ACME, pattern="Contoso.Core.*", shared=True)),
)
# The owners of one id, and whether it exists.
OWNED: tuple[dict[str, tuple[int, bool]], ...] = (
    {},
    {"contoso.extra": (ALICE.account_id, True)},
    {"other.extra": (ACME.account_id, True), "contoso.core": (BOBBY.account_id, True)},
)


def facts_of(text, settings, allowed, reservations, owned) -> PackageFacts:
    """As computed by `Ownership.facts`."""
    owner, exists = owned.get(text, (None, False))
    matching = most_specific_first(reservations, text)
    return PackageFacts(
        PackageId.parse(text),
        exists,
        frozenset() if owner is None else frozenset({owner}),
        matching,
        protected_prefixes(settings, reservations).covers(text),
        any_glob_matches(allowed, text) or bool(matching and matching[0].shared),
    )


def reach_of(actor, settings, allowed, reservations, owned) -> PushReach:
    """As computed by `Ownership.reach`; a test of that compares."""
    protected = protected_prefixes(settings, reservations)
    shared = (each.glob for each in reservations if each.shared)
    places = (*(f"{prefix}*" for prefix in protected.prefixes), *protected.exact, *allowed, *shared)
    return PushReach(places, reservations, [text for text, (owner, _) in owned.items() if owner in actor.acts_for])


def test_who_could_push_any_id_and_nobody_else():
    wrong = []
    for place in itertools.product(PROTECTED, ALLOWED_IDS, RESERVED, OWNED):
        # Ids owned by others are ignored: that would be one lookup per id, and there may be other ids as well.
        facts = [facts_of(text, *place[:3], owned) for text in IDS for owned in (place[3], {})]
        for actor in ACTORS:
            expected = any(may_push(actor, each, NOON) is ALLOWED for each in facts)
            if (may_push_anything(actor, reach_of(actor, *place), NOON) is ALLOWED) != expected:
                wrong.append((actor.name, actor.key, place, expected))
    assert wrong[:3] == []


def test_symbols_need_an_id_of_ones_own():
    wrong = []
    for place in itertools.product(PROTECTED, ALLOWED_IDS, RESERVED, OWNED):
        facts = [each for each in (facts_of(text, *place) for text in IDS) if each.exists]
        for actor in ACTORS:
            expected = any(may_push(actor, each, NOON) is ALLOWED for each in facts)
            if (may_push_anything(actor, reach_of(actor, *place), NOON, new_ids=False) is ALLOWED) != expected:
                wrong.append((actor.name, actor.key, place, expected))
    assert wrong[:3] == []


EVERYWHERE = PushReach(("*",), (), ("contoso.core",))


@pytest.mark.parametrize(
    ("who", "error"),
    [
        (ANONYMOUS, NotAuthenticated),
        (COMMAND_LINE, Forbidden),
        (by_key(account(1, "alice", disabled=True)), Forbidden),
        (by_password(account(1, "alice", disabled=True)), Forbidden),
        (by_key(ALICE, expires=NOON), Forbidden),
        (by_key(ALICE, revoked=NOON - 1), Forbidden),
        (by_key(ALICE, scopes=()), Forbidden),
    ],
)
def test_an_actor_without_rights_gets_the_refusal_of_a_package(who, error):
    facts = PackageFacts(PackageId.parse("contoso.core"), True, frozenset({ALICE.account_id}), (), True, True)
    early, late = may_push_anything(who, EVERYWHERE, NOON), may_push(who, facts, NOON)
    assert isinstance(early, Refused)
    assert isinstance(late, Refused)
    assert isinstance(early.error, error)
    assert str(early.error) == str(late.error)


def test_owned_ids_are_not_read_without_need():
    def owned() -> Iterator[str]:
        yield from read()

    def read() -> tuple[str, ...]:
        raise AssertionError("it was read")

    assert may_push_anything(by_key(ALICE), PushReach(("contoso.*",), (), owned()), NOON) is ALLOWED
    reader = by_key(ALICE, scopes={Scope.READ})
    assert outcome(may_push_anything(reader, PushReach((), (), owned()), NOON)) == "Forbidden"


@pytest.mark.parametrize(
    ("who", "told"),
    [
        (by_password(ALICE), "alice can push nothing: alice owns no such package, and no such new id is protected"),
        (
            by_key(ALICE, scopes={Scope.PUSH}, globs=("My.*",)),
            "API key 'ci' (scope push; covers My.*) can",
        ),
        (by_key(ALICE, scopes={Scope.PUSH}, globs=("Longer.*",) * 50), "covers Longer.*, Longer.*, "),
    ],
)
def test_the_sentence_names_what_was_checked(who, told):
    verdict = may_push_anything(who, PushReach((), (), ()), NOON)
    assert isinstance(verdict, Refused)
    assert str(verdict.error).startswith(told) or told in str(verdict.error)
    assert len(str(verdict.error)) < 256


def test_a_user_pushes_what_an_organisation_owns():
    reach = replace(EVERYWHERE, places=())
    assert may_push_anything(by_password(ALICE, acme=Role.COLLABORATOR), reach, NOON) is ALLOWED
