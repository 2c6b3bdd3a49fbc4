"""A server that nobody can manage yet explains how to begin."""

import stat

from nugetproxy.accounts.beginning import has_administrator, how_to_begin
from nugetproxy.storage.database.opening import MAIN
from tests.accounts.places import Place


def test_a_directory_without_a_database_has_none(tmp_path):
    assert not has_administrator(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_has_none(tmp_path):
    (tmp_path / MAIN).touch()

    assert not has_administrator(tmp_path)


async def test_ordinary_users_are_none(place):
    await place.directory.add_user("alice")

    assert not has_administrator(place.path)


async def test_an_administrator_is_seen_while_the_server_runs(place):
    await place.directory.add_user("alice", administrator=True)

    assert has_administrator(place.path)


async def test_and_when_it_does_not(tmp_path):
    place = Place(tmp_path)
    await place.directory.add_user("alice", administrator=True)
    place.close()

    assert has_administrator(tmp_path)


def test_an_unreadable_database_gives_no_wrong_advice(tmp_path):
    (tmp_path / MAIN).write_bytes(b"not a database" * 100)

    assert has_administrator(tmp_path)


def test_the_advice_names_the_same_directory():
    told = how_to_begin("./my data")

    assert "nugetproxy user add NAME --admin --data './my data'" in told
    assert "nugetproxy prefix reserve 'PREFIX.*' --owner NAME --data './my data'" in told
    assert "nugetproxy key add KEYNAME --owner NAME --data './my data'" in told


def test_the_advice_starts_the_program_as_it_was_started():
    told = how_to_begin("", program=".venv/bin/nugetproxy")

    assert [line.split()[0] for line in told.splitlines()[1:]] == [".venv/bin/nugetproxy"] * 3


def test_only_its_owner_can_read_the_database(place):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.path.iterdir()}

    assert set(modes.values()) == {0o600}
    assert MAIN in modes
