"""How every command reports: on which stream, in which format, and with which exit code."""

import json

import pytest

from nugetproxy.cli.options import DEFAULT_DATA
from nugetproxy.cli.output import print_fields
from nugetproxy.config import Config
from tests.cli.command_line import CommandLine


@pytest.mark.parametrize(
    ("arguments", "kind", "code", "told"),
    [
        (("user", "disable", "alcie"), "account_not_found", 1, "did you mean 'alice'?"),
        (("user", "add", "alice"), "conflict", 1, "already"),
        (("user", "add", "a b"), "invalid_request", 2, "a name has"),
        (("key", "add", "ci", "--owner", "alice", "--expires", "90"), "usage_error", 2, '"90d" for days'),
        (("key", "add", "ci"), "usage_error", 2, "Missing option '--owner'"),
        (("user", "lst"), "usage_error", 2, "Did you mean 'list'?"),
        (("usr", "list"), "usage_error", 2, "Did you mean 'user'?"),
        (("user", "list", "--jsno"), "usage_error", 2, "Did you mean '--json'?"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_with_json_a_refusal_is_json(alice, arguments, kind, code, told):
    """
    On standard error, so that a script that reads the result gets only one format.
    """
    refusal = json.loads(alice.refused(*arguments, "--json", code=code))

    assert (refusal["kind"], refusal["exit_code"]) == (kind, code)
    assert told in refusal["error"]
    assert refusal["problems"] == [refusal["error"]]


def test_with_json_wrong_settings_are_json(alice, monkeypatch):
    monkeypatch.setenv("NUGETPROXY_SERVER__WORKERS", "0")
    refusal = json.loads(alice.refused("key", "add", "ci", "--owner", "alice", "--json", code=78))

    assert refusal["kind"] == "settings"
    assert [problem.partition(":")[0] for problem in refusal["problems"]] == ["server.workers"]


def test_with_json_a_note_is_json(line):
    ended = line.run("user", "add", "alice", "--json")

    assert "created data directory" in json.loads(ended.stderr)["note"]
    assert json.loads(ended.stdout)["name"] == "alice"


@pytest.mark.parametrize(
    ("arguments", "near"),
    [(("serv",), "'serve'"), (("check-confg",), "'check-config'"), (("org", "member", "lst"), "'list'"),
     (("serve", "--lisen", "x"), "'--listen'"), (("key", "rotate", "ci", "--overlp", "1h"), "'--overlap'")],
)  # fmt: skip
def test_a_mistyped_command_or_option_names_the_nearest(line, arguments, near):
    _, asked, nearest = line.refused(*arguments, code=2).partition("Did you mean")

    assert asked
    assert near in nearest


def furnish(alice: CommandLine) -> None:
    alice.done("org", "add", "Contoso", "--admin", "alice")
    alice.done("key", "add", "ci", "--owner", "alice")
    alice.done("owner", "add", "Contoso.Core", "alice")
    alice.done("prefix", "reserve", "Contoso.*", "--owner", "alice")


@pytest.mark.parametrize(
    ("arguments", "heads"),
    [
        (("user", "list"), "NAME ROLE STATE CREATED"),
        (("org", "list"), "NAME MEMBERS STATE CREATED"),
        (("org", "member", "list", "Contoso"), "NAME ROLE STATE"),
        (("key", "list"), "ID NAME OWNER BY SCOPES GLOBS FROM STATE EXPIRES LAST USED"),
        (("owner", "list", "Contoso.Core"), "NAME KIND STATE"),
        (("prefix", "list"), "PATTERN OWNERS SHARED FROM"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
def test_every_column_has_a_heading_and_every_cell_a_value(alice, arguments, heads):
    furnish(alice)
    head, *rows = alice.done(*arguments).splitlines()

    assert head.split() == heads.split()
    starts = [head.index(f" {word}" if word != head.split("  ")[0] else word) for word in head.split("  ") if word]
    assert rows
    assert all(row[start:].strip() for row in rows for start in starts)


@pytest.mark.parametrize(
    "arguments", [("org", "list"), ("key", "list"), ("prefix", "list"), ("owner", "list", "A"), ("package", "list")]
)
def test_an_empty_list_is_empty_and_says_so(alice, arguments):
    ended = alice.run(*arguments)

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert ended.stderr.count("\n") == 1
    assert alice.done(*arguments, "--json") != ""


def test_the_default_data_directory_is_that_of_the_settings():
    assert Config().storage.path == DEFAULT_DATA


def test_an_empty_data_option_is_refused(line):
    """
    A shell passes one when a variable is not set: the default would be the wrong directory.
    """
    line.data = ""
    assert "storage.path" in line.refused("user", "list", code=78)


def test_a_field_without_a_value_is_a_name(capsys):
    print_fields([("name", "one\ntwo"), ("files", "")])

    assert capsys.readouterr().out == "name:  one\n       two\nfiles:\n"
