"""nugetproxy package: what is listed, what each act does, and its output."""

import asyncio
import re
from pathlib import Path

import pytest

from nugetproxy.errors import VersionBurnt
from nugetproxy.hosting.statistics import Statistics
from nugetproxy.nuget.identity import PackageIdentity
from tests.accounts.places import Place
from tests.cli.command_line import ME, CommandLine
from tests.hosting.house import House


@pytest.fixture
def feed(alice: CommandLine) -> CommandLine:
    """With Contoso.Utils 1.0.0, 2.0.0-beta and 10.0.0."""
    for version in ("1.0.0", "10.0.0", "2.0.0-beta"):
        push(alice.data, version)
    return alice


def push(data: Path, version: str, said: str = "", **parts: str) -> None:
    async def work() -> None:
        house = House(data)
        try:
            await house.push(await house.actor("alice"), version=version, payload=said.encode(), **parts)
        finally:
            house.close()

    asyncio.run(work())


def count_downloads(data: Path, version: str, downloads: int) -> None:
    async def work() -> None:
        place = Place(data)
        try:
            statistics = Statistics(place.database)
            statistics.count(PackageIdentity.parse("Contoso.Utils", version), downloads)
            await statistics.flush()
        finally:
            place.close()

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

        assert heads.split() == ["VERSION", "STATE", "PUBLISHED", "BYTES", "DOWNLOADS"]
        assert first.split()[:2] == ["1.0.0", "listed"]
        assert second.split()[:2] == ["2.0.0-beta", "listed"]
        assert third.split()[:2] == ["10.0.0", "deleted"]

    def test_of_an_unknown_package(self, feed):
        assert "package 'Serilog' does not exist here" in feed.refused("package", "list", "Serilog")
        feed.refused("package", "list", "a/b", code=2)


class TestAllPackages:
    def test_one_row_for_each_id(self, feed):
        push(feed.data, "0.1.0", package_id="Contoso.Base")
        feed.done("package", "unlist", "Contoso.Utils", "10.0.0")
        feed.done("package", "delete", "Contoso.Utils", "1.0.0")
        feed.done("package", "deprecate", "Contoso.Base", "--all")
        base, utils = feed.json("package", "list")
        size = utils.pop("bytes")

        assert (base["id"], base["latest"], base["versions"], base["deprecated"]) == ("Contoso.Base", "0.1.0", 1, 1)
        assert utils == {
            "id": "Contoso.Utils", "owners": ["alice"], "latest": "2.0.0-beta", "versions": 2, "unlisted": 1,
            "deprecated": 0, "deleted": 1, "downloads": 0,
        }  # fmt: skip
        assert size == sum(row["bytes"] or 0 for row in feed.json("package", "list", "Contoso.Utils"))

    def test_for_people(self, feed):
        heads, row = feed.done("package", "list").splitlines()

        assert heads.split() == ["ID", "OWNERS", "LATEST", "VERSIONS", "BYTES", "DOWNLOADS"]
        assert row.split()[:4] == ["Contoso.Utils", "alice", "10.0.0", "3"]

    def test_an_id_whose_versions_were_all_deleted_is_still_there(self, feed):
        """
        It still hides the id from upstreams.
        """
        for version in ("1.0.0", "2.0.0-beta", "10.0.0"):
            feed.done("package", "delete", "Contoso.Utils", version)
        [row] = feed.json("package", "list")

        assert (row["id"], row["versions"], row["deleted"], row["latest"]) == ("contoso.utils", 0, 3, None)

    def test_downloads_are_counted(self, feed):
        count_downloads(feed.data, "1.0.0", 7)

        assert [row["downloads"] for row in feed.json("package", "list")] == [7]
        assert [row["downloads"] for row in feed.json("package", "list", "Contoso.Utils")] == [7, 0, 0]


class TestInfo:
    def test_of_a_package(self, feed):
        row = feed.json("package", "info", "contoso.utils")

        assert (row["id"], row["owners"], row["versions"], row["protected"]) == ("Contoso.Utils", ["alice"], 3, False)

    def test_of_a_version(self, feed):
        feed.done(
            "package", "deprecate", "Contoso.Utils", "1.0.0", "--alternate", "Contoso.Base", "--message", "Moved."
        )
        row = feed.json("package", "info", "Contoso.Utils", "1.0")

        assert (row["version"], row["state"], row["downloads"]) == ("1.0.0", "listed", 0)
        assert row["deprecation"] == {
            "reasons": ["Legacy"], "message": "Moved.", "alternate": "Contoso.Base", "alternate_range": "*",
        }  # fmt: skip

    def test_for_people(self, feed):
        shown = feed.done("package", "info", "Contoso.Utils", "1.0.0")

        assert re.search(r"^Version: +1\.0\.0$", shown, re.MULTILINE)
        assert "Deprecation" not in shown

    def test_an_authors_text_moves_no_cursor(self, feed):
        push(feed.data, "3.0.0", more="<title>first\x9b2J\u202esecond</title>")
        shown = feed.done("package", "info", "Contoso.Utils", "3.0.0")

        assert "first?2J?second" in shown

    def test_of_a_missing_version(self, feed):
        feed.done("package", "delete", "Contoso.Utils", "1.0.0")

        assert "'Serilog' does not exist here" in feed.refused("package", "info", "Serilog")
        assert "has no version '3.0.0'" in feed.refused("package", "info", "Contoso.Utils", "3.0.0")
        assert "it was deleted on 20" in feed.refused("package", "info", "Contoso.Utils", "1.0.0")


class TestDeprecate:
    def test_some_versions_and_undo(self, feed):
        told = feed.done("package", "deprecate", "Contoso.Utils", "1.0.0", "10.0", "--reason", "critical-bugs",
                         "--reason", "other", "--alternate", "Contoso.Base", "--alternate-version", "2.0")  # fmt: skip
        assert told == "Contoso.Utils 1.0.0, 10.0.0 are now deprecated.\n"
        assert feed.json("package", "info", "Contoso.Utils", "10.0.0")["deprecation"] == {
            "reasons": ["CriticalBugs", "Other"], "message": "", "alternate": "Contoso.Base",
            "alternate_range": "[2.0.0, )",
        }  # fmt: skip
        assert [row["deprecated"] for row in feed.json("package", "list", "Contoso.Utils")] == [True, False, True]

        assert feed.json("package", "deprecate", "Contoso.Utils", "--all", "--undo") == {
            "id": "Contoso.Utils", "versions": ["1.0.0", "2.0.0-beta", "10.0.0"], "deprecated": False,
        }  # fmt: skip
        assert feed.json("package", "info", "Contoso.Utils")["deprecated"] == 0

    @pytest.mark.parametrize(
        "arguments",
        [(), ("1.0.0", "--all"), ("1.0.0", "--undo", "--message", "x"), ("1.0.0", "--alternate-version", "1.0"),
         ("1.0.0", "--alternate", "a/b"), ("1.0.0", "--reason", "old"), ("one",)],
        ids=" ".join,
    )  # fmt: skip
    def test_usage_errors(self, feed, arguments):
        feed.refused("package", "deprecate", "Contoso.Utils", *arguments, code=2)
        assert feed.json("package", "info", "Contoso.Utils")["deprecated"] == 0


class TestListing:
    def test_unlist_and_relist(self, feed):
        assert feed.json("package", "unlist", "contoso.utils", "1.0") == {
            "id": "contoso.utils", "version": "1.0.0", "listed": False,
        }  # fmt: skip
        assert feed.json("package", "list", "Contoso.Utils")[0]["state"] == "unlisted"
        assert feed.done("package", "relist", "Contoso.Utils", "1.0.0") == "Listed Contoso.Utils 1.0.0.\n"
        assert feed.json("package", "list", "Contoso.Utils")[0]["state"] == "listed"

    @pytest.mark.parametrize("act", ["unlist", "relist", "deprecate", "delete"])
    def test_of_a_missing_version(self, feed, act):
        assert "has no version '3.0.0'" in feed.refused("package", act, "Contoso.Utils", "3.0.0")
        assert "'Serilog' does not exist here" in feed.refused("package", act, "Serilog", "1.0.0")
        feed.refused("package", act, "Contoso.Utils", "one", code=2)


class TestDelete:
    def test_the_bytes_are_removed_and_the_name_stays_taken(self, feed):
        assert feed.json("package", "delete", "Contoso.Utils", "1.0.0") == {
            "id": "Contoso.Utils", "version": "1.0.0", "deleted": True, "reusable": False,
        }  # fmt: skip
        assert files(feed.data) == 2
        with pytest.raises(VersionBurnt):
            push(feed.data, "1.0.0", "other")

    def test_with_allow_reuse_other_bytes_can_take_the_name(self, feed):
        assert "may be pushed again" in feed.done("package", "delete", "Contoso.Utils", "1.0.0", "--allow-reuse")
        push(feed.data, "1.0.0", "other")

        assert feed.json("package", "list", "Contoso.Utils")[0]["state"] == "listed"

    def test_reuse_can_be_allowed_later(self, feed):
        """
        Deleting a version that is already deleted releases its name, once.
        """
        feed.done("package", "delete", "Contoso.Utils", "1.0.0")
        assert "it was deleted on 20" in feed.refused("package", "delete", "Contoso.Utils", "1.0.0")
        feed.done("package", "delete", "Contoso.Utils", "1.0.0", "--allow-reuse")
        assert "has no version" in feed.refused("package", "delete", "Contoso.Utils", "1.0.0", "--allow-reuse")
        push(feed.data, "1.0.0", "other")


def test_every_act_is_a_line_with_its_user(feed):
    for act in (("unlist",), ("relist",), ("delete",), ("delete", "--allow-reuse")):
        feed.done("package", act[0], "Contoso.Utils", "1.0.0", *act[1:])
    lines = [(each["actor"], each["action"], each["subject"], each["detail"]) for each in feed.audited()[-4:]]

    assert lines == [
        (ME, "package.unlist", "Contoso.Utils 1.0.0", ""),
        (ME, "package.relist", "Contoso.Utils 1.0.0", ""),
        (ME, "package.delete", "Contoso.Utils 1.0.0", ""),
        (ME, "package.delete", "Contoso.Utils 1.0.0", "may be pushed again"),
    ]


def test_a_running_server_is_notified(feed):
    server = Place(feed.data)
    seen = [server.revisions.hosting]
    for act in ("unlist", "relist", "delete"):
        feed.done("package", act, "Contoso.Utils", "1.0.0")
        seen.append(server.revisions.hosting)
    server.close()

    assert seen == sorted(set(seen))


class TestRetain:
    RULES = '[[hosting.retention]]\nname = "ci"\naction = "delete"\nkeep_prereleases = 1\n'

    @pytest.fixture
    def settings(self, feed, tmp_path):
        push(feed.data, "2.0.0-rc")
        file = tmp_path / "settings.toml"
        file.write_text(self.RULES)
        return str(file)

    def test_a_dry_run_changes_nothing(self, feed, settings):
        told = feed.done("package", "retain", "--dry-run", "--config", settings)

        assert re.search(r"^Contoso\.Utils  2\.0\.0-beta  delete  ci ", told, re.MULTILINE)
        assert told.endswith("Would unlist 0 and delete 1 versions. Nothing was changed.\n")
        assert files(feed.data) == 4

    def test_it_retires_what_is_due(self, feed, settings):
        [row] = feed.json("package", "retain", "--config", settings)

        assert (row["id"], row["version"], row["action"], row["rule"]) == (
            "Contoso.Utils",
            "2.0.0-beta",
            "delete",
            "ci",
        )
        assert files(feed.data) == 3
        assert feed.audited()[-1]["actor"] == f"{ME}, rule ci"
        assert feed.json("package", "retain", "--config", settings) == []

    def test_without_rules_it_says_so(self, feed):
        ended = feed.run("package", "retain")

        assert (ended.exit_code, ended.stdout) == (0, "")
        assert "the settings have no rules" in ended.stderr
        assert "Nothing is due." in ended.stderr
