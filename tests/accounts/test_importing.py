"""Importing users: what changes, that it is all or nothing, and that repeating it changes nothing."""

import pytest

from nugetproxy.accounts.import_file import read_users
from nugetproxy.accounts.importing import ImportReport, import_users
from nugetproxy.accounts.model import Role, command_line
from tests.accounts.places import NOON, Place, quick_passwords

FILE = """name,administrator,organizations
alice,yes,Contoso:administrator
bob,,Contoso Fabrikam:administrator
"""


async def imported(place: Place, text: str, *, dry_run: bool = False, passwords=None) -> ImportReport:
    users, problems = read_users(text)
    assert problems == []
    return await import_users(
        place.database,
        place.revisions,
        users,
        passwords=passwords,
        dry_run=dry_run,
        by=command_line("root"),
        hashing=quick_passwords(),
        clock=lambda: NOON,
    )


async def test_users_organisations_and_roles_are_created(place):
    report = await imported(place, FILE)

    assert (report.created, report.organizations, report.changed) == (["alice", "bob"], ["Contoso", "Fabrikam"], [])
    assert (await place.directory.account("alice")).is_administrator
    contoso = await place.directory.account("Contoso")
    assert [(user.name, role) for user, role in await place.directory.members(contoso)] == [
        ("alice", Role.ADMINISTRATOR),
        ("bob", Role.COLLABORATOR),
    ]


async def test_every_change_has_its_audit_line(place):
    await imported(place, FILE)

    assert [(each.action, each.subject, each.detail) for each in await place.audit.entries()] == [
        ("user.add", "alice", "import"),
        ("user.add", "bob", "import"),
        ("user.promote", "alice", "import"),
        ("org.add", "Contoso", "import"),
        ("org.add", "Fabrikam", "import"),
        ("org.member.add", "Contoso", "administrator alice, import"),
        ("org.member.add", "Fabrikam", "administrator bob, import"),
        ("org.member.add", "Contoso", "collaborator bob, import"),
    ]


async def test_a_second_time_changes_nothing(place):
    await imported(place, FILE)
    lines = len(await place.audit.entries())
    report = await imported(place, FILE)

    assert (report.created, report.changed, report.unchanged) == ([], [], ["alice", "bob"])
    assert len(await place.audit.entries()) == lines


async def test_existing_users_are_updated(place):
    await imported(place, FILE)
    report = await imported(place, "name,administrator,organizations\nBOB,yes,contoso:administrator\nalice,no,\n")

    assert (report.created, sorted(report.changed)) == ([], ["BOB", "alice"])
    assert [each.name for each in await place.directory.accounts() if each.is_administrator] == ["bob"]
    assert (await place.directory.actor_of(await place.directory.account("bob"))).memberships == {
        (await place.directory.account("Contoso")).account_id: Role.ADMINISTRATOR,
        (await place.directory.account("Fabrikam")).account_id: Role.ADMINISTRATOR,
    }


async def test_a_dry_run_reports_and_changes_nothing(place):
    revision = place.revisions.accounts
    report = await imported(place, FILE, dry_run=True)

    assert report.created == ["alice", "bob"]
    assert (await place.directory.accounts(), await place.audit.entries()) == ((), ())
    assert place.revisions.accounts == revision


async def test_one_wrong_line_changes_nothing(place):
    alice = await place.directory.add_user("alice", administrator=True)
    await place.directory.add_organization("Contoso", alice)
    before = await place.audit.entries()
    report = await imported(
        place, "name,administrator,organizations\ncarol,,\nContoso,,\nalice,no,contoso\ndavid,,Nobody\nerin,,alice\n"
    )

    told = [str(problem) for problem in report.problems]
    for problem, beginning in zip(
        told,
        (
            "line 3: Contoso is an organisation",
            "line 4: alice is the last active administrator of Contoso",
            "line 4: alice is the last active administrator",
            "line 5: organisation Nobody does not exist; to create it, name an administrator: Nobody:administrator",
            "line 6: alice is a user, not an organisation",
        ),
        strict=True,
    ):
        assert problem.startswith(beginning)
    assert await place.audit.entries() == before
    assert await place.directory.find_account("carol") is None


async def test_passwords_work(place):
    report = await imported(place, FILE, passwords={"alice": "correct horse", "bob": "another horse"})

    assert report.problems == []
    assert await place.directory.actor_by_password("alice", "correct horse") is not None
    assert await place.directory.actor_by_password("bob", "correct horse") is None


@pytest.mark.parametrize(
    "passwords", [{}, {"alice": "correct horse", "bob": "another horse", "eve": "no horse at all"}]
)
async def test_passwords_that_are_not_those_of_the_new_users_change_nothing(place, passwords):
    """
    Someone created one of them in the meantime: the file of passwords would be wrong.
    """
    report = await imported(place, FILE, passwords=passwords)

    assert [problem.why for problem in report.problems] == ["the accounts changed while this ran; run it again"]
    assert await place.directory.accounts() == ()
