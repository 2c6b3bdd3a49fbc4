"""Codes of command lines, on every engine: allowed by a person, taken once by the program, gone after ten minutes."""

import pytest

from nugetproxy.accounts.device_grants import KEY_LIFE, LIFE, DeviceGrants, Waiting, shown, typed
from nugetproxy.accounts.model import Scope
from nugetproxy.errors import Busy, Forbidden
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.database.opening import open_main_database
from tests.accounts.places import Place


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
def grants(place):
    return DeviceGrants(place.database, clock=lambda: place.now)


async def test_a_program_gets_a_key_that_reads_once_it_is_allowed(place, grants):
    alice = await place.directory.add_user("alice")
    begun = await grants.begin("laptop\n", "192.0.2.1")
    for _ in range(2):
        with pytest.raises(Waiting):
            await grants.take(begun.secret, address="")
    found = await grants.find(shown(begun.user_code).lower())
    assert found is not None
    assert (found.label, found.address) == ("laptop", "192.0.2.1")

    assert await grants.allow(begun.user_code, alice, address="192.0.2.2")
    assert not await grants.allow(begun.user_code, alice, address="")
    assert await grants.find(begun.user_code) is None
    assert await grants.take(begun.user_code, address="") is None  # the code is not the secret
    taken = await grants.take(begun.secret, address="192.0.2.1")
    assert taken is not None
    key, text = taken
    assert (key.owner, key.creator, key.scopes) == (alice, alice, {Scope.READ})
    assert key.expires - key.created == KEY_LIFE
    assert await place.directory.find_key(text, place.now) == key
    assert await grants.take(begun.secret, address="") is None
    [line] = await place.audit.latest(None, action="device.allow")
    assert (line.actor, line.address) == ("alice", "192.0.2.2")


async def test_codes_end(place, grants):
    alice = await place.directory.add_user("alice")
    begun = await grants.begin("x", "")
    place.now += LIFE
    assert await grants.find(begun.user_code) is None
    assert not await grants.allow(begun.user_code, alice, address="")
    assert await grants.take(begun.secret, address="") is None
    await grants.begin("x", "")
    assert await place.database.fetch("SELECT count(*) FROM device_grants") == [(1,)]


async def test_a_person_who_was_disabled_meanwhile_gives_nothing(place, grants):
    await place.directory.add_user("root", administrator=True)
    alice = await place.directory.add_user("alice")
    begun = await grants.begin("x", "")
    assert await grants.allow(begun.user_code, alice, address="")
    await place.directory.disable("alice")
    with pytest.raises(Forbidden):
        await grants.take(begun.secret, address="")


async def test_not_too_many_wait(place, grants, monkeypatch):
    monkeypatch.setattr("nugetproxy.accounts.device_grants._MOST", 2)
    for _ in range(2):
        await grants.begin("x", "")
    with pytest.raises(Busy):
        await grants.begin("x", "")


def test_codes_are_typed_in_any_way():
    assert typed(" bcdf-ghjk ") == typed("BCDF GHJK") == "BCDFGHJK"
    assert len(typed("B" * 100)) == 9  # too long stays wrong
