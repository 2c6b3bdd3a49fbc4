"""nugetproxy user, nugetproxy org: the output for scripts and people, and the exit codes."""

import asyncio
import stat
import subprocess
import sys

import pytest

from tests.accounts.places import Place
from tests.cli.command_line import ME, CommandLine


class TestUsers:
    def test_the_first_command_creates_the_directory(self, line):
        assert line.json("user", "add", "alice", "--admin")["administrator"] is True
        assert stat.S_IMODE((line.data / "nugetproxy.db").stat().st_mode) == 0o600

    def test_a_missing_password_is_reported(self, line):
        assert "alice has no password" in line.run("user", "add", "alice").stderr

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
    def test_an_invalid_password_is_refused_in_one_sentence(self, alice, command, typed, told):
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
        A disabled one does not count, and can be demoted itself.
        """
        alice.done("user", "add", "bobby", "--admin")
        alice.done("user", "disable", "bobby")

        assert "last active administrator" in alice.refused("user", "demote", "alice")
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

    def test_an_invalid_name_is_a_usage_error(self, alice):
        assert "a name has" in alice.refused("user", "add", "a b", code=2)

    def test_a_missing_directory_is_a_wrong_option(self, line):
        assert "--data" in line.refused("user", "list")
        assert not line.data.exists()

    def test_a_new_directory_is_reported(self, line):
        """
        It shows a user who is in another folder than the server's that the data is not there.
        """
        told = line.run("user", "add", "alice").stderr

        assert f"created data directory {line.data}." in told

    def test_an_existing_directory_is_not(self, alice):
        assert "data directory" not in alice.run("user", "add", "bobby").stderr


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
        assert "last active administrator" in alice.refused("org", "member", "remove", "Contoso", "bobby")

    def test_listing(self, alice):
        alice.done("org", "add", "Contoso", "--admin", "alice")

        assert [each["name"] for each in alice.json("org", "list")] == ["Contoso"]
        assert [each["name"] for each in alice.json("user", "list")] == ["alice"]

    def test_a_user_is_not_an_organisation(self, alice):
        assert "there is no organisation 'alice'" in alice.refused("org", "member", "list", "alice")


def test_concurrent_commands_all_work(alice):
    """
    Commands run beside each other and beside a server: SQLite makes one writer wait for the other.
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
    assert asyncio.run(server.directory.find_account("bobby")) is not None
    server.close()


async def actor(line: CommandLine, name: str, password: str):
    place = Place(line.data)
    try:
        return await place.directory.actor_by_password(name, password)
    finally:
        place.close()
