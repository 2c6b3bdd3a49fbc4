"""Verification keys: the most restricted keys, each valid for one verification."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import ANONYMOUS, DAY, Account, Actor, Role, Scope, now_us
from nugetproxy.errors import Forbidden, NotAuthenticated, PackageNotFound, VersionNotFound
from nugetproxy.hosting.verification import VerificationKeys
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from tests.hosting.house import House

UTILS = PackageId.parse("Contoso.Utils")
VERSION = PackageIdentity.parse("Contoso.Utils", "1.0.0")


class Desk:
    def __init__(self, path: Path) -> None:
        self.house = House(path)
        self.directory = Directory(self.house.database, self.house.revisions)
        self.keys = VerificationKeys(self.house.database, self.directory, self.house.ownership)

    async def user(self, name: str) -> tuple[Account, Actor]:
        """A user with a key that can push."""
        account = await self.directory.add_user(name)
        _, text = await self.directory.add_key(
            account, None, name="push", scopes=(Scope.PUSH,), expires=now_us() + 5 * DAY
        )
        return account, await self.actor(text)

    async def actor(self, text: str) -> Actor:
        actor = await self.directory.actor_by_key(text, now_us())
        assert actor is not None
        return actor


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.directory.close()
    desk.house.close()


async def test_a_key_lives_a_day_and_covers_one_id(desk):
    _, actor = await desk.user("bob")
    now = now_us()
    text, expires = await desk.keys.create(actor, UTILS, now)
    key = (await desk.actor(text)).key
    assert key is not None
    assert (expires, key.expires) == (now + DAY, now + DAY)
    assert (key.scopes, key.globs) == (frozenset(), ("Contoso.Utils",))
    assert await desk.directory.actor_by_key(text, now + DAY) is None


async def test_verifying_uses_it_up(desk):
    _, actor = await desk.user("bob")
    await desk.house.push(actor)
    text, _ = await desk.keys.create(actor, UTILS, now_us())
    await desk.keys.verify(await desk.actor(text), UTILS, VERSION)
    assert await desk.directory.actor_by_key(text, now_us()) is None


async def test_of_many_concurrent_uses_one_succeeds(desk):
    _, actor = await desk.user("bob")
    await desk.house.push(actor)
    text, _ = await desk.keys.create(actor, UTILS, now_us())
    shown = [await desk.actor(text) for _ in range(5)]
    told = await asyncio.gather(*(desk.keys.verify(each, UTILS, None) for each in shown), return_exceptions=True)
    assert Counter(map(type, told)) == {type(None): 1, Forbidden: 4}


async def test_a_refusal_does_not_use_it_up(desk):
    _, actor = await desk.user("bob")
    await desk.house.push(actor)
    await desk.house.push(actor, "Contoso.Other")
    text, _ = await desk.keys.create(actor, UTILS, now_us())
    with pytest.raises(VersionNotFound):
        await desk.keys.verify(await desk.actor(text), UTILS, PackageIdentity.parse("Contoso.Utils", "9.0.0"))
    with pytest.raises(PackageNotFound):
        await desk.keys.verify(await desk.actor(text), PackageId.parse("Contoso.Nothing"), None)
    with pytest.raises(Forbidden):
        await desk.keys.verify(await desk.actor(text), PackageId.parse("Contoso.Other"), None)
    await desk.keys.verify(await desk.actor(text), UTILS, None)


async def test_only_an_actor_who_may_push_gets_one(desk):
    _, bob = await desk.user("bob")
    _, carol = await desk.user("carol")
    await desk.house.push(bob)
    with pytest.raises(Forbidden):
        await desk.keys.create(carol, UTILS, now_us())
    with pytest.raises(NotAuthenticated):
        await desk.keys.create(ANONYMOUS, UTILS, now_us())


async def test_an_ordinary_key_verifies_nothing(desk):
    _, actor = await desk.user("bob")
    await desk.house.push(actor)
    with pytest.raises(Forbidden):
        await desk.keys.verify(actor, UTILS, VERSION)


async def test_a_key_with_only_the_name_verifies_nothing(desk):
    """
    It would be used up by that.
    """
    bob, actor = await desk.user("bob")
    await desk.house.push(actor)
    _, text = await desk.directory.add_key(
        bob, None, name="verification-ci", scopes=(Scope.READ,), globs=("Contoso.Utils",), expires=now_us() + DAY
    )
    with pytest.raises(Forbidden):
        await desk.keys.verify(await desk.actor(text), UTILS, VERSION)
    assert await desk.directory.actor_by_key(text, now_us()) is not None


async def test_it_is_invalid_once_its_owner_lost_the_id(desk):
    bob, actor = await desk.user("bob")
    carol, _ = await desk.user("carol")
    await desk.house.push(actor)
    text, _ = await desk.keys.create(actor, UTILS, now_us())
    await desk.house.ownership.add_owner("contoso.utils", carol)
    await desk.house.ownership.remove_owner("contoso.utils", bob)
    with pytest.raises(Forbidden):
        await desk.keys.verify(await desk.actor(text), UTILS, VERSION)


async def test_keys_for_an_organisation_end_when_the_member_leaves(desk):
    bob, _ = await desk.user("bob")
    carol, _ = await desk.user("carol")
    org = await desk.directory.add_organization("Contoso", bob)
    await desk.directory.set_member(org, carol, Role.ADMINISTRATOR)
    _, text = await desk.directory.add_key(org, carol, name="push", scopes=(Scope.PUSH,), expires=now_us() + 5 * DAY)
    await desk.house.push(await desk.actor(text))
    verification, _ = await desk.keys.create(await desk.actor(text), UTILS, now_us())
    await desk.directory.remove_member(org, carol)
    assert await desk.directory.actor_by_key(verification, now_us()) is None
