"""Who may read and manage accounts, who owns a new id, and the text of refusals."""

from dataclasses import replace

import pytest

from nugetproxy.accounts.model import (
    ANONYMOUS,
    COMMAND_LINE,
    Role,
    Scope,
)
from nugetproxy.accounts.permissions import (
    ALLOWED,
    Refused,
    first_owner,
    may_end_key,
    may_hard_delete,
    may_make_key,
    may_manage,
    may_push,
    may_read,
    require,
)
from nugetproxy.errors import Forbidden, IdReserved, NotAuthenticated
from tests.accounts.actors import ACME, ALICE, BOBBY, ROOT, account, by_key, by_password, facts, key, outcome, reserved
from tests.accounts.places import NOON


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
def test_an_identified_actor_may_read(who, hosted):
    """
    With a key of any scope and glob: an actor who may push is not anonymous.
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
    A member's key ends with the membership, so only members can have one: administrators cannot either.
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

    def test_an_anonymous_client_is_asked_for_a_key(self):
        error = self.error(may_push(ANONYMOUS, facts(), NOON))

        assert isinstance(error, NotAuthenticated)
        assert "'X-NuGet-ApiKey'" in str(error)

    def test_a_reader_is_asked_for_a_password(self):
        error = self.error(may_read(ANONYMOUS, anonymous="none", hosted=True))

        assert isinstance(error, NotAuthenticated)

    def test_a_reserved_id_is_refused_in_nuget_orgs_words(self):
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
    def test_a_refused_key_gets_a_reason(self, who, told):
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
    def test_an_id_that_nobody_can_push_is_distinguished(self, differing, told):
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
