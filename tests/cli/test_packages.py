"""nugetproxy package: what is listed, what each act does, and how it is told."""

import asyncio
from pathlib import Path

import pytest

from nugetproxy.errors import VersionBurnt
from tests.accounts.places import Place
from tests.cli.command_line import ME, CommandLine
from tests.hosting.house import House


@pytest.fixture
def feed(alice: CommandLine) -> CommandLine:
    """With Contoso.Utils 1.0.0, 2.0.0-beta and 10.0.0."""
    for version in ("1.0.0", "10.0.0", "2.0.0-beta"):
        push(alice.data, version)
    return alice


def push(data: Path, version: str, said: str = "") -> None:
    async def work() -> None:
        house = House(data)
        try:
            await house.push(await house.actor("alice"), version=version, payload=said.encode())
        finally:
            house.close()

    asyncio.run(work())


def files(data: Path) -> int:
    return sum(path.is_file() for path in (data / "hosted").rglob("*"))


class TestList:
    def test_every_version_with_its_state(self, feed):
        feed.done("package", "unlist", "Contoso.Utils", "2.0.0-beta")
        feed.done("package", "delete", "Contoso.Utils", "1.0.0")
        rows = feed.json("package", "list", "contoso.utils")

        assert [(row["version"], row["state"]) for row in rows] == [
            ("1.0.0", "deleted"),
            ("2.0.0-beta", "unlisted"),
            ("10.0.0", "listed"),
        ]
        assert [(row["published"] is None, row["deleted"] is None, row["bytes"] is None) for row in rows] == [
            (True, False, True),
            (False, True, False),
            (False, True, False),
        ]

    def test_for_people(self, feed):
        feed.done("package", "delete", "Contoso.Utils", "10.0.0")
        heads, first, second, third = feed.done("package", "list", "Contoso.Utils").splitlines()

        assert heads.split() == ["VERSION", "STATE", "PUBLISHED", "BYTES"]
        assert first.split()[:2] == ["1.0.0", "listed"]
        assert second.split()[:2] == ["2.0.0-beta", "listed"]
        assert third.split()[:2] == ["10.0.0", "deleted"]

    def test_of_what_is_not_hosted(self, feed):
        assert "package 'Serilog' does not exist here" in feed.refused("package", "list", "Serilog")
        feed.refused("package", "list", "a/b", code=2)


class TestListing:
    def test_unlist_and_relist(self, feed):
        assert feed.json("package", "unlist", "contoso.utils", "1.0") == {
            "id": "contoso.utils", "version": "1.0.0", "listed": False,
        }  # fmt: skip
        assert feed.json("package", "list", "Contoso.Utils")[0]["state"] == "unlisted"
        assert feed.done("package", "relist", "Contoso.Utils", "1.0.0") == "Listed Contoso.Utils 1.0.0.\n"
        assert feed.json("package", "list", "Contoso.Utils")[0]["state"] == "listed"

    @pytest.mark.parametrize("act", ["unlist", "relist", "delete"])
    def test_of_what_is_not_there(self, feed, act):
        assert "has no version '3.0.0'" in feed.refused("package", act, "Contoso.Utils", "3.0.0")
        assert "'Serilog' does not exist here" in feed.refused("package", act, "Serilog", "1.0.0")
        feed.refused("package", act, "Contoso.Utils", "one", code=2)


class TestDelete:
    def test_the_bytes_go_and_the_name_stays_taken(self, feed):
        assert feed.json("package", "delete", "Contoso.Utils", "1.0.0") == {
            "id": "Contoso.Utils", "version": "1.0.0", "deleted": True, "reusable": False,
        }  # fmt: skip
        assert files(feed.data) == 2
        with pytest.raises(VersionBurnt):
            push(feed.data, "1.0.0", "other")

    def test_with_leave_other_bytes_take_the_name(self, feed):
        assert "may be pushed again" in feed.done("package", "delete", "Contoso.Utils", "1.0.0", "--allow-reuse")
        push(feed.data, "1.0.0", "other")

        assert feed.json("package", "list", "Contoso.Utils")[0]["state"] == "listed"

    def test_the_leave_may_come_later(self, feed):
        """
        Deleting what is deleted already gives its name free, once.
        """
        feed.done("package", "delete", "Contoso.Utils", "1.0.0")
        assert "has no version" in feed.refused("package", "delete", "Contoso.Utils", "1.0.0")
        feed.done("package", "delete", "Contoso.Utils", "1.0.0", "--allow-reuse")
        assert "has no version" in feed.refused("package", "delete", "Contoso.Utils", "1.0.0", "--allow-reuse")
        push(feed.data, "1.0.0", "other")


def test_every_act_is_a_line_by_whoever_typed_it(feed):
    for act in (("unlist",), ("relist",), ("delete",), ("delete", "--allow-reuse")):
        feed.done("package", act[0], "Contoso.Utils", "1.0.0", *act[1:])
    lines = [(each["actor"], each["action"], each["subject"], each["detail"]) for each in feed.audited()[-4:]]

    assert lines == [
        (ME, "package.unlist", "Contoso.Utils 1.0.0", ""),
        (ME, "package.relist", "Contoso.Utils 1.0.0", ""),
        (ME, "package.delete", "Contoso.Utils 1.0.0", ""),
        (ME, "package.delete", "Contoso.Utils 1.0.0", "may be pushed again"),
    ]


def test_a_running_server_is_told(feed):
    server = Place(feed.data)
    seen = [server.revisions.hosting]
    for act in ("unlist", "relist", "delete"):
        feed.done("package", act, "Contoso.Utils", "1.0.0")
        seen.append(server.revisions.hosting)
    server.close()

    assert seen == sorted(set(seen))
