"""nugetproxy user, org, key, owner, prefix: what scripts and people see, and how each command ends."""

import asyncio
import json
import stat
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from nugetproxy.accounts.credentials import KEY_PREFIX
from nugetproxy.accounts.model import now_us
from tests.accounts.places import Place
from tests.cli.command_line import ME, CommandLine


class TestUsers:
    def test_the_first_command_makes_the_directory(self, line):
        assert line.json("user", "add", "alice", "--admin")["administrator"] is True
        assert stat.S_IMODE((line.data / "nugetproxy.db").stat().st_mode) == 0o600

    def test_without_a_password_it_is_said(self, line):
        assert "It has no password" in line.done("user", "add", "alice")

    @pytest.mark.parametrize(("beginning", "ending"), [("", ""), ("", "\n"), ("", "\r\n"), ("\ufeff", "\r\n")])
    def test_a_password_is_read_from_standard_input(self, line, beginning, ending):
        line.done("user", "add", "alice", "--password-file", "-", typed=f"{beginning}correct horse{ending}")

        assert asyncio.run(actor(line, "alice", "correct horse"))

    def test_or_from_a_file(self, line, tmp_path):
        (tmp_path / "p").write_text("correct horse\n")
        shown = line.json("user", "add", "alice", "--password-file", str(tmp_path / "p"))

        assert shown["password"] is True
        assert asyncio.run(actor(line, "alice", "correct horse"))

    def test_a_new_password(self, alice):
        alice.done("user", "passwd", "alice", "--password-file", "-", typed="another horse\n")

        assert asyncio.run(actor(alice, "alice", "another horse"))

    def test_a_new_password_needs_a_file_or_a_terminal(self, alice):
        assert "--password-file" in alice.refused("user", "passwd", "alice", code=2)

    def test_a_short_password_is_refused(self, line):
        line.refused("user", "add", "alice", "--password-file", "-", code=2, typed="short")

    @pytest.mark.parametrize(
        ("typed", "told"),
        [
            (b"correct horse\xff\n", "not UTF-8"),
            ("correct horse\n".encode("utf-16"), "not UTF-8"),
            ("correct horse\nalice\n", "several lines"),
            ("correct horse\n\n", "several lines"),
            ("correct\rhorse", "several lines"),
            ("\n", "8 to 1024"),
        ],
    )
    @pytest.mark.parametrize("command", ["add", "passwd"])
    def test_what_is_no_password_is_refused_in_one_sentence(self, alice, command, typed, told):
        name = {"add": "bobby", "passwd": "alice"}[command]
        refused = alice.refused("user", command, name, "--password-file", "-", code=2, typed=typed)

        assert told in refused
        assert refused.count("\n") == 1

    @pytest.mark.parametrize(
        ("name", "typed"), [("alice", "short"), ("al ice", "correct horse")], ids=["password", "name"]
    )
    def test_a_refusal_leaves_no_data_directory_behind(self, line, name, typed):
        line.refused("user", "add", name, "--password-file", "-", code=2, typed=typed)

        assert not line.data.exists()

    def test_listing(self, alice):
        alice.done("user", "add", "bobby")
        alice.done("user", "disable", "bobby")

        assert [(each["name"], each["administrator"], each["disabled"]) for each in alice.json("user", "list")] == [
            ("alice", True, False),
            ("bobby", False, True),
        ]
        assert "administrator" in alice.done("user", "list")

    def test_enabling(self, alice):
        alice.done("user", "add", "bobby")
        alice.done("user", "disable", "bobby")
        assert alice.json("user", "enable", "bobby")["disabled"] is False

    def test_the_last_administrator_is_not_disabled(self, alice):
        assert "nugetproxy user promote" in alice.refused("user", "disable", "alice")

    def test_promoting_and_demoting(self, alice):
        alice.done("user", "add", "bobby")

        assert alice.json("user", "promote", "bobby")["administrator"] is True
        assert alice.json("user", "demote", "Alice")["administrator"] is False
        assert [(each["action"], each["subject"], each["actor"]) for each in alice.audited()[-2:]] == [
            ("user.promote", "bobby", ME),
            ("user.demote", "alice", ME),
        ]

    def test_the_last_administrator_is_not_demoted(self, alice):
        """
        One who is disabled does not count, and neither does one who only stands in the way.
        """
        alice.done("user", "add", "bobby", "--admin")
        alice.done("user", "disable", "bobby")

        assert "last administrator" in alice.refused("user", "demote", "alice")
        assert alice.json("user", "demote", "bobby")["administrator"] is False

    def test_organisations_are_not_promoted(self, alice):
        alice.done("org", "add", "Contoso", "--admin", "alice")

        assert "no user 'Contoso'" in alice.refused("user", "promote", "Contoso")

    def test_an_unknown_user_names_the_nearest(self, alice):
        assert alice.refused("user", "disable", "alcie") == (
            "nugetproxy: there is no user or organisation 'alcie'; did you mean 'alice'?\n"
        )

    def test_a_taken_name_is_refused(self, alice):
        assert "already" in alice.refused("user", "add", "ALICE")

    def test_a_name_that_is_none_cannot_be_meant(self, alice):
        assert "a name has" in alice.refused("user", "add", "a b", code=2)

    def test_a_missing_directory_is_a_wrong_option(self, line):
        assert "--data" in line.refused("user", "list")
        assert not line.data.exists()

    def test_a_new_directory_is_told(self, line):
        """
        Whoever types the first command in another folder than the server's finds out.
        """
        told = line.run("user", "add", "alice").stderr

        assert f"made the data directory {line.data};" in told

    def test_a_directory_that_was_there_is_not(self, alice):
        assert alice.run("user", "add", "bobby").stderr == ""


class TestOrganisations:
    def test_members(self, alice):
        alice.done("user", "add", "bobby")
        alice.done("org", "add", "Contoso", "--admin", "alice")
        alice.done("org", "member", "add", "contoso", "bobby")
        members = alice.json("org", "member", "list", "Contoso")

        assert [(each["user"], each["role"]) for each in members] == [
            ("alice", "administrator"),
            ("bobby", "collaborator"),
        ]

    def test_a_role(self, alice):
        alice.done("user", "add", "bobby")
        alice.done("org", "add", "Contoso", "--admin", "alice")
        alice.done("org", "member", "add", "Contoso", "bobby", "--role", "administrator")
        alice.done("org", "member", "remove", "Contoso", "alice")

        assert "bobby  administrator" in alice.done("org", "member", "list", "Contoso")
        assert "last administrator" in alice.refused("org", "member", "remove", "Contoso", "bobby")

    def test_listing(self, alice):
        alice.done("org", "add", "Contoso", "--admin", "alice")

        assert [each["name"] for each in alice.json("org", "list")] == ["Contoso"]
        assert [each["name"] for each in alice.json("user", "list")] == ["alice"]

    def test_a_user_is_no_organisation(self, alice):
        assert "there is no organisation 'alice'" in alice.refused("org", "member", "list", "alice")


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

    def test_it_is_shown_this_once(self, alice):
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

    def test_of_several_with_a_name_it_must_be_said_whose(self, alice):
        alice.done("org", "add", "Contoso", "--admin", "alice")
        for owner in ("alice", "Contoso"):
            alice.done("key", "add", "ci", "--owner", owner)

        assert "Contoso, alice" in alice.refused("key", "revoke", "ci")
        alice.done("key", "revoke", "ci", "--owner", "contoso")
        assert [each["owner"] for each in alice.json("key", "list", "--owner", "alice")] == ["alice"]

    def test_a_members_key_ends_with_the_membership(self, alice):
        """
        One that is nobody's in particular does not; and a successor is the same member's.
        """
        alice.done("user", "add", "bobby")
        alice.done("org", "add", "Contoso", "--admin", "alice")
        assert "bobby may not make keys" in alice.refused("key", "add", "ci", "--owner", "Contoso", "--by", "bobby")
        alice.done("org", "member", "add", "Contoso", "bobby")
        made = alice.json("key", "add", "ci", "--owner", "Contoso", "--by", "bobby")
        rotated = alice.json("key", "rotate", "ci")
        nobodys = alice.json("key", "add", "server", "--owner", "Contoso")
        assert [each["by"] for each in (made, rotated, nobodys)] == ["bobby", "bobby", None]
        texts = [each["key"] for each in (made, rotated, nobodys)]
        assert [key_owner(alice, text) for text in texts] == ["Contoso"] * 3

        alice.done("org", "member", "remove", "Contoso", "bobby")
        assert [key_owner(alice, text) for text in texts] == [None, None, "Contoso"]

    def test_what_a_member_may_end(self, alice):
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

    def test_rotating_tells_until_when_the_old_one_works(self, alice):
        alice.done("key", "add", "ci", "--owner", "alice")
        [old] = alice.json("key", "list")
        told = alice.done("key", "rotate", "ci", "--overlap", "24h")
        until = [each["expires"] for each in alice.json("key", "list") if each["id"] == old["id"]]

        assert until != [old["expires"]]
        assert told.splitlines()[-1] == f"the old key ({old['id']}) works until {until[0]}"

    def test_an_unknown_owner_names_the_nearest(self, alice):
        assert "did you mean 'alice'" in alice.refused("key", "add", "ci", "--owner", "alicia")

    @pytest.mark.parametrize("option", [("--scope", "all"), ("--expires", "1y"), ("--expires", "9999d"),
                                        ("--glob", "a b"), ("--expires", "0s"), ("--expires", "90")])  # fmt: skip
    def test_what_cannot_be_meant(self, alice, option):
        alice.refused("key", "add", "ci", "--owner", "alice", *option, code=2)

    def test_a_duration_without_its_unit_says_which_there_are(self, alice):
        assert '"24h" hours' in alice.refused("key", "rotate", "ci", "--overlap", "24", code=2)


class TestOwnersAndPrefixes:
    def test_owners(self, alice):
        alice.done("org", "add", "Contoso", "--admin", "alice")
        assert alice.json("owner", "add", "Contoso.Core", "contoso")["owners"] == ["Contoso"]
        assert alice.json("owner", "add", "contoso.core", "alice")["owners"] == ["alice", "Contoso"]
        assert alice.json("owner", "remove", "Contoso.Core", "alice")["owners"] == ["Contoso"]
        assert "last owner" in alice.refused("owner", "remove", "Contoso.Core", "Contoso")
        assert alice.json("owner", "remove", "Contoso.Core", "Contoso", "--force")["owners"] == []
        assert alice.done("owner", "list", "Contoso.Core") == "nobody owns Contoso.Core\n"

    def test_an_id_that_is_none(self, alice):
        alice.refused("owner", "list", "a/b", code=2)

    def test_reserving(self, alice):
        made = alice.json("prefix", "reserve", "Contoso.*", "--owner", "alice")

        assert made == {
            "pattern": "Contoso.*", "owners": ["alice"], "shared": False, "from": "reservation", "protected": True,
        }  # fmt: skip

    def test_a_shared_prefix_says_that_it_is_not_protected(self, alice):
        ended = alice.run("prefix", "reserve", "Contoso.*", "--owner", "alice", "--shared")

        assert "upstreams are asked about ids below it" in ended.stderr
        assert "shared" in ended.stdout

    def test_sharing_stays_as_it_is(self, alice):
        alice.done("user", "add", "bobby")
        for options, expected in (
            (("--shared",), True), ((), True), (("--not-shared",), False), ((), False), (("--shared",), True),
        ):  # fmt: skip
            made = alice.json("prefix", "reserve", "Team.*", "--owner", "bobby", *options)
            assert (made["shared"], made["protected"]) == (expected, not expected)

    def test_one_owner_leaves(self, alice):
        alice.done("user", "add", "bobby")
        for name in ("alice", "bobby"):
            alice.done("prefix", "reserve", "Team.*", "--owner", name)
        alice.done("prefix", "release", "Team.*", "--owner", "alice")

        assert [each["owners"] for each in alice.json("prefix", "list")] == [["bobby"]]
        assert "for bobby alone" in alice.refused("prefix", "release", "Team.*", "--owner", "bobby")

    def test_a_prefix_that_takes_more_than_it_says_must_be_meant(self, alice):
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


class TestAudit:
    def test_every_act_is_a_line_by_whoever_typed_it(self, alice):
        alice.done("key", "add", "ci", "--owner", "alice")
        lines = [json.loads(each) for each in alice.done("audit", "--json").splitlines()]

        assert [(each["actor"], each["action"]) for each in lines] == [(ME, "user.add"), (ME, "key.add")]
        assert lines[0]["number"] < lines[1]["number"]

    def test_the_last_of_them(self, alice):
        for name in ("bobby", "carol", "david"):
            alice.done("user", "add", name)
        lines = alice.done("audit", "--limit", "2").splitlines()

        assert [("carol" in each, "david" in each) for each in lines] == [(True, False), (False, True)]
        assert alice.done("audit", "--limit", "0") == ""

    @pytest.mark.parametrize(
        ("since", "expected"), [("1h", 1), ("2001-01-01", 1), ("2999-01-01T08:00Z", 0), ("0s", 0), ("29990101", 0)]
    )
    def test_since(self, alice, since, expected):
        assert len(alice.done("audit", "--since", since).splitlines()) == expected

    def test_a_time_that_is_none(self, alice):
        alice.refused("audit", "--since", "yesterday", code=2)

    def test_since_a_bare_number_is_refused(self, alice):
        alice.refused("audit", "--since", "90", code=2)

    def test_following(self, alice):
        """
        A line written by another command comes out, while the follower runs.
        """
        with subprocess.Popen(
            [sys.executable, "-m", "nugetproxy", "audit", "--follow", "--json", "--data", str(alice.data)],
            stdout=subprocess.PIPE,
        ) as follower:
            assert follower.stdout is not None
            try:
                first = json.loads(follower.stdout.readline())
                alice.done("user", "add", "bobby")
                second = json.loads(follower.stdout.readline())
            finally:
                follower.terminate()
        assert [first["subject"], second["subject"]] == ["alice", "bobby"]


def test_two_commands_at_once_both_work(alice):
    """
    Commands run beside each other and beside a server: SQLite lets one writer wait for the other.
    """
    command = [sys.executable, "-m", "nugetproxy", "user", "add"]
    running = [subprocess.Popen([*command, f"user{n}", "--data", str(alice.data)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL) for n in range(3)]  # fmt: skip

    assert [each.wait(60) for each in running] == [0, 0, 0]
    assert len(alice.json("user", "list")) == 4


def test_a_running_server_sees_what_a_command_does(alice):
    server = Place(alice.data)
    before = server.revisions.accounts
    alice.done("user", "add", "bobby")

    assert server.revisions.accounts == before + 1
    assert server.directory.find_account("bobby") is not None
    server.close()


async def actor(line: CommandLine, name: str, password: str):
    place = Place(line.data)
    try:
        return await place.directory.actor_by_password(name, password)
    finally:
        place.close()


def key_owner(line: CommandLine, text: str) -> str | None:
    place = Place(line.data)
    try:
        key = place.directory.find_key(text, now_us())
    finally:
        place.close()
    return key.owner.name if key else None
