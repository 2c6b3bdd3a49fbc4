"""nugetproxy key: the output for scripts and people, and the exit codes."""

import asyncio
from datetime import datetime, timedelta

import pytest

from nugetproxy.accounts.credentials import KEY_PREFIX
from nugetproxy.accounts.model import now_us
from tests.accounts.places import Place
from tests.cli.command_line import CommandLine


class TestKeys:
    def test_the_default_pushes_and_unlists_everything_for_a_year(self, alice):
        made = alice.json("key", "add", "ci", "--owner", "alice")

        assert made["key"].startswith(KEY_PREFIX)
        assert (made["scopes"], made["globs"], made["owner"]) == (["push", "unlist"], ["*"], "alice")
        assert made["created"][:4] != made["expires"][:4]

    def test_scopes_globs_and_life(self, alice):
        made = alice.json(
            "key", "add", "ci", "--owner", "alice", "--scope", "push-version", "--scope", "read",
            "--glob", "Contoso.*", "--glob", "Solo", "--expires", "1h",
        )  # fmt: skip

        assert (made["scopes"], made["globs"]) == (["push-version", "read"], ["Contoso.*", "Solo"])

    def test_the_setting_decides_how_long_a_key_lives(self, alice, tmp_path):
        (tmp_path / "n.toml").write_text('[accounts]\nkey_lifetime = "1h"\n')
        made = alice.json("key", "add", "ci", "--owner", "alice", "--config", str(tmp_path / "n.toml"))

        assert datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["created"]) == timedelta(hours=1)

    def test_for_people_the_key_is_alone_on_the_last_line(self, alice):
        assert alice.done("key", "add", "ci", "--owner", "alice").splitlines()[-1].startswith(KEY_PREFIX)

    def test_it_is_shown_only_once(self, alice):
        text = alice.json("key", "add", "ci", "--owner", "alice")["key"]
        later = alice.done("key", "list") + alice.done("key", "list", "--json") + alice.done("audit")

        assert text not in later
        assert text[-38:] not in later

    def test_revoking(self, alice):
        text = alice.json("key", "add", "ci", "--owner", "alice")["key"]
        alice.done("key", "revoke", "ci")

        assert key_owner(alice, text) is None
        assert alice.json("key", "list") == []
        assert [each["live"] for each in alice.json("key", "list", "--all")] == [False]

    def test_revoking_by_id_and_by_text(self, alice):
        by_id, by_text = (alice.json("key", "add", name, "--owner", "alice") for name in ("one", "two"))
        alice.done("key", "revoke", by_id["id"])
        ended = alice.run("key", "revoke", by_text["key"])

        assert by_text["key"] not in ended.output
        assert alice.json("key", "list") == []

    def test_an_ambiguous_name_needs_an_owner(self, alice):
        alice.done("org", "add", "Contoso", "--admin", "alice")
        for owner in ("alice", "Contoso"):
            alice.done("key", "add", "ci", "--owner", owner)

        assert "Contoso, alice" in alice.refused("key", "revoke", "ci")
        alice.done("key", "revoke", "ci", "--owner", "contoso")
        assert [each["owner"] for each in alice.json("key", "list", "--owner", "alice")] == ["alice"]

    def test_a_members_key_ends_with_the_membership(self, alice):
        """
        One that belongs to no member does not; and a successor belongs to the same member.
        """
        alice.done("user", "add", "bobby")
        alice.done("org", "add", "Contoso", "--admin", "alice")
        assert "bobby may not create keys" in alice.refused("key", "add", "ci", "--owner", "Contoso", "--by", "bobby")
        alice.done("org", "member", "add", "Contoso", "bobby")
        made = alice.json("key", "add", "ci", "--owner", "Contoso", "--by", "bobby")
        rotated = alice.json("key", "rotate", "ci")
        nobodys = alice.json("key", "add", "server", "--owner", "Contoso")
        assert [each["by"] for each in (made, rotated, nobodys)] == ["bobby", "bobby", None]
        texts = [each["key"] for each in (made, rotated, nobodys)]
        assert [key_owner(alice, text) for text in texts] == ["Contoso"] * 3

        alice.done("org", "member", "remove", "Contoso", "bobby")
        assert [key_owner(alice, text) for text in texts] == [None, None, "Contoso"]

    def test_what_a_member_may_revoke(self, alice):
        alice.done("user", "add", "bobby")
        alice.done("org", "add", "Contoso", "--admin", "alice")
        alice.done("org", "member", "add", "Contoso", "bobby")
        alice.done("key", "add", "bobbys", "--owner", "Contoso", "--by", "bobby")
        alice.done("key", "add", "server", "--owner", "Contoso")

        assert "only its administrators" in alice.refused("key", "revoke", "server", "--by", "bobby")
        alice.done("key", "revoke", "bobbys", "--by", "bobby")
        alice.done("key", "revoke", "server", "--by", "alice")

    def test_rotating(self, alice):
        old = alice.json("key", "add", "ci", "--owner", "alice")["key"]
        new = alice.json("key", "rotate", "ci", "--overlap", "24h")["key"]
        assert [key_owner(alice, text) for text in (old, new)] == ["alice", "alice"]

        newest = alice.json("key", "rotate", "ci", "--overlap", "0s")["key"]
        assert [key_owner(alice, text) for text in (new, newest)] == [None, "alice"]

    def test_rotating_prints_how_long_the_old_one_works(self, alice):
        alice.done("key", "add", "ci", "--owner", "alice")
        [old] = alice.json("key", "list")
        told = alice.done("key", "rotate", "ci", "--overlap", "24h")
        until = [each["expires"] for each in alice.json("key", "list") if each["id"] == old["id"]]

        assert until != [old["expires"]]
        assert f"The old key ({old['id']}) works until {until[0]}." in told.splitlines()[0]

    def test_an_unknown_owner_names_the_nearest(self, alice):
        assert "did you mean 'alice'" in alice.refused("key", "add", "ci", "--owner", "alicia")

    @pytest.mark.parametrize("option", [("--scope", "all"), ("--expires", "1y"), ("--expires", "9999d"),
                                        ("--glob", "a b"), ("--expires", "0s"), ("--expires", "90")])  # fmt: skip
    def test_usage_errors(self, alice, option):
        alice.refused("key", "add", "ci", "--owner", "alice", *option, code=2)

    def test_a_duration_without_a_unit_lists_the_units(self, alice):
        assert '"24h" for hours' in alice.refused("key", "rotate", "ci", "--overlap", "24", code=2)


def key_owner(line: CommandLine, text: str) -> str | None:
    place = Place(line.data)
    try:
        key = asyncio.run(place.directory.find_key(text, now_us()))
    finally:
        place.close()
    return key.owner.name if key else None
