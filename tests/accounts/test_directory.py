"""Users and organisations: what is stored, what is refused, and the audit line of each act."""

import asyncio

import pytest

from nugetproxy.accounts.model import AccountKind, Role, command_line
from nugetproxy.errors import AccountNotFound, Conflict, InvalidRequest


class TestUsers:
    async def test_a_user_is_found_in_any_case(self, place):
        made = await place.directory.add_user("Alice")

        assert await place.directory.account("aLiCe") == made
        assert (made.name, made.kind, made.is_administrator) == ("Alice", AccountKind.USER, False)

    @pytest.mark.parametrize("name", ["a", "ab", "-ab", "ab-", ".ab", "a b", "a/b", "añb", "a" * 65, "", "abc\n"])
    async def test_names_follow_nuget_orgs_rule(self, place, name):
        with pytest.raises(InvalidRequest, match="a name has"):
            await place.directory.add_user(name)

    @pytest.mark.parametrize("name", ["abc", "A.b-c_D", "0xx9"])
    async def test_good_names_are_accepted(self, place, name):
        assert (await place.directory.add_user(name)).name == name

    async def test_users_and_organisations_share_their_names(self, place):
        alice = await place.directory.add_user("alice")
        await place.directory.add_organization("Contoso", alice)

        with pytest.raises(Conflict, match="an organisation named Contoso"):
            await place.directory.add_user("contoso")

    async def test_two_processes_cannot_create_the_same_user(self, place, other):
        made = await asyncio.gather(
            place.directory.add_user("alice"), other.directory.add_user("ALICE"), return_exceptions=True
        )

        assert sorted(type(each).__name__ for each in made) == ["Account", "Conflict"]

    async def test_an_unknown_name_suggests_the_nearest(self, place):
        await place.directory.add_user("alice")

        with pytest.raises(AccountNotFound, match="did you mean 'alice'"):
            await place.directory.account("alcie")

    async def test_the_nearest_is_of_the_wanted_kind(self, place):
        await place.directory.add_user("contoso")

        with pytest.raises(AccountNotFound) as refused:
            await place.directory.account("contosso", AccountKind.ORGANIZATION)
        assert str(refused.value) == "there is no organisation 'contosso'"

    async def test_the_last_administrator_is_neither_disabled_nor_demoted(self, place):
        """
        A disabled one does not count.
        """
        await place.directory.add_user("alice", administrator=True)
        await place.directory.add_user("bobby", administrator=True)
        await place.directory.disable("bobby")

        with pytest.raises(Conflict, match=r"alice is the last active administrator.*: nugetproxy user promote"):
            await place.directory.disable("alice")
        with pytest.raises(Conflict, match="last active administrator"):
            await place.directory.set_administrator("alice", False)
        await place.directory.set_administrator("bobby", False)
        await place.directory.disable("bobby")

    async def test_two_processes_cannot_disable_the_last_two(self, place, other):
        await place.directory.add_user("alice", administrator=True)
        await place.directory.add_user("bobby", administrator=True)
        ended = await asyncio.gather(
            place.directory.disable("alice"), other.directory.disable("bobby"), return_exceptions=True
        )

        assert sorted(type(each).__name__ for each in ended) == ["Account", "Conflict"]


class TestPasswords:
    async def test_the_right_one_is_accepted(self, place):
        await place.directory.add_user("alice", password="correct horse", administrator=True)
        actor = await place.directory.actor_by_password("ALICE", "correct horse")

        assert actor.name == "alice"
        assert actor.is_administrator
        assert actor.key is None

    @pytest.mark.parametrize(
        ("name", "password"), [("alice", "wrong horse"), ("alice", ""), ("bobby", "correct horse"), ("nobody", "x" * 9),
                               ("alice", "x" * 2000), ("acme", "correct horse"), ("", "")]
    )  # fmt: skip
    async def test_a_wrong_one_is_not(self, place, name, password):
        """
        Nor is a user without a password, an organisation, or a user who does not exist.
        """
        alice = await place.directory.add_user("alice", password="correct horse")
        await place.directory.add_user("bobby")
        await place.directory.add_organization("acme", alice)

        assert await place.directory.actor_by_password(name, password) is None

    async def test_a_new_password_ends_the_old(self, place):
        await place.directory.add_user("alice", password="correct horse")
        await place.directory.set_password("alice", "another horse")

        assert await place.directory.actor_by_password("alice", "correct horse") is None
        assert await place.directory.actor_by_password("alice", "another horse") is not None

    async def test_a_disabled_user_is_rejected_until_enabled(self, place):
        await place.directory.add_user("alice", password="correct horse")
        await place.directory.disable("alice")
        assert await place.directory.actor_by_password("alice", "correct horse") is None
        await place.directory.enable("alice")
        assert await place.directory.actor_by_password("alice", "correct horse") is not None

    async def test_short_ones_are_refused(self, place):
        with pytest.raises(InvalidRequest, match="8 to 1024"):
            await place.directory.add_user("alice", password="1234567")

    async def test_the_same_letters_composed_differently_are_the_same(self, place):
        await place.directory.add_user("alice", password="pássword")

        assert await place.directory.actor_by_password("alice", "pa\u0301ssword") is not None


class TestOrganisations:
    async def test_its_founder_is_its_administrator(self, place):
        alice = await place.directory.add_user("alice")
        acme = await place.directory.add_organization("acme", alice)

        assert await place.directory.members(acme) == ((alice, Role.ADMINISTRATOR),)
        assert await place.directory.organizations() == ((acme, 1),)
        assert (await place.directory.actor_of(alice)).memberships == {acme.account_id: Role.ADMINISTRATOR}

    async def test_a_member_can_be_given_another_role(self, place):
        alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)
        await place.directory.set_member(acme, bobby, Role.COLLABORATOR)
        await place.directory.set_member(acme, bobby, Role.ADMINISTRATOR)

        assert dict(await place.directory.members(acme)) == {alice: Role.ADMINISTRATOR, bobby: Role.ADMINISTRATOR}

    async def test_the_last_administrator_stays(self, place):
        alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)
        await place.directory.set_member(acme, bobby, Role.COLLABORATOR)

        with pytest.raises(Conflict, match="last active administrator"):
            await place.directory.remove_member(acme, alice)
        with pytest.raises(Conflict, match="last active administrator"):
            await place.directory.set_member(acme, alice, Role.COLLABORATOR)

    async def test_nor_is_the_last_administrator_disabled(self, place):
        alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)
        await place.directory.set_member(acme, bobby, Role.COLLABORATOR)

        with pytest.raises(Conflict, match=r"last active administrator of acme.*: nugetproxy org member add acme NAME"):
            await place.directory.disable("alice")
        await place.directory.disable("bobby")
        await place.directory.disable("acme")

    async def test_an_administrator_who_is_disabled_does_not_count(self, place):
        alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)
        await place.directory.set_member(acme, bobby, Role.ADMINISTRATOR)
        await place.directory.disable("bobby")

        with pytest.raises(Conflict, match="last active administrator"):
            await place.directory.remove_member(acme, alice)
        with pytest.raises(Conflict, match="bobby is disabled"):
            await place.directory.add_organization("other", bobby)
        await place.directory.remove_member(acme, bobby)

    async def test_two_processes_cannot_remove_the_last_two(self, place, other):
        """
        The rule is checked inside the write: the second finds an organisation with one administrator.
        """
        alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)
        await place.directory.set_member(acme, bobby, Role.ADMINISTRATOR)
        ended = await asyncio.gather(
            place.directory.remove_member(acme, alice),
            other.directory.remove_member(acme, bobby),
            return_exceptions=True,
        )

        assert sorted(type(each).__name__ for each in ended) == ["Conflict", "NoneType"]

    async def test_a_user_who_is_not_a_member_cannot_be_removed(self, place):
        alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)

        with pytest.raises(Conflict, match="bobby is not a member"):
            await place.directory.remove_member(acme, bobby)

    async def test_organisations_are_not_members(self, place):
        alice = await place.directory.add_user("alice")
        acme = await place.directory.add_organization("acme", alice)

        with pytest.raises(InvalidRequest, match="members are users"):
            await place.directory.set_member(acme, acme, Role.COLLABORATOR)
        with pytest.raises(InvalidRequest, match="alice is a user"):
            await place.directory.set_member(alice, alice, Role.COLLABORATOR)

    async def test_nobody_acts_for_a_disabled_organisation(self, place):
        alice = await place.directory.add_user("alice", password="correct horse")
        await place.directory.add_organization("acme", alice)
        await place.directory.disable("acme")

        actor = await place.directory.actor_by_password("alice", "correct horse")
        assert actor.memberships == {}


class TestTelling:
    async def test_each_act_is_one_line_with_its_actor(self, place):
        by = command_line("root")
        alice = await place.directory.add_user("alice", by=by)
        await place.directory.set_password("alice", "correct horse", by=by)
        await place.directory.disable("alice", by=by)
        await place.directory.enable("alice", by=by)
        acme = await place.directory.add_organization("acme", alice, by=by)
        bobby = await place.directory.add_user("bobby", administrator=True, by=by)
        await place.directory.set_member(acme, bobby, Role.COLLABORATOR, by=by)
        await place.directory.remove_member(acme, bobby, by=by)
        await place.directory.disable("acme", by=by)

        entries = await place.audit.entries()
        assert [(each.action, each.subject, each.detail) for each in entries] == [
            ("user.add", "alice", ""),
            ("user.passwd", "alice", ""),
            ("user.disable", "alice", ""),
            ("user.enable", "alice", ""),
            ("org.add", "acme", "admin alice"),
            ("user.add", "bobby", "administrator"),
            ("org.member.add", "acme", "collaborator bobby"),
            ("org.member.remove", "acme", "bobby"),
            ("org.disable", "acme", ""),
        ]
        assert {each.actor for each in entries} == {"command line (root)"}

    async def test_each_act_is_seen_by_other_processes(self, place, other):
        before = other.revisions.accounts
        await place.directory.add_user("alice")

        assert other.revisions.accounts == before + 1
        assert await other.directory.find_account("alice") is not None

    async def test_a_failed_act_is_neither_announced_nor_audited(self, place):
        await place.directory.add_user("alice")
        before = place.revisions.accounts
        with pytest.raises(Conflict):
            await place.directory.add_user("alice")

        assert place.revisions.accounts == before
        assert len(await place.audit.entries()) == 1
