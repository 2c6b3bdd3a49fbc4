"""Accounts, ownership, audit and policy on every engine: the same acts have the same results.

What the right results are is tested elsewhere, on SQLite.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Set
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.accounts.audit import AuditEntry
from nugetproxy.accounts.import_file import ImportedUser
from nugetproxy.accounts.importing import import_users
from nugetproxy.accounts.model import ANONYMOUS, COMMAND_LINE, DAY, AccountKind, Actor, Role, Scope
from nugetproxy.accounts.policy_exceptions import PolicyExceptions
from nugetproxy.errors import NugetproxyError
from nugetproxy.feeds.policy.facts import PackageFacts, SignatureState
from nugetproxy.feeds.policy.memory import PolicyMemory
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.storage.database.base import Database, Fetch, Transaction
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.database.postgres import PostgresDatabase
from tests.accounts.places import IN_A_YEAR, NOON, Place, quick_passwords
from tests.engines.postgres import PostgresServer

FAR = 4_000_000_000_000_000
ID = PackageId.parse("Contoso.Core")
ONE, TWO = (PackageIdentity.parse("Contoso.Core", version) for version in ("1.0.0", "2.0.0"))
Open = Callable[[Database], Place]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    places: list[Place] = []

    def open_it(database: Database) -> Place:
        path = tmp_path / str(len(places))
        path.mkdir()
        places.append(Place(path, protected=("Acme.",), allowed_ids=("*.Tools",), database=database))
        return places[-1]

    yield open_it
    for each in places:
        each.close()


def vars_of(value: object) -> dict[str, object]:
    """The fields of a dataclass, with its type."""
    assert is_dataclass(value)
    return {"": type(value).__name__, **{each.name: getattr(value, each.name) for each in fields(value)}}


class Told:
    """What happened, in words in which nothing differs by chance."""

    def __init__(self) -> None:
        self.results: list[object] = []
        self._names: dict[str, str] = {}

    def name(self, random: str) -> None:
        """From now on, this text is left out."""
        self._names[random] = f"<{len(self._names)}>"

    def say(self, result: object) -> None:
        self.results.append(self._plain(result))

    def _plain(self, value: object) -> object:
        match value:
            case AuditEntry():
                return self._plain(vars_of(replace(value, at=0)))
            case str():
                for random, name in self._names.items():
                    value = value.replace(random, name)
                return value
            case Mapping():
                return {key: self._plain(each) for key, each in value.items()}
            case Set():
                return value
            case list() | tuple():
                return [self._plain(each) for each in value]
        return self._plain(vars_of(value)) if is_dataclass(value) else value

    async def of(self, act: Awaitable[Any]) -> Any:
        """The result of an act, None if it was refused; both are noted."""
        try:
            result = await act
        except NugetproxyError as error:
            self.say((type(error).__name__, str(error)))
            return None
        self.say(result)
        return result


@pytest.mark.parametrize("story", ["accounts", "keys", "ownership", "policy"])
async def test_the_same_acts_have_the_same_results(
    story: str, opened: Open, tmp_path: Path, postgres: PostgresServer, shared_database: str
) -> None:
    tell: Callable[[Place, Told], Awaitable[None]] = STORIES[story]
    told = []
    for database in (open_main_database(tmp_path), PostgresDatabase(postgres.dsn(shared_database))):
        place, one = opened(database), Told()
        await tell(place, one)
        one.say(await place.audit.entries())
        told.append(one.results)
    assert told[0] == told[1]


async def accounts(place: Place, told: Told) -> None:
    directory = place.directory
    alice = await told.of(directory.add_user("Alice", password="correct horse battery", administrator=True))
    await told.of(directory.add_user("aLICE"))
    bobby = await told.of(directory.add_user("bobby"))
    await told.of(directory.account("alcie"))
    await told.of(directory.account("bobby", AccountKind.ORGANIZATION))
    acme = await told.of(directory.add_organization("acme", alice))
    await told.of(directory.set_member(acme, bobby, Role.COLLABORATOR))
    await told.of(directory.set_member(acme, alice, Role.COLLABORATOR))
    await told.of(directory.set_member(acme, bobby, Role.ADMINISTRATOR))
    await told.of(directory.members(acme))
    await told.of(directory.organizations())
    await told.of(directory.actor_of(alice))
    await told.of(directory.remove_member(acme, alice))
    await told.of(directory.remove_member(acme, alice))
    await told.of(directory.disable("bobby"))
    await told.of(directory.disable("alice"))
    await told.of(directory.set_administrator("bobby", True))
    await told.of(directory.set_administrator("alice", False))
    await told.of(directory.disable("alice"))
    await told.of(directory.actor_by_password("ALICE", "correct horse battery"))
    await told.of(directory.enable("alice"))
    await told.of(directory.actor_by_password("ALICE", "correct horse battery"))
    await told.of(directory.set_password("alice", "another staple entirely"))
    await told.of(directory.actor_by_password("alice", "correct horse battery"))
    users = [
        ImportedUser(1, "carol", True, {"Fabrikam": Role.ADMINISTRATOR}),
        ImportedUser(2, "BOBBY", None, {"acme": Role.COLLABORATOR, "fabrikam": Role.COLLABORATOR}),
        ImportedUser(3, "acme", None, {}),
    ]
    for dry_run, given in ((True, users[:2]), (False, users), (False, users[:2]), (False, users[:2])):
        report = import_users(place.database, place.revisions, given, dry_run=dry_run, by=COMMAND_LINE,
                              hashing=quick_passwords(), clock=lambda: NOON)  # fmt: skip
        await told.of(report)
    await told.of(directory.accounts())


async def keys(place: Place, told: Told) -> None:
    directory = place.directory
    alice, bobby = await directory.add_user("alice"), await directory.add_user("bobby")
    acme = await directory.add_organization("acme", alice)

    async def added(owner: Any, creator: Any, name: str, **more: Any) -> Any:
        place.now += 1  # keys are listed in the order of their creation
        key, text = await directory.add_key(owner, creator, name=name, expires=IN_A_YEAR, **more)
        told.name(key.key_id)
        return key, text

    ci, text = await added(
        alice, None, "ci", scopes=[Scope.PUSH], globs=["Contoso.*", "b"], networks=["10.0.0.0/8", "::1"]
    )
    await told.of(directory.add_key(alice, None, name="CI", expires=IN_A_YEAR))
    await told.of(directory.add_key(acme, bobby, name="ci", expires=IN_A_YEAR))
    _, theirs = await added(acme, alice, "ci")
    for now in (NOON, IN_A_YEAR):
        await told.of(directory.find_key(text, now))
        await told.of(directory.actor_by_key(theirs, now))
    await told.of(directory.key("ci"))
    await told.of(directory.key("CI", acme))
    await told.of(directory.key(text))
    await told.of(directory.key("nothing"))
    for at in (NOON + 7, NOON + 5):
        directory.note_used(ci.key_id, at)
        directory.close()
    place.now += 1
    new, newer = await directory.rotate_key(ci, 60)
    told.name(new.key_id)
    await told.of(directory.rotate_key(ci, 60))
    await told.of(directory.keys(alice))
    await told.of(directory.find_key(text, NOON + DAY))
    await told.of(directory.find_key(newer, NOON + DAY))
    await told.of(directory.revoke_key("ci", acme, member=bobby))
    await told.of(directory.revoke_key("ci", alice))
    await told.of(directory.set_member(acme, bobby, Role.ADMINISTRATOR))
    await told.of(directory.remove_member(acme, alice))
    await told.of(directory.find_key(theirs, NOON))
    await told.of(directory.keys())


async def ownership(place: Place, told: Told) -> None:
    owners = place.ownership
    alice, bobby = await place.directory.add_user("alice"), await place.directory.add_user("bobby")
    for account in (bobby, alice, alice):
        await told.of(owners.add_owner(ID.lower, account))
    await told.of(owners.owners(ID.lower))
    await told.of(owners.remove_owner(ID.lower, bobby))
    await told.of(owners.remove_owner(ID.lower, bobby))
    await told.of(owners.remove_owner(ID.lower, alice))
    await told.of(owners.reserve("Contoso.*", alice, True))
    await told.of(owners.reserve("contoso.", bobby))
    await told.of(owners.reserve("Fabrikam.Core", bobby))
    await told.of(owners.reservations())
    told.say((await owners.protected()).prefixes)
    await told.of(owners.verified_among([ID.lower, "contoso.x", "other"]))
    await told.of(owners.verified_among(["other"]))

    def first(account_id: int) -> Awaitable[None]:
        return place.database.write(lambda transaction: owners.add_first_owner(transaction, ID.lower, account_id))

    await told.of(first(alice.account_id))
    await told.of(first(bobby.account_id))

    def derived(actor: Actor, text: str) -> Callable[[Fetch], object]:
        def work(fetch: Fetch) -> object:
            reach = owners.reach(fetch, actor)
            return owners.facts(fetch, PackageId.parse(text), True), sorted(reach.places), sorted(reach.owned)

        return work

    for actor in (Actor("alice", alice), ANONYMOUS):
        for text in ("Contoso.Core", "Fabrikam.Core", "x.tools"):
            await told.of(place.database.look(derived(actor, text)))
    await told.of(owners.release("Contoso.*", bobby))
    await told.of(owners.release("Contoso.*", alice))
    await told.of(owners.release("Contoso.*"))
    await told.of(owners.release("Contoso.*"))
    await told.of(owners.remove_owner(ID.lower, alice, force=True))
    await told.of(owners.reservations())


async def policy(place: Place, told: Told) -> None:
    exceptions, memory = PolicyExceptions(place.database, place.revisions), PolicyMemory(place.database)
    for because in ("first", "second"):
        await exceptions.allow(ONE, until=FAR, because=because, by=COMMAND_LINE)
    told.say([(each.version, each.because) for each in (await exceptions.of_id(ONE.lower_id)).values()])
    await told.of(exceptions.revoke(TWO, by=COMMAND_LINE))
    await told.of(exceptions.revoke(ONE, by=COMMAND_LINE))
    await told.of(exceptions.all())
    for now in (1.0, 2.0):
        await told.of(memory.seen(ONE.lower_id, [ONE.version], now))
    await told.of(memory.seen(ONE.lower_id, [ONE.version, TWO.version], 3.0))
    for why in ("a", "b"):
        await memory.remember_file(ONE, "tag", PackageFacts(SignatureState.UNSIGNED, why, ("x",), frozenset({"y"})))
    await told.of(memory.files(ONE.lower_id))
    await memory.pin([ONE, TWO, ONE])
    told.say(sorted(await memory.pins(ONE.lower_id)))


STORIES = {"accounts": accounts, "keys": keys, "ownership": ownership, "policy": policy}


def changing(sql: str) -> Callable[[Transaction], int]:
    return lambda transaction: transaction.change(sql)


async def test_the_audit_log_is_append_only_and_filtered(
    opened: Open, postgres: PostgresServer, shared_database: str
) -> None:
    place = opened(PostgresDatabase(postgres.dsn(shared_database)))
    for name in ("alice", "bobby", "carol"):
        await place.directory.add_user(name)
    for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(NugetproxyError, match="append-only"):
            await place.database.write(changing(statement))
    assert [each.subject for each in await place.audit.latest(2)] == ["bobby", "carol"]
    assert [each.subject for each in await place.audit.latest(None, subject="bobby")] == ["bobby"]
    assert [each.subject for each in await place.audit.entries(1, 1, actor=COMMAND_LINE.name)] == ["bobby"]
