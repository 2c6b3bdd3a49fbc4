"""Each change of hosted packages is announced in its own transaction, and not acknowledged until all have seen it."""

import asyncio

import pytest

from nugetproxy.accounts.directory import Directory
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.revisions import Change
from tests.hosting.house import House

UTILS = Change.of_hosting("contoso.utils")
ONE = PackageIdentity.parse("Contoso.Utils", "1.0.0")


class Announcements:
    """Replaces the three steps in the revisions of a house; a caller waits until `seen` is set."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[object] = []
        self.seen = asyncio.Event()
        for name in ("note", "committed", "seen_everywhere"):
            monkeypatch.setattr(house.revisions, name, getattr(self, name))

    def note(self, transaction, change):
        transaction.fetch("SELECT 1")  # it is open
        self.steps.append(change)
        return len(self.steps)

    def committed(self, number, change):
        self.steps.append("committed")

    async def seen_everywhere(self, number):
        await self.seen.wait()
        self.steps.append("seen")


async def push(house):
    await house.push(await house.actor(), "Contoso.Utils", "2.0.0")


async def unlist(house):
    await house.publish.unlist(await house.actor(), ONE, address="")


async def delete(house):
    await house.publish.delete(await house.actor("root", administrator=True), ONE, address="")


async def add_user(house):
    await Directory(house.database, house.revisions).add_user("bob")


@pytest.mark.parametrize(
    ("act", "change"), [(push, UTILS), (unlist, UTILS), (delete, UTILS), (add_user, Change.of_accounts())]
)
async def test_a_change_is_acknowledged_once_it_is_seen_everywhere(house, monkeypatch, act, change):
    await house.push(await house.actor())
    announcements = Announcements(house, monkeypatch)
    acting = asyncio.create_task(act(house))
    async with asyncio.timeout(10):
        while "committed" not in announcements.steps:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.01)

    assert not acting.done()
    announcements.seen.set()
    await acting
    assert announcements.steps == [change, "committed", "seen"]
