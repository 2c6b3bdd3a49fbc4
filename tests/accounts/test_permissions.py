"""Who may do what: every combination of who asks, with which key, for which id; and the sentences told apart."""

import itertools
from dataclasses import replace
from typing import NamedTuple

import pytest

from nugetproxy.accounts.model import (
    ANONYMOUS,
    COMMAND_LINE,
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
    Refused,
    first_owner,
    may_end_key,
    may_hard_delete,
    may_make_key,
    may_manage,
    may_push,
    may_read,
    may_unlist,
    require,
)
from nugetproxy.accounts.reservations import Reservation
from nugetproxy.errors import Forbidden, IdReserved, NotAuthenticated
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


def outcome(verdict) -> str:
    return "allowed" if verdict is ALLOWED else type(verdict.error).__name__


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


@pytest.mark.parametrize(
    ("anonymous", "hosted", "expected"),
    [
        ("all", True, "allowed"),
        ("all", False, "allowed"),
        ("mirrored", True, "NotAuthenticated"),
        ("mirrored", False, "allowed"),
        ("none", True, "NotAuthenticated"),
        ("none", False, "NotAuthenticated"),
    ],
)
def test_reading_without_credentials(anonymous, hosted, expected):
    assert outcome(may_read(ANONYMOUS, anonymous=anonymous, hosted=hosted)) == expected


@pytest.mark.parametrize("hosted", [True, False])
@pytest.mark.parametrize("who", [by_password(BOBBY), by_key(BOBBY, scopes={Scope.READ}), by_key(ACME), COMMAND_LINE,
                                 by_key(BOBBY, scopes={Scope.UNLIST}, globs=("Other.*",))])  # fmt: skip
def test_whoever_is_known_may_read(who, hosted):
    """
    With a key of any scope and glob: whoever may push is no stranger.
    """
    assert may_read(who, anonymous="none", hosted=hosted) is ALLOWED


@pytest.mark.parametrize("anonymous", ["mirrored", "none"])
@pytest.mark.parametrize("hosted", [True, False])
def test_a_verification_key_reads_nothing(anonymous, hosted):
    assert outcome(may_read(by_key(ALICE, scopes=()), anonymous=anonymous, hosted=hosted)) == "Forbidden"


@pytest.mark.parametrize(
    ("who", "managed", "expected"),
    [
        (ANONYMOUS, ALICE, "NotAuthenticated"),
        (COMMAND_LINE, ALICE, "allowed"),
        (by_password(ROOT), ALICE, "allowed"),
        (by_password(ROOT), ACME, "allowed"),
        (by_key(ROOT), ALICE, "Forbidden"),
        (by_password(ALICE), ALICE, "allowed"),
        (by_key(ALICE), ALICE, "Forbidden"),
        (by_password(ALICE), BOBBY, "Forbidden"),
        (by_password(ALICE), ACME, "Forbidden"),
        (by_password(ALICE, acme=Role.COLLABORATOR), ACME, "Forbidden"),
        (by_password(ALICE, acme=Role.ADMINISTRATOR), ACME, "allowed"),
        (by_key(ACME), ACME, "Forbidden"),
        (by_password(account(1, "alice", disabled=True)), ALICE, "Forbidden"),
    ],
)
def test_managing_accounts(who, managed, expected):
    assert outcome(may_manage(who, managed)) == expected


@pytest.mark.parametrize(
    ("who", "owner", "expected"),
    [
        (ANONYMOUS, ALICE, "NotAuthenticated"),
        (by_password(ALICE), ALICE, "allowed"),
        (by_password(ALICE), BOBBY, "Forbidden"),
        (by_password(ALICE), ACME, "Forbidden"),
        (by_password(ALICE, acme=Role.COLLABORATOR), ACME, "allowed"),
        (by_password(ALICE, acme=Role.ADMINISTRATOR), ACME, "allowed"),
        (by_password(ROOT), ACME, "Forbidden"),
        (by_key(ALICE), ALICE, "Forbidden"),
        (by_password(account(1, "alice", disabled=True)), ALICE, "Forbidden"),
    ],
)
def test_making_keys(who, owner, expected):
    """
    A member's key ends with the membership, so it is nobody's who is no member: not an administrator's either.
    """
    assert outcome(may_make_key(who, owner)) == expected


@pytest.mark.parametrize(
    ("who", "creator", "expected"),
    [
        (ANONYMOUS, None, "NotAuthenticated"),
        (COMMAND_LINE, BOBBY, "allowed"),
        (by_password(ROOT), BOBBY, "allowed"),
        (by_password(ALICE, acme=Role.ADMINISTRATOR), BOBBY, "allowed"),
        (by_password(ALICE, acme=Role.ADMINISTRATOR), None, "allowed"),
        (by_password(ALICE, acme=Role.COLLABORATOR), ALICE, "allowed"),
        (by_password(ALICE, acme=Role.COLLABORATOR), BOBBY, "Forbidden"),
        (by_password(ALICE, acme=Role.COLLABORATOR), None, "Forbidden"),
        (by_password(ALICE), ALICE, "allowed"),
        (by_password(ALICE), BOBBY, "Forbidden"),
        (by_key(ACME), None, "Forbidden"),
    ],
)
def test_ending_keys_of_an_organisation(who, creator, expected):
    assert outcome(may_end_key(who, replace(key(ACME), creator=creator))) == expected


def test_a_disabled_account_pushes_nothing():
    gone = account(1, "alice", disabled=True)

    assert outcome(may_push(by_key(gone), facts(owners=[ALICE]), NOON)) == "Forbidden"


class TestSentences:
    def error(self, verdict) -> Exception:
        assert isinstance(verdict, Refused)
        return verdict.error

    def test_nobody_is_asked_for_a_key(self):
        error = self.error(may_push(ANONYMOUS, facts(), NOON))

        assert isinstance(error, NotAuthenticated)
        assert "'X-NuGet-ApiKey'" in str(error)

    def test_a_reader_is_asked_for_a_password(self):
        error = self.error(may_read(ANONYMOUS, anonymous="none", hosted=True))

        assert isinstance(error, NotAuthenticated)

    def test_a_reserved_id_is_told_in_nuget_orgs_words(self):
        error = self.error(may_push(by_key(ALICE), facts(exists=False, reservations=[reserved(BOBBY)]), NOON))

        assert isinstance(error, IdReserved)
        assert str(error).startswith(
            "This package ID has been reserved. Please request access to upload to this reserved namespace"
        )

    @pytest.mark.parametrize(
        ("who", "told"),
        [
            (by_key(ALICE, scopes={Scope.READ}), "lacks the required scope: push or push-version"),
            (by_key(ALICE, globs=("Other", "My.*")), "does not cover Contoso.Core, it covers Other, My.*"),
            (by_key(ALICE, globs=("Other.*",) * 50), "it covers Other.*, Other.*, "),
            (by_key(BOBBY), "bobby is not an owner of Contoso.Core"),
            (by_key(BOBBY), "nugetproxy owner add Contoso.Core bobby"),
            (by_key(ALICE, expires=NOON), "is invalid, has expired, or does not have permission"),
        ],
    )
    def test_a_refused_key_is_told_why(self, who, told):
        sentence = str(self.error(may_push(who, facts(owners=[ALICE]), NOON)))

        assert told in sentence
        assert len(sentence) < 200
        assert "alice" not in sentence

    @pytest.mark.parametrize(
        ("differing", "told"),
        [
            ({"owners": frozenset()}, "Contoso.Core has no owner"),
            ({"owners_disabled": True}, "each owner of Contoso.Core is disabled"),
        ],
    )
    def test_an_id_that_nobody_can_push_is_told_apart(self, differing, told):
        verdict = may_push(by_key(BOBBY), replace(facts(owners=[ACME]), **differing), NOON)

        assert str(self.error(verdict)).startswith(told)

    def test_an_id_outside_names_the_setting(self):
        verdict = may_push(by_key(ALICE), facts(exists=False, protected=False), NOON)

        assert "hosting.allowed_ids" in str(self.error(verdict))

    def test_require_raises_it(self):
        require(ALLOWED)
        with pytest.raises(Forbidden):
            require(may_hard_delete(by_key(ALICE)))


class TestFirstOwner:
    def test_a_key_pushes_for_its_owner(self):
        assert first_owner(by_key(ACME), facts(exists=False, reservations=[reserved(ACME)])) == ACME.account_id

    def test_a_user_pushes_for_herself(self):
        who = by_password(ALICE, acme=Role.COLLABORATOR)

        assert first_owner(who, facts(exists=False)) == ALICE.account_id
        assert first_owner(who, facts(exists=False, reservations=[reserved(ALICE, ACME)])) == ALICE.account_id

    def test_below_an_organisations_prefix_for_the_organisation(self):
        who = by_password(ALICE, acme=Role.COLLABORATOR)

        assert first_owner(who, facts(exists=False, reservations=[reserved(ACME)])) == ACME.account_id
