"""nugetproxy audit: what it prints, and from which time."""

import json
import subprocess
import sys

import pytest

from tests.cli.command_line import ME


class TestAudit:
    def test_every_act_is_a_line_with_its_user(self, alice):
        alice.done("key", "add", "ci", "--owner", "alice")
        lines = [json.loads(each) for each in alice.done("audit", "--json").splitlines()]

        assert [(each["actor"], each["action"]) for each in lines] == [(ME, "user.add"), (ME, "key.add")]
        assert lines[0]["number"] < lines[1]["number"]

    def test_the_last_lines(self, alice):
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

    def test_an_invalid_time(self, alice):
        alice.refused("audit", "--since", "yesterday", code=2)

    def test_since_a_bare_number_is_refused(self, alice):
        alice.refused("audit", "--since", "90", code=2)

    def test_following(self, alice):
        """
        A line written by another command is printed while the follower runs.
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
