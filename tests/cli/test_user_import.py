"""nugetproxy user import: its output, the file of passwords, and that a refusal changes nothing."""

import asyncio
import json
import stat

from tests.accounts.places import Place
from tests.cli.command_line import CommandLine

FILE = "name,administrator,organizations\nbob,yes,Contoso:administrator\ncarol,,Contoso\n"


def names(line: CommandLine) -> list[str]:
    return [each["name"] for each in line.json("user", "list")]


def test_for_people(alice):
    assert alice.done("user", "import", "-", typed=FILE).splitlines() == [
        "Created organisation Contoso.",
        "Created user bob.",
        "Created user carol.",
        "Users: 2 new, 0 updated, 0 unchanged.",
    ]
    assert alice.done("user", "import", "-", typed=FILE).splitlines() == ["Users: 0 new, 0 updated, 2 unchanged."]
    assert names(alice) == ["alice", "bob", "carol"]


def test_for_scripts(alice):
    told = json.loads(alice.done("user", "import", "-", "--json", typed=FILE))

    assert told == {
        "dry_run": False, "created": ["bob", "carol"], "changed": [], "unchanged": [], "organizations": ["Contoso"],
        "passwords": None,
    }  # fmt: skip


def test_a_dry_run(alice, tmp_path):
    told = alice.done("user", "import", "-", "--dry-run", "--passwords", str(tmp_path / "p"), typed=FILE)

    assert told.splitlines()[1] == "Would create user bob."
    assert names(alice) == ["alice"]
    assert not (tmp_path / "p").exists()


def test_passwords_are_in_a_private_file_and_nowhere_else(alice, tmp_path):
    file = tmp_path / "passwords.csv"
    told = alice.done("user", "import", "-", "--passwords", str(file), typed=FILE)
    head, *rows = file.read_text().splitlines()
    passwords = dict(row.split(",") for row in rows)

    assert (head, sorted(passwords)) == ("name,password", ["bob", "carol"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert passwords["bob"] not in told + alice.done("audit")
    assert asyncio.run(logs_in(alice, "bob", passwords["bob"]))
    assert not asyncio.run(logs_in(alice, "carol", passwords["bob"]))


def test_an_existing_file_is_not_overwritten(alice, tmp_path):
    (tmp_path / "p").write_text("mine")

    assert "File exists" in alice.refused("user", "import", "-", "--passwords", str(tmp_path / "p"), typed=FILE)
    assert (tmp_path / "p").read_text() == "mine"
    assert names(alice) == ["alice"]


def test_every_problem_is_named_by_its_line(alice, tmp_path):
    (tmp_path / "users.csv").write_text("name,administrator,organizations\nb,,\ncarol,,Nobody\nbob,maybe,\n")
    refused = alice.refused("user", "import", str(tmp_path / "users.csv"), "--passwords", str(tmp_path / "p"), code=2)

    assert [each.split("users.csv, ")[1].partition(":")[0] for each in refused.splitlines()] == [
        "line 2", "line 3", "line 4",
    ]  # fmt: skip
    assert names(alice) == ["alice"]
    assert not (tmp_path / "p").exists()


def test_a_file_that_contradicts_the_accounts_is_refused(alice):
    refused = json.loads(alice.refused("user", "import", "-", "--json", typed="name,administrator\nalice,no\n"))

    assert refused["kind"] == "import_refused"
    assert "line 2: alice is the last active administrator" in refused["problems"][0]


def test_a_binary_file_is_refused(alice):
    assert "not UTF-8" in alice.refused("user", "import", "-", code=2, typed=FILE.encode("utf-16"))


async def logs_in(line: CommandLine, name: str, password: str) -> bool:
    place = Place(line.data)
    try:
        return await place.directory.actor_by_password(name, password) is not None
    finally:
        place.close()
