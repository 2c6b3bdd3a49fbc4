"""Owners and prefixes in the database: what is refused, what is derived, and that every process sees it."""

import pytest

from nugetproxy.accounts.model import ANONYMOUS, Actor
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.accounts.permissions import PackageFacts
from nugetproxy.errors import Conflict, ConstraintViolated, Forbidden, InvalidRequest
from nugetproxy.nuget.identity import PackageId
from nugetproxy.storage.revisions import Revisions
from tests.accounts.places import Place

ID = PackageId.parse("Contoso.Core")


async def facts_of(place: Place, package_id: PackageId, *, exists: bool = False) -> PackageFacts:
    return await place.database.look(lambda fetch: place.ownership.facts(fetch, package_id, exists))


@pytest.fixture
async def alice(place):
    return await place.directory.add_user("alice")


@pytest.fixture
async def bobby(place):
    return await place.directory.add_user("bobby")


class TestOwners:
    async def test_they_are_listed_by_name(self, place, alice, bobby):
        await place.ownership.add_owner(ID.lower, bobby)
        await place.ownership.add_owner(ID.lower, alice)
        await place.ownership.add_owner(ID.lower, alice)

        assert await place.ownership.owners(ID.lower) == (alice, bobby)

    async def test_the_last_one_is_removed_only_by_force(self, place, alice):
        await place.ownership.add_owner(ID.lower, alice)
        with pytest.raises(Conflict, match="last owner"):
            await place.ownership.remove_owner(ID.lower, alice)
        await place.ownership.remove_owner(ID.lower, alice, force=True)

        assert await place.ownership.owners(ID.lower) == ()

    async def test_an_account_that_is_not_an_owner_cannot_be_removed(self, place, alice, bobby):
        await place.ownership.add_owner(ID.lower, alice)

        with pytest.raises(Conflict, match="bobby is not an owner"):
            await place.ownership.remove_owner(ID.lower, bobby)

    async def test_the_first_owner_is_part_of_a_push(self, place, alice):
        await place.database.write(
            lambda connection: place.ownership.add_first_owner(connection, ID.lower, alice.account_id)
        )

        assert await place.ownership.owners(ID.lower) == (alice,)

    async def test_two_pushers_of_a_new_id_do_not_both_own_it(self, place, alice, bobby):
        """
        Both were allowed while the id was new; the second finds it taken, inside its write.
        """

        def first(number):
            return lambda connection: place.ownership.add_first_owner(connection, ID.lower, number)

        await place.database.write(first(alice.account_id))
        with pytest.raises(Forbidden, match="belongs to another"):
            await place.database.write(first(bobby.account_id))
        await place.database.write(first(alice.account_id))


class TestPrefixes:
    async def test_a_second_owner_joins_the_first(self, place, alice, bobby):
        await place.ownership.reserve("Contoso.*", alice)
        made = await place.ownership.reserve("contoso.", bobby)

        assert made.owners == {alice.account_id, bobby.account_id}
        assert (made.pattern, made.exact, made.shared) == ("Contoso.*", False, False)

    async def test_sharing_changes_only_when_requested(self, place, alice, bobby):
        await place.ownership.reserve("Contoso.*", alice, shared=True)
        assert not (await place.ownership.protected()).covers(ID.lower)
        assert (await place.ownership.reserve("Contoso.*", bobby)).shared
        await place.ownership.reserve("Contoso.*", bobby, shared=False)
        assert (await place.ownership.protected()).covers(ID.lower)
        assert not (await place.ownership.reserve("Contoso.*", alice)).shared

    async def test_a_new_one_is_not_shared(self, place, alice):
        assert not (await place.ownership.reserve("Contoso.*", alice)).shared

    async def test_a_wide_one_must_be_requested(self, place, alice):
        with pytest.raises(InvalidRequest, match="--wide"):
            await place.ownership.reserve("Contoso*", alice)
        assert (await place.ownership.reserve("Contoso*", alice, wide=True)).pattern == "Contoso*"

    async def test_release_ends_it(self, place, alice):
        await place.ownership.reserve("Contoso.*", alice)
        await place.ownership.release("contoso.")

        assert await place.ownership.reservations() == ()
        with pytest.raises(Conflict, match="is not reserved"):
            await place.ownership.release("contoso.")

    async def test_one_owner_can_be_removed(self, place, alice, bobby):
        await place.ownership.reserve("Contoso.*", alice)
        with pytest.raises(Conflict, match="not reserved for bobby"):
            await place.ownership.release("Contoso.*", bobby)
        await place.ownership.reserve("Contoso.*", bobby)
        await place.ownership.release("contoso.*", alice)

        assert [each.owners for each in await place.ownership.reservations()] == [{bobby.account_id}]

    async def test_but_not_the_last(self, place, alice):
        """
        A reservation without owners would still lock everybody out.
        """
        await place.ownership.reserve("Contoso.*", alice)

        with pytest.raises(Conflict, match="alone"):
            await place.ownership.release("Contoso.*", alice)

    async def test_another_process_sees_it_immediately(self, place, other, alice):
        assert not (await other.ownership.protected()).covers(ID.lower)
        before = other.revisions.hosting
        await place.ownership.reserve("Contoso.*", alice)

        assert (await other.ownership.protected()).covers(ID.lower)
        assert other.revisions.hosting > before

    async def test_nothing_is_read_while_nothing_changed(self, place, alice, monkeypatch):
        await place.ownership.reserve("Contoso.*", alice)
        kept = await place.ownership.protected()
        monkeypatch.setattr(place.database, "fetch", None)

        assert await place.ownership.protected() is kept

    async def test_settings_protect_too(self, tmp_path):
        place = Place(tmp_path, protected=("Contoso.",))

        assert (await place.ownership.protected()).covers(ID.lower)
        place.close()


class TestFacts:
    async def test_they_contain_what_the_rules_need(self, tmp_path):
        place = Place(tmp_path, protected=("Contoso.",), allowed_ids=("Open.*",))
        alice = await place.directory.add_user("alice")
        await place.ownership.reserve("Contoso.*", alice, shared=True)
        await place.ownership.reserve("Contoso.Core", alice)
        await place.ownership.add_owner(ID.lower, alice)
        facts = await facts_of(place, ID, exists=True)

        assert facts.owners == {alice.account_id}
        assert [each.pattern for each in facts.reservations] == ["Contoso.Core", "Contoso.*"]
        assert (facts.exists, facts.is_protected, facts.is_allowed_outside) == (True, True, False)
        other = await facts_of(place, PackageId.parse("open.x"))
        assert other.is_allowed_outside
        place.close()

    async def test_they_are_those_of_the_database_whatever_a_process_was_told(self, place, alice):
        uninformed = Ownership(place.database, Revisions(None))
        assert not (await uninformed.protected()).covers(ID.lower)
        await place.ownership.reserve("Contoso.*", alice)

        assert not (await uninformed.protected()).covers(ID.lower)
        facts = await place.database.write(lambda transaction: uninformed.facts(transaction.fetch, ID, exists=False))
        assert (facts.is_protected, [each.pattern for each in facts.reservations]) == (True, ["Contoso.*"])

    async def test_disabled_owners_are_reported(self, place, alice, bobby):
        async def disabled():
            return (await facts_of(place, ID, exists=True)).owners_disabled

        assert not await disabled()
        await place.ownership.add_owner(ID.lower, alice)
        await place.directory.disable("alice")
        assert await disabled()
        await place.ownership.add_owner(ID.lower, bobby)
        assert not await disabled()

    async def test_the_check_mark_needs_an_owner_of_the_prefix(self, place, alice, bobby):
        await place.ownership.reserve("Contoso.*", alice, shared=True)
        await place.ownership.add_owner(ID.lower, bobby)
        assert not await place.ownership.verified_among([ID.lower])
        await place.ownership.add_owner(ID.lower, alice)
        assert await place.ownership.verified_among([ID.lower, "other"]) == {ID.lower}


async def test_each_act_is_one_line(place, alice):
    await place.ownership.add_owner(ID.lower, alice)
    await place.ownership.remove_owner(ID.lower, alice, force=True)
    await place.ownership.reserve("Contoso.*", alice, shared=True)
    bobby = await place.directory.add_user("bobby")
    await place.ownership.reserve("Contoso.*", bobby, shared=False)
    await place.ownership.release("Contoso.*", bobby)
    await place.ownership.release("Contoso.*")

    assert [(each.action, each.subject, each.detail) for each in (await place.audit.entries())[1:]] == [
        ("owner.add", "contoso.core", "alice"),
        ("owner.remove", "contoso.core", "alice"),
        ("prefix.reserve", "Contoso.*", "alice, shared"),
        ("user.add", "bobby", ""),
        ("prefix.reserve", "Contoso.*", "bobby, not shared"),
        ("prefix.release", "Contoso.*", "bobby"),
        ("prefix.release", "Contoso.*", ""),
    ]


async def test_an_owner_must_exist(place, alice):
    ghost = type(alice)(99, "ghost", alice.kind, False, False, 0)

    with pytest.raises(ConstraintViolated):
        await place.ownership.add_owner(ID.lower, ghost)


async def test_a_shared_prefix_may_be_pushed_below(place):
    """
    Sharing a prefix means that packages may be pushed under it; a delegated part of it is not shared.
    """
    alice = await place.directory.add_user("alice")
    await place.ownership.reserve("Fabrikam.*", alice, shared=True)
    await place.ownership.reserve("Fabrikam.Core.*", alice)
    shared = await facts_of(place, PackageId.parse("Fabrikam.Tools"))
    assert (shared.is_protected, shared.is_allowed_outside) == (False, True)
    delegated = await facts_of(place, PackageId.parse("Fabrikam.Core.X"))
    assert (delegated.is_protected, delegated.is_allowed_outside) == (True, False)


async def test_the_reach_of_an_actor(tmp_path, alice, bobby, place):
    await place.ownership.reserve("Contoso.*", alice)
    await place.ownership.reserve("Fabrikam.Core", alice)
    await place.ownership.reserve("Open.*", alice, shared=True)
    await place.ownership.add_owner("other.extra", bobby)
    await place.ownership.add_owner("other.more", bobby)
    await place.ownership.add_owner("other.more", alice)
    ownership = Ownership(place.database, place.revisions, protected=["Acme."], allowed_ids=["*.Tools"])

    async def reach_of(actor):
        def work(fetch):
            reach = ownership.reach(fetch, actor)
            return reach, sorted(reach.owned)

        return await place.database.look(work)

    reach, owned = await reach_of(Actor("bobby", bobby))
    assert set(reach.places) == {"acme.*", "contoso.*", "fabrikam.core", "*.Tools", "open.*"}
    assert {each.pattern for each in reach.reservations} == {"Contoso.*", "Fabrikam.Core", "Open.*"}
    assert owned == ["other.extra", "other.more"]
    assert (await reach_of(Actor("alice", alice)))[1] == ["other.more"]
    assert (await reach_of(ANONYMOUS))[1] == []
