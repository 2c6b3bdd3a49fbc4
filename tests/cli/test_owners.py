"""nugetproxy owner, nugetproxy prefix: the owners of ids."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from nugetproxy.storage.documents.disk import DiskDocuments
from tests.hosting.house import House
from tests.httpcache.documents import a_document


class TestOwnersAndPrefixes:
    def test_owners(self, alice):
        alice.done("org", "add", "Contoso", "--admin", "alice")
        assert alice.json("owner", "add", "Contoso.Core", "contoso")["owners"] == ["Contoso"]
        assert alice.json("owner", "add", "contoso.core", "alice")["owners"] == ["alice", "Contoso"]
        assert alice.json("owner", "remove", "Contoso.Core", "alice")["owners"] == ["Contoso"]
        assert "last owner" in alice.refused("owner", "remove", "Contoso.Core", "Contoso")
        assert alice.json("owner", "remove", "Contoso.Core", "Contoso", "--force")["owners"] == []
        assert alice.run("owner", "list", "Contoso.Core").stderr == "Contoso.Core has no owners.\n"

    def test_an_invalid_id(self, alice):
        alice.refused("owner", "list", "a/b", code=2)

    def test_reserving(self, alice):
        made = alice.json("prefix", "reserve", "Contoso.*", "--owner", "alice")

        assert made == {
            "pattern": "Contoso.*", "owners": ["alice"], "shared": False, "from": "reservation", "protected": True,
        }  # fmt: skip

    def test_a_shared_prefix_says_that_it_is_not_protected(self, alice):
        ended = alice.run("prefix", "reserve", "Contoso.*", "--owner", "alice", "--shared")

        assert "upstreams are still asked for ids below Contoso.*" in ended.stderr
        assert "shared" in ended.stdout

    def test_sharing_stays_unchanged(self, alice):
        alice.done("user", "add", "bobby")
        for options, expected in (
            (("--shared",), True), ((), True), (("--not-shared",), False), ((), False), (("--shared",), True),
        ):  # fmt: skip
            made = alice.json("prefix", "reserve", "Team.*", "--owner", "bobby", *options)
            assert (made["shared"], made["protected"]) == (expected, not expected)

    def test_one_owner_is_removed(self, alice):
        alice.done("user", "add", "bobby")
        for name in ("alice", "bobby"):
            alice.done("prefix", "reserve", "Team.*", "--owner", name)
        alice.done("prefix", "release", "Team.*", "--owner", "alice")

        assert [each["owners"] for each in alice.json("prefix", "list")] == [["bobby"]]
        assert "for bobby alone" in alice.refused("prefix", "release", "Team.*", "--owner", "bobby")

    def test_a_prefix_that_ends_inside_a_word_needs_an_option(self, alice):
        assert "--wide" in alice.refused("prefix", "reserve", "Team*", "--owner", "alice", code=2)
        assert alice.json("prefix", "reserve", "Team*", "--owner", "alice", "--wide")["pattern"] == "Team*"
        alice.refused("prefix", "reserve", "T*", "--owner", "alice", "--wide", code=2)

    def test_listing_and_releasing(self, alice, tmp_path):
        (tmp_path / "n.toml").write_text('[feed]\nprotected_prefixes = ["House."]\n')
        alice.done("prefix", "reserve", "Contoso.", "--owner", "alice")
        listed = alice.json("prefix", "list", "--config", str(tmp_path / "n.toml"))
        alice.done("prefix", "release", "contoso.*")

        assert [(each["pattern"], each["from"]) for each in listed] == [
            ("Contoso.*", "reservation"),
            ("House.*", "settings"),
        ]
        assert alice.json("prefix", "list") == []
        assert "is not reserved" in alice.refused("prefix", "release", "Contoso.*")

    def test_everything_cannot_be_reserved(self, alice):
        alice.refused("prefix", "reserve", "*", "--owner", "alice", code=2)


class TestPrefixesInUse:
    @pytest.fixture
    def mirror(self, alice):
        """Newtonsoft.Json in two versions and Newtonsoft.Bson in one are kept; Newtonsoft.Dev was requested."""
        for version in ("json/13.0.1", "json/13.0.3", "bson/1.0.2"):
            (alice.data / "mirror/nuget.org" / f"newtonsoft.{version}").mkdir(parents=True)
        flat = "https://api.nuget.org/v3-flatcontainer"
        asyncio.run(keep_documents(alice.data, {f"{flat}/newtonsoft.dev/index.json": 200,
                                                f"{flat}/newtonsoft.none/index.json": 404,
                                                f"{flat}/other/newtonsoft.json": 200}))  # fmt: skip
        return alice

    def test_what_it_would_break_is_counted(self, mirror):
        refused = mirror.refused("prefix", "reserve", "Newtonsoft.*", "--owner", "alice")

        assert "covers 3 package ids that builds get from an upstream (3 versions are kept): " in refused
        assert "newtonsoft.json, newtonsoft.bson, newtonsoft.dev. " in refused
        assert mirror.json("prefix", "list") == []

    @pytest.mark.parametrize("pattern", ["Newtonsoft.Json", "newtonsoft.j*"])
    def test_only_what_it_covers_counts(self, mirror, pattern):
        refused = mirror.refused("prefix", "reserve", pattern, "--owner", "alice", "--wide")

        assert "covers one package id that" in refused

    @pytest.mark.parametrize(
        ("pattern", "option"),
        [
            ("Newtonsoft.*", "--force"),
            ("Newtonsoft.*", "--shared"),
            ("Newtonsoft.None", "--wide"),
            ("Newton.*", "--wide"),
        ],
    )
    def test_a_prefix_that_breaks_nothing_or_is_forced_is_reserved(self, mirror, pattern, option):
        assert mirror.json("prefix", "reserve", pattern, "--owner", "alice", option)["pattern"] == pattern

    def test_an_already_protected_prefix_breaks_nothing(self, mirror):
        mirror.done("prefix", "reserve", "Newtonsoft.*", "--owner", "alice", "--force")
        mirror.done("prefix", "reserve", "Newtonsoft.Json.*", "--owner", "alice")
        mirror.done("prefix", "reserve", "Newtonsoft.*", "--owner", "alice")

    def test_to_stop_sharing_breaks_as_much(self, mirror):
        mirror.done("prefix", "reserve", "Newtonsoft.*", "--owner", "alice", "--shared")
        mirror.done("prefix", "reserve", "Newtonsoft.*", "--owner", "alice")

        assert "--force" in mirror.refused("prefix", "reserve", "Newtonsoft.*", "--owner", "alice", "--not-shared")

    def test_hosted_packages_are_already_served_from_here(self, mirror):
        asyncio.run(host(mirror.data, "Newtonsoft.Json"))

        assert "newtonsoft.bson, newtonsoft.dev. " in mirror.refused(
            "prefix", "reserve", "Newtonsoft.*", "--owner", "alice"
        )


async def keep_documents(data: Path, statuses: dict[str, int]) -> None:
    store = DiskDocuments(data / "documents", 1_000_000)
    try:
        for url, status in statuses.items():
            await store.put(replace(a_document(url=url), status=status))
    finally:
        store.close()


async def host(data: Path, package_id: str) -> None:
    house = House(data, protected=("Newtonsoft.",))
    try:
        await house.push(await house.actor("alice"), package_id=package_id)
    finally:
        house.close()
