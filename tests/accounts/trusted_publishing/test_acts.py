"""Policies and exchanges on every engine: a token is used once, ids are pinned, keys end with their policy."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nugetproxy.accounts.model import COMMAND_LINE, DAY, Role, Scope
from nugetproxy.accounts.trusted_publishing.acts import KEY_LIFE, Policies, TokenExchange
from nugetproxy.accounts.trusted_publishing.policy import Source, github
from nugetproxy.errors import Conflict, Forbidden, InvalidRequest, TokenRefused
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.opening import open_main_database
from tests.accounts.places import NOON, Place
from tests.engines.postgres import PostgresServer
from tests.fakes.issuer import AUDIENCE, GITHUB, claims_of, public, rsa_key, signed

ISSUER = "https://issuer.test"
KEY = rsa_key("one")
SOURCE = github("contoso/sdk", "release.yml", issuer=ISSUER)


class Published:
    """The keys of any issuer; `asked` counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def keys(self, issuer: str, key_id: str):
        self.asked += 1
        return [public(KEY)]


class Desk:
    """Trusted publishing at one place."""

    def __init__(self, place: Place) -> None:
        self.place, self.published = place, Published()
        self.policies = Policies(place.database, place.revisions, clock=lambda: place.now)
        self.exchanging = TokenExchange(
            place.database, place.audit, self.published, [AUDIENCE], clock=lambda: place.now
        )

    async def add(self, name: str = "release", owner: str = "alice", creator: str = "", source: Source = SOURCE):
        directory = self.place.directory
        by = await directory.account(creator) if creator else None
        return await self.policies.add(
            name, source, await directory.account(owner), by, ("Contoso.*",), by=COMMAND_LINE
        )

    def token(self, **changed):
        now = self.place.now // 1_000_000
        return signed(claims_of(ISSUER, GITHUB, iat=now, nbf=now, exp=now + 300, **changed), KEY)

    async def exchange(self, user: str = "alice", token: str = "", **changed):
        return await self.exchanging.exchange(user, token or self.token(**changed), "192.0.2.1")

    async def refused(self, user: str = "alice", token: str = "", **changed) -> str:
        with pytest.raises(TokenRefused) as refused:
            await self.exchange(user, token, **changed)
        return str(refused.value)

    async def lines(self, action: str) -> list[str]:
        return [each.detail for each in await self.place.audit.latest(None, action=action)]


@pytest.fixture(params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    opening: dict[str, Callable[[], Database]] = {"sqlite": lambda: open_main_database(tmp_path)}
    if request.param == "postgres":
        from nugetproxy.storage.database.postgres import PostgresDatabase

        server: PostgresServer = request.getfixturevalue("postgres")
        name = request.getfixturevalue("shared_database")
        opening["postgres"] = lambda: PostgresDatabase(server.dsn(name))
    place = Place(tmp_path, database=opening[request.param]())
    yield Desk(place)
    place.close()


async def test_a_token_becomes_a_key_that_pushes_for_an_hour(desk):
    alice = await desk.place.directory.add_user("alice")
    await desk.add()

    key, text = await desk.exchange()

    assert (key.owner, key.creator, key.scopes, key.globs) == (alice, None, {Scope.PUSH}, ("Contoso.*",))
    assert key.expires - key.created == KEY_LIFE == 3_600_000_000
    assert await desk.place.directory.find_key(text, NOON) == key
    assert await desk.place.directory.find_key(text, NOON + KEY_LIFE) is None
    [policy] = await desk.policies.all()
    assert (policy.pinned, policy.last_used) == ({"repository_owner_id": "65", "repository_id": "74"}, NOON)
    [added] = await desk.lines("key.add")
    assert added.startswith("repository 'Contoso/sdk', repository_id '74', ")
    assert await desk.lines("trusted-publishing.pin") == ["repository_owner_id 65, repository_id 74"]


async def test_a_token_is_used_once(desk):
    await desk.place.directory.add_user("alice")
    await desk.add()
    token = desk.token()

    done = await asyncio.gather(*(desk.exchange(token=token) for _ in range(5)), return_exceptions=True)

    assert sorted(type(each).__name__ for each in done) == ["TokenRefused"] * 4 + ["tuple"]
    assert "used before" in await desk.refused(token=token)
    desk.place.now += 299_000_000
    assert "used before" in await desk.refused(token=token)
    assert len(await desk.place.directory.keys()) == 1


async def test_used_tokens_are_forgotten_when_they_and_their_keys_have_ended(desk):
    await desk.place.directory.add_user("alice")
    await desk.add()
    for _ in range(3):
        await desk.exchange()
        desk.place.now += KEY_LIFE + 1

    assert await desk.place.database.fetch("SELECT count(*) FROM publishing_tokens") == [(1,)]


async def test_a_repository_that_took_over_the_name_gets_nothing(desk):
    await desk.place.directory.add_user("alice")
    await desk.add()
    await desk.exchange()

    why = await desk.refused(repository_id="75")

    assert why.startswith("No matching trust policy owned by user 'alice' was found. The token is from repository")
    assert "74" not in why
    [line] = await desk.lines("trusted-publishing.exchange")
    assert "75" in line


async def test_who_asks_for_keys_must_name_the_user_of_the_policy(desk):
    directory = desk.place.directory
    alice, bobby = await directory.add_user("alice"), await directory.add_user("bobby")
    acme = await directory.add_organization("acme", alice)
    await directory.set_member(acme, bobby, Role.COLLABORATOR)
    await desk.add(owner="acme", creator="bobby")

    for other in ("alice", "acme", "nobody", "x\n"):
        assert (await desk.refused(other)).startswith("No matching trust policy owned by user")
    assert desk.published.asked == 0
    key, text = await desk.exchange("BOBBY")
    assert (key.owner, key.creator) == (acme, bobby)

    await directory.remove_member(acme, bobby)
    assert await directory.find_key(text, NOON) is None
    assert "policy 'release' cannot be used" in await desk.refused("bobby")


async def test_disabled_accounts_get_nothing(desk):
    directory = desk.place.directory
    await directory.add_user("root", administrator=True)
    alice, root = await directory.add_user("alice"), await directory.account("root")
    acme = await directory.add_organization("acme", root)
    await directory.set_member(acme, alice, Role.COLLABORATOR)
    await desk.add(owner="acme", creator="alice")

    await directory.disable("acme")
    assert "is disabled" in await desk.refused()
    await directory.enable("acme")
    await directory.disable("alice")
    assert "No matching trust policy" in await desk.refused()


async def test_only_issuers_that_a_policy_names_are_asked(desk):
    await desk.place.directory.add_user("alice")
    await desk.add()
    stranger = signed(claims_of("https://evil.test", GITHUB), KEY)

    assert "issuer is 'https://evil.test'" in await desk.refused(token=stranger)
    assert desk.published.asked == 0


async def test_the_policy_that_fits_is_found_and_the_nearest_one_explains(desk):
    await desk.place.directory.add_user("alice")
    await desk.add("one", source=github("contoso/sdk", "one.yml", issuer=ISSUER))
    await desk.add("two", source=github("contoso/sdk", "release.yml", "production", issuer=ISSUER))

    key, _ = await desk.exchange()
    assert key.name.startswith("two-")
    assert (await desk.refused(environment="x")).startswith("policy 'one': expected workflow 'one.yml'")


async def test_removing_a_policy_ends_its_keys(desk):
    await desk.place.directory.add_user("alice")
    await desk.add()
    await desk.add("other", source=github("contoso/other", "release.yml", issuer=ISSUER))
    key, text = await desk.exchange()
    before = desk.place.revisions.accounts

    assert [each.key_id for each in await desk.policies.remove("RELEASE", by=COMMAND_LINE)] == [key.key_id]

    assert desk.place.revisions.accounts != before
    assert await desk.place.directory.find_key(text, NOON) is None
    assert [each.name for each in await desk.policies.all()] == ["other"]
    assert "No matching trust policy" in await desk.refused()
    with pytest.raises(InvalidRequest):
        await desk.policies.remove("release", by=COMMAND_LINE)


async def test_policies_that_cannot_be_added(desk):
    directory = desk.place.directory
    alice = await directory.add_user("alice")
    await directory.add_user("bobby")
    await directory.add_organization("acme", alice)
    await desk.add()

    with pytest.raises(Conflict):
        await desk.add("Release")
    with pytest.raises(Forbidden):
        await desk.add("x", owner="acme", creator="bobby")
    with pytest.raises(InvalidRequest):
        await desk.add("x", creator="acme")
    with pytest.raises(InvalidRequest):
        await desk.add("a b")
    desk.place.now += 8 * DAY
    assert "7 days" in await desk.refused()
