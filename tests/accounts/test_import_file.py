"""The contents of a file of users, and its problems, line by line."""

import json

import pytest

from nugetproxy.accounts.import_file import ImportedUser, read_users
from nugetproxy.accounts.model import Role

ALICE = ImportedUser(2, "alice", True, {"Contoso": Role.ADMINISTRATOR, "Fabrikam": Role.COLLABORATOR})
BOB = ImportedUser(3, "bob")


@pytest.mark.parametrize(
    "text",
    [
        "name,administrator,organizations\nalice,yes,Contoso:administrator Fabrikam\nbob,,\n",
        "Name;Administrator;Organizations\r\nalice;TRUE;Contoso:administrator Fabrikam:collaborator\r\nbob;;\r\n",
        'organizations,name,administrator\n"Contoso:Administrator Fabrikam",alice,1\n,bob,\n',
        (
            '[\n{"name": "alice", "administrator": true, "organizations": {"Contoso": "administrator", '
            '"Fabrikam": "collaborator"}},\n{"name": "bob"}]'
        ),
        (
            '[\n{"name": "alice", "administrator": "yes", "organizations": ["Contoso:administrator", "Fabrikam"]},\n'
            '{"name": "bob", "organizations": []}\n]\n'
        ),
    ],
)
def test_every_form_is_understood(text):
    assert read_users(text) == ([ALICE, BOB], [])


def test_only_the_name_is_required():
    assert read_users("name\nbob\n\ncarol\n") == ([ImportedUser(2, "bob"), ImportedUser(4, "carol")], [])
    assert read_users(' [{"name": "bob"}]') == ([ImportedUser(1, "bob")], [])
    assert read_users("[]") == ([], [])


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["line 1: the file is empty; expected a first line with the columns name, administrator, organizations"]),
        ("nmae\nbob\n", ["line 1: unknown column 'nmae'; did you mean name?"]),
        ("name,mail\nbob,x\n", ["line 1: unknown column 'mail'; expected name, administrator, organizations"]),
        ("administrator\nyes\n", ["line 1: there is no column 'name'"]),
        ("name,name\nbob,bob\n", ["line 1: a column appears twice"]),
        ("name,administrator\nbob\n", ["line 2: expected 2 columns, found 1"]),
        ('name\n"bob\n', ["line 2: not CSV: unexpected end of data"]),
        ("name,administrator\n,yes\n", ["line 2: the name is missing"]),
        ("name,administrator\nbob,maybe\n", ["line 2: administrator is 'maybe'; expected yes or no"]),
        ("name,organizations\nbob,Contoso:owner\n",
         ["line 2: the role 'owner' is unknown; expected administrator or collaborator"]),
        ("name,organizations\nbob,Contoso contoso\n", ["line 2: organisation 'contoso' is named twice"]),
        ("name\nbob\nBOB\n", ["line 3: BOB is already on line 2"]),
        ('{"name": "bob"}', ["line 1: expected an array of users"]),
        ('[\n{"name": "bob"},\n{"name" "x"}]', ["line 3: not JSON: Expecting ':' delimiter"]),
        ('[{"name": "bob"}', ["line 1: not JSON: expected a comma or the end of the array"]),
        ('[{"name": "bob"}\n{"name": "carol"}]', ["line 2: not JSON: expected a comma or the end of the array"]),
        ('[{"name": "bob"},', ["line 1: not JSON: Expecting value"]),
        ('[\n{"name": ' + "9" * 5_000 + "}]", ["line 2: not JSON: a number has too many digits"]),
        ('[{"name": "bob"}] x', ["line 1: unexpected 'x' after the array"]),
        ('["bob"]', ["line 1: expected an object with a name"]),
        ('[{"name": 7}]', ["line 1: the name is not a string"]),
        ('[{"name": "bob", "admin": true}]',
         ["line 1: unknown field 'admin'; expected name, administrator, organizations"]),
        ('[{"name": "bob", "administrator": 7}]', ["line 1: administrator is '7'; expected yes or no"]),
    ],
)  # fmt: skip
def test_problems_are_named_by_line(text, problems):
    assert list(map(str, read_users(text)[1])) == problems


def test_every_problem_is_named():
    text = "name,administrator,organizations\nx,yes,\nbob,perhaps,Con/toso\ncarol,,\n"
    users, problems = read_users(text)

    assert [user.name for user in users] == ["bob", "carol"]
    assert [problem.line for problem in problems] == [2, 3, 3]


@pytest.mark.parametrize("text", ["[" * 100_000, '[{"a":' * 50_000, "[{}", "[,]", "[{}]]", "{", "[", "\0", "name\n\0",
                                  "name\n" + "a" * 200_000, json.dumps([None] * 3)])  # fmt: skip
def test_any_text_is_read_or_refused(text):
    _, problems = read_users(text)

    assert problems
