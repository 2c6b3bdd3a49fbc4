"""Acts of an actor who loses the right to them while they run: what counts is the moment of the commit."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import Actor, Role, Scope
from nugetproxy.errors import Forbidden
from nugetproxy.hosting import publish
from nugetproxy.hosting.publish import ListedVerb
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.storage.telling import write_and_tell
from tests.hosting.house import NOON, House

ONE = PackageIdentity.parse("contoso.utils", "1.0.0")
HERE = "192.0.2.1"
LATER = NOON // 1000 + 3600 * 1_000_000
OLD = Deprecation(("Legacy",), "use the other", "Contoso.New")

Ending = Callable[[Directory, Actor], Awaitable[Any]]

ENDINGS: dict[str, Ending] = {
    "revoked": lambda directory, actor: directory.revoke_key(key_id(actor)),
    "rotated": lambda directory, actor: rotate(directory, key_id(actor)),
    "maker disabled": lambda directory, actor: directory.disable("alice"),
    "owner disabled": lambda directory, actor: directory.disable("team"),
    "member removed": lambda directory, actor: remove_alice(directory),
}
ACTS: dict[str, Callable[[House, Actor], Awaitable[Any]]] = {
    "push": lambda house, actor: house.push(actor, version="2.0.0"),
    "push of a new id": lambda house, actor: house.push(actor, "Contoso.New"),
    "unlist": lambda house, actor: house.publish.unlist(actor, ONE, address=HERE),
    "deprecate": lambda house, actor: house.publish.deprecate(
        actor, ONE.id, [ONE.version], OLD, ListedVerb.UNCHANGED, address=HERE
    ),
}


async def rotate(directory: Directory, reference: str) -> None:
    await directory.rotate_key(await directory.key(reference), -1)


async def remove_alice(directory: Directory) -> None:
    await directory.remove_member(await directory.account("team"), await directory.account("alice"))


def key_id(actor: Actor) -> str:
    assert actor.key is not None
    return actor.key.key_id


async def with_key(house: House, directory: Directory) -> Actor:
    """A key of alice for the organisation that owns Contoso.Utils."""
    await house.actor("root", administrator=True)
    alice = (await house.actor()).account
    assert alice is not None
    team = await directory.add_organization("team", await directory.account("root"))
    await directory.set_member(team, alice, Role.COLLABORATOR)
    scopes = (Scope.PUSH, Scope.UNLIST)
    _, text = await directory.add_key(team, alice, name="ci", scopes=scopes, expires=LATER)
    actor = await directory.actor_by_key(text, NOON // 1000)
    assert actor is not None
    await house.push(actor)
    return actor


@pytest.fixture
def comes_in_between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[Any]]], None]:
    """The given event happens after an act was judged, before it is written."""

    def install(event: Callable[[], Awaitable[Any]]) -> None:
        begun = False

        async def write_late(*arguments: Any) -> Any:
            nonlocal begun
            if not begun:
                begun = True
                await event()
            return await write_and_tell(*arguments)

        monkeypatch.setattr(publish, "write_and_tell", write_late)

    return install


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_key_that_ends_meanwhile_changes_nothing(
    house: House, comes_in_between: Any, ending: str, act: str
) -> None:
    directory = Directory(house.database, house.revisions, clock=lambda: NOON // 1000)
    actor = await with_key(house, directory)
    before, files = await house.packages.of("contoso.utils"), house.files()
    comes_in_between(lambda: ENDINGS[ending](directory, actor))
    with pytest.raises(Forbidden):
        await ACTS[act](house, actor)
    assert await house.packages.of("contoso.utils") == before
    assert house.files() == files
    assert (await house.audit.latest(1))[0].result == "refused"


@pytest.mark.parametrize("act", ACTS)
async def test_a_user_disabled_during_an_act_changes_nothing(house: House, comes_in_between: Any, act: str) -> None:
    directory = Directory(house.database, house.revisions)
    alice = await house.actor()
    await house.push(alice)
    before = await house.packages.of("contoso.utils")
    comes_in_between(lambda: directory.disable("alice"))
    with pytest.raises(Forbidden):
        await ACTS[act](house, alice)
    assert await house.packages.of("contoso.utils") == before


async def test_a_former_administrator_deletes_nothing(house: House, comes_in_between: Any) -> None:
    directory = Directory(house.database, house.revisions)
    await house.actor("other", administrator=True)
    root = await house.actor("root", administrator=True)
    await house.push(root)
    comes_in_between(lambda: directory.set_administrator("root", False))
    with pytest.raises(Forbidden):
        await house.publish.delete(root, ONE, address=HERE)
    assert await house.packages.find(ONE) is not None


async def test_other_changes_of_accounts_do_not_matter(house: House, comes_in_between: Any) -> None:
    directory = Directory(house.database, house.revisions, clock=lambda: NOON // 1000)
    actor = await with_key(house, directory)
    comes_in_between(lambda: directory.add_user("carol"))
    await house.push(actor, version="2.0.0")
    assert [each.identity.lower_version for each in await house.packages.of("contoso.utils")] == ["1.0.0", "2.0.0"]
