"""Sessions on every engine: how they begin, what they give, and all the ways in which they end."""

import pytest

from nugetproxy.accounts.model import SECOND, Role
from nugetproxy.accounts.sessions import MOST, SEEN_AFTER, Sessions, form_token
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.opening import open_main_database
from tests.accounts.places import NOON, Place

HOUR = 3600 * SECOND


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    if request.param == "postgres":
        from nugetproxy.storage.database.postgres import PostgresDatabase

        name = request.getfixturevalue("shared_database")
        database: Database = PostgresDatabase(request.getfixturevalue("postgres").dsn(name))
    else:
        database = open_main_database(tmp_path)
    opened = Place(tmp_path, database=database)
    yield opened
    opened.close()


@pytest.fixture
def sessions(place):
    return Sessions(place.database, idle=2 * 3600, lifetime=24 * 3600, clock=lambda: place.now)


async def begun(sessions, user, **more):
    return await sessions.begin(user, address="192.0.2.1", agent="Browser/1.0", **more)


async def test_a_session_is_found_by_its_secret_alone(place, sessions):
    alice = await place.directory.add_user("alice")
    secret = await begun(sessions, alice)

    found = await sessions.find(secret)
    assert found is not None
    session, actor = found
    assert (session.account, actor.account, actor.key) == (alice, alice, None)
    assert await sessions.find("") is None
    assert await sessions.find(secret[:-1]) is None
    assert await sessions.find(session.session_id) is None
    [(digest,)] = await place.database.fetch("SELECT digest FROM sessions")
    assert secret.encode() not in bytes(digest)
    assert form_token(secret) != form_token(secret + "x")


async def test_it_ends_when_it_is_not_used_and_in_any_case(place, sessions):
    secret = await begun(sessions, await place.directory.add_user("alice"))
    for _ in range(23):
        place.now += HOUR
        assert await sessions.find(secret) is not None
        await place.database.write(lambda transaction: None)  # behind the note of its use
    place.now += HOUR
    assert await sessions.find(secret) is None

    secret = await begun(sessions, await place.directory.account("alice"))
    place.now += 2 * HOUR
    assert await sessions.find(secret) is None
    await begun(sessions, await place.directory.account("alice"))
    assert await place.database.fetch("SELECT count(*) FROM sessions") == [(1,)]


async def test_its_use_is_written_once_a_minute(place, sessions):
    alice = await place.directory.add_user("alice")
    secret = await begun(sessions, alice)
    for later, seen in ((SEEN_AFTER - 1, NOON), (1, NOON + SEEN_AFTER)):
        place.now += later
        await sessions.find(secret)
        await place.database.write(lambda transaction: None)
        assert [each.seen for each in await sessions.of(alice)] == [seen]


async def test_signing_in_again_ends_the_session_that_the_browser_had(place, sessions):
    alice = await place.directory.add_user("alice")
    first = await begun(sessions, alice)
    second = await begun(sessions, alice, instead_of=first)

    assert first != second
    assert await sessions.find(first) is None
    assert await sessions.find(second) is not None


async def test_a_person_ends_their_own_sessions_only(place, sessions):
    alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
    mine, other, theirs = [await begun(sessions, each) for each in (alice, alice, bobby)]
    [foreign] = await sessions.of(bobby)

    assert await sessions.end_of(alice, foreign.session_id, address="") == 0
    await sessions.end(other)
    assert [each.account for each in await sessions.of(alice)] == [alice]
    assert await sessions.end_of(alice, address="") == 1
    assert await sessions.find(mine) is None
    assert await sessions.find(theirs) is not None


async def test_a_changed_password_and_a_disabled_user_end_sessions(place, sessions):
    alice = await place.directory.add_user("alice")
    first = await begun(sessions, alice)
    await place.directory.set_password("alice", "another staple entirely")
    assert await sessions.find(first) is None

    second = await begun(sessions, alice)
    await place.directory.disable("alice")
    assert await sessions.find(second) is None
    await place.directory.enable("alice")
    assert await sessions.find(second) is None


async def test_an_administrator_signs_a_user_out(place, sessions):
    alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
    mine, theirs = await begun(sessions, alice), await begun(sessions, bobby)

    assert await place.directory.sign_out("ALICE") == alice
    assert await sessions.find(mine) is None
    assert await sessions.find(theirs) is not None
    assert [each.subject for each in await place.audit.latest(None, action="user.sign-out")] == ["alice"]


async def test_rights_are_those_of_now(place, sessions):
    await place.directory.add_user("root", administrator=True)
    root, alice = await place.directory.account("root"), await place.directory.add_user("alice")
    acme = await place.directory.add_organization("acme", root)
    secret = await begun(sessions, alice)

    await place.directory.set_member(acme, alice, Role.COLLABORATOR)
    assert dict((await sessions.find(secret))[1].memberships) == {acme.account_id: Role.COLLABORATOR}
    await place.directory.remove_member(acme, alice)
    assert dict((await sessions.find(secret))[1].memberships) == {}


async def test_their_number_is_bounded(place, sessions):
    alice = await place.directory.add_user("alice")
    for _ in range(MOST + 3):
        place.now += 1
        await begun(sessions, alice)
    assert len(await sessions.of(alice)) == MOST
