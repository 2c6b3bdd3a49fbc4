"""API keys: their rights and lifetime, and that their end is seen immediately, whichever process caused it."""

import asyncio
import subprocess
import sys

import pytest

from nugetproxy.accounts.model import DAY, SECOND, Role, Scope
from nugetproxy.errors import ApiKeyNotFound, Conflict, Forbidden, InvalidRequest
from tests.accounts.places import IN_A_YEAR, NOON, Place

REVOKING = """
import asyncio, sys
from pathlib import Path
from tests.accounts.places import Place
place = Place(Path(sys.argv[1]))
asyncio.run(place.directory.revoke_key("ci"))
place.close()
"""


@pytest.fixture
async def alice(place):
    return await place.directory.add_user("alice", password="correct horse")


async def add(place: Place, owner, name: str = "ci", creator=None, **differing):
    return await place.directory.add_key(owner, creator, name=name, **{"expires": IN_A_YEAR, **differing})


class TestAdding:
    async def test_its_text_finds_it(self, place, alice):
        key, text = await add(place, alice, scopes=[Scope.READ, Scope.PUSH], globs=["Contoso.*", "Solo"])

        assert await place.directory.find_key(text, NOON) == key
        assert key.scopes == {Scope.READ, Scope.PUSH}
        assert key.globs == ("Contoso.*", "Solo")

    async def test_the_actor_of_a_key(self, place, alice):
        key, text = await add(place, alice)
        actor = await place.directory.actor_by_key(text, NOON)

        assert (actor.name, actor.account, actor.key) == ("alice/key ci", alice, key)
        assert actor.acts_for == {alice.account_id}

    async def test_an_organisations_key_acts_for_it_alone(self, place, alice):
        acme = await place.directory.add_organization("acme", alice)
        _, text = await add(place, acme, creator=alice)

        assert (await place.directory.actor_by_key(text, NOON)).acts_for == {acme.account_id}

    async def test_by_default_it_may_push_and_unlist_everything(self, place, alice):
        key, _ = await add(place, alice)

        assert (key.scopes, key.globs) == ({Scope.PUSH, Scope.UNLIST}, ("*",))

    @pytest.mark.parametrize(
        "differing",
        [{"scopes": []}, {"globs": []}, {"globs": ["a b"]}, {"expires": NOON}, {"expires": NOON - DAY},
         {"expires": NOON + 4000 * DAY}, {"name": ""}, {"name": "x" * 65}, {"name": "a\nb"}, {"name": "nugetproxy_x"}],
    )  # fmt: skip
    async def test_nonsense_is_refused(self, place, alice, differing):
        with pytest.raises(InvalidRequest):
            await add(place, alice, **differing)

    async def test_a_name_is_used_once(self, place, alice):
        await add(place, alice)

        with pytest.raises(Conflict, match="already has a key named 'CI'"):
            await add(place, alice, "CI")

    async def test_a_name_is_free_again_after_revocation_and_expiry(self, place, alice):
        await add(place, alice)
        await place.directory.revoke_key("ci")
        await add(place, alice, expires=NOON + DAY)
        place.now += DAY

        key, _ = await add(place, alice)
        assert key.created == NOON + DAY

    async def test_only_members_make_keys_for_an_organisation(self, place, alice):
        bobby = await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)

        with pytest.raises(Forbidden, match="bobby may not create keys for acme"):
            await add(place, acme, creator=bobby)
        with pytest.raises(Forbidden):
            await add(place, alice, creator=bobby)

    async def test_its_owner_is_audited(self, place, alice):
        acme = await place.directory.add_organization("acme", alice)
        await add(place, acme, creator=alice, name="hers")
        await add(place, acme, name="nobodys")
        await place.directory.revoke_key("nobodys", member=alice)

        assert [each.detail for each in (await place.audit.entries())[-3:]] == [
            "push unlist; *; by alice", "push unlist; *", "by alice",
        ]  # fmt: skip


class TestEnding:
    async def test_it_ends_by_its_date(self, place, alice):
        _, text = await add(place, alice, expires=NOON + DAY)

        assert await place.directory.find_key(text, NOON + DAY - 1) is not None
        assert await place.directory.find_key(text, NOON + DAY) is None

    async def test_days_left(self, place, alice):
        key, _ = await add(place, alice, expires=NOON + 10 * DAY)

        assert [key.days_left(NOON), key.days_left(NOON + 1), key.days_left(NOON + 99 * DAY)] == [10, 9, 0]

    async def test_revocation_by_another_object_is_seen_immediately(self, place, other, alice):
        _, text = await add(place, alice)
        before = place.revisions.accounts
        assert await place.directory.find_key(text, NOON) is not None
        await other.directory.revoke_key("ci")

        assert await place.directory.find_key(text, NOON) is None
        assert place.revisions.accounts == before + 1

    async def test_revocation_by_another_process_is_seen_at_once(self, place, alice, tmp_path):
        _, text = await add(place, alice)
        before = place.revisions.accounts
        subprocess.run([sys.executable, "-c", REVOKING, str(tmp_path)], check=True, timeout=30)

        assert place.revisions.accounts == before + 1
        assert await place.directory.find_key(text, NOON) is None

    async def test_it_ends_with_its_owner(self, place, alice):
        _, text = await add(place, alice)
        await place.directory.disable("alice")

        assert await place.directory.find_key(text, NOON) is None

    @pytest.mark.parametrize("how", ["leaves", "disabled"])
    async def test_it_ends_when_its_maker_may_no_more(self, place, alice, how):
        """
        A key that a member created for an organisation must not outlive the membership.
        """
        bobby = await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)
        await place.directory.set_member(acme, bobby, Role.COLLABORATOR)
        _, text = await add(place, acme, creator=bobby)
        assert await place.directory.find_key(text, NOON) is not None
        if how == "leaves":
            await place.directory.remove_member(acme, bobby)
        else:
            await place.directory.disable("bobby")

        assert await place.directory.find_key(text, NOON) is None

    async def test_it_does_not_come_back_with_its_maker(self, place, alice):
        """
        A former member may have left it anywhere.
        """
        bobby = await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)
        await place.directory.set_member(acme, bobby, Role.COLLABORATOR)
        _, text = await add(place, acme, creator=bobby)
        _, others = await add(place, acme, name="other", creator=alice)
        _, own = await add(place, bobby, creator=bobby)
        await place.directory.remove_member(acme, bobby)
        await place.directory.set_member(acme, bobby, Role.COLLABORATOR)

        assert await place.directory.find_key(text, NOON) is None
        assert await place.directory.find_key(others, NOON) is not None
        assert await place.directory.find_key(own, NOON) is not None

    async def test_it_can_be_revoked_by_its_text(self, place, alice):
        """
        Someone who finds a key knows neither its name nor its id.
        """
        key, text = await add(place, alice)
        ended = await place.directory.revoke_key(text)

        assert [each.key_id for each in ended] == [key.key_id]
        assert text not in str(await place.audit.entries())

    async def test_a_broken_text_is_not_repeated(self, place, alice):
        _, text = await add(place, alice)

        with pytest.raises(ApiKeyNotFound) as refused:
            await place.directory.revoke_key(text[:-1])
        assert text[11:40] not in str(refused.value)

    async def test_an_ambiguous_name_needs_an_owner(self, place, alice):
        bobby = await place.directory.add_user("bobby")
        await add(place, alice)
        await add(place, bobby)

        with pytest.raises(Conflict, match="alice, bobby"):
            await place.directory.revoke_key("ci")
        assert [each.owner.name for each in await place.directory.revoke_key("ci", bobby)] == ["bobby"]

    async def test_an_unknown_key_is_reported(self, place):
        with pytest.raises(ApiKeyNotFound, match="'ci'"):
            await place.directory.revoke_key("ci")


class TestRotating:
    async def test_both_work_for_the_overlap(self, place, alice):
        old, old_text = await add(place, alice, scopes=[Scope.PUSH], globs=["A.*"])
        place.now = NOON + DAY
        new, new_text = await place.directory.rotate_key(old, 3600)
        end = NOON + DAY + 3600 * SECOND

        assert await place.directory.find_key(old_text, end - 1) is not None
        assert await place.directory.find_key(old_text, end) is None
        assert await place.directory.find_key(new_text, end) == new
        assert (new.name, new.owner, new.scopes, new.globs) == (old.name, alice, {Scope.PUSH}, ("A.*",))

    async def test_the_new_one_has_the_lifetime_of_the_old_one(self, place, alice):
        old, _ = await add(place, alice, expires=NOON + 30 * DAY)
        place.now = NOON + 20 * DAY
        new, _ = await place.directory.rotate_key(old, 0)

        assert new.expires == NOON + 50 * DAY

    async def test_an_overlap_never_extends_the_lifetime_of_the_old_one(self, place, alice):
        old, old_text = await add(place, alice, expires=NOON + DAY)
        await place.directory.rotate_key(old, 30 * 86_400)

        assert await place.directory.find_key(old_text, NOON + DAY) is None

    async def test_without_overlap_the_old_one_ends_now(self, place, alice):
        old, old_text = await add(place, alice)
        await place.directory.rotate_key(old, 0)

        assert await place.directory.find_key(old_text, NOON) is None

    async def test_the_name_refers_to_the_latest(self, place, alice):
        old, _ = await add(place, alice)
        place.now += SECOND
        new, _ = await place.directory.rotate_key(old, 3600)

        assert (await place.directory.key("ci")).key_id == new.key_id

    async def test_revoking_by_name_ends_both(self, place, alice):
        """
        A leaked key is not safe because it was rotated an hour ago.
        """
        old, old_text = await add(place, alice)
        _, new_text = await place.directory.rotate_key(old, 3600)
        await place.directory.revoke_key("ci")

        assert await place.directory.find_key(old_text, NOON) is None
        assert await place.directory.find_key(new_text, NOON) is None

    async def test_each_key_that_a_name_ends_has_its_audit_line(self, place, alice):
        """
        A search of the log for the id of a leaked key must find when it ended.
        """
        old, _ = await add(place, alice)
        place.now += SECOND
        new, _ = await place.directory.rotate_key(old, 3600)
        await place.directory.revoke_key("ci", member=alice)

        assert [(each.subject, each.detail) for each in await place.audit.entries(action="key.revoke")] == [
            (f"alice/ci ({old.key_id})", "by alice"),
            (f"alice/ci ({new.key_id})", "by alice"),
        ]

    async def test_each_key_that_ends_with_a_membership_has_its_audit_line(self, place, alice):
        bobby = await place.directory.add_user("bobby")
        acme = await place.directory.add_organization("acme", alice)
        await place.directory.set_member(acme, bobby, Role.COLLABORATOR)
        ended, _ = await add(place, acme, creator=bobby)
        await add(place, acme, name="nobodys")
        await place.directory.remove_member(acme, bobby)

        assert [(each.subject, each.detail) for each in await place.audit.entries(action="key.revoke")] == [
            (f"acme/ci ({ended.key_id})", "bobby left acme")
        ]

    async def test_one_key_is_rotated_once_by_two_processes(self, place, other, alice):
        old, _ = await add(place, alice)
        ended = await asyncio.gather(
            place.directory.rotate_key(old, 60), other.directory.rotate_key(old, 60), return_exceptions=True
        )

        assert sorted(type(each).__name__ for each in ended) == ["Conflict", "tuple"]

    async def test_a_revoked_key_is_not_rotated(self, place, alice):
        old, _ = await add(place, alice)
        await place.directory.revoke_key("ci")

        with pytest.raises(Conflict, match="revoked"):
            await place.directory.rotate_key(old, 60)


class TestLastUsed:
    async def test_it_is_written_when_the_process_ends(self, place, other, alice):
        key, _ = await add(place, alice)
        other.directory.note_used(key.key_id, NOON + 5)
        other.directory.note_used(key.key_id, NOON + 7)
        other.directory.close()
        await other.database.write(lambda connection: None)

        assert (await place.directory.key("ci")).last_used == NOON + 7

    async def test_it_never_goes_back(self, place, other, alice):
        key, _ = await add(place, alice)
        for each, at in ((place, NOON + 7), (other, NOON + 5)):
            each.directory.note_used(key.key_id, at)
            each.directory.close()
            await each.database.write(lambda connection: None)

        assert (await place.directory.key("ci")).last_used == NOON + 7

    async def test_many_uses_cause_no_write(self, place, alice):
        key, _ = await add(place, alice)
        before = place.database.fetch_now("PRAGMA data_version")
        for at in range(10_000):
            place.directory.note_used(key.key_id, NOON + at)

        assert place.database.fetch_now("PRAGMA data_version") == before
