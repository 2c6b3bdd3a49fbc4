"""nugetproxy user import: many users from a file, all or none."""

import contextlib
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import REFUSED, USAGE, complain, print_json, refuse
from nugetproxy.errors import InvalidRequest, StorageUnavailable

if TYPE_CHECKING:
    from nugetproxy.accounts.importing import ImportReport
    from nugetproxy.cli.managed import Managed

_RANDOM_BYTES: Final = 15


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Only print what would change.")
@click.option("--passwords", "passwords_file", type=click.Path(path_type=Path), metavar="NEW_FILE",
              help="Generate a password for each new user and write them to this file (CSV, mode 0600); it must not "
              "exist.  [default: no passwords]")  # fmt: skip
@managing_options
def import_users(file: str, dry_run: bool, passwords_file: Path | None, as_json: bool, **options: object) -> None:
    """Create users from a file, and set their roles.

    FILE is CSV or JSON; - is standard input. CSV has a first line with the columns:

    \b
        name,administrator,organizations
        alice,yes,Contoso:administrator
        bob,,Contoso Fabrikam

    JSON is an array of objects with the same fields. Only the name is required. Users who exist are updated, and
    nothing that the file leaves out is changed, so a file may be imported again. An organisation is created if the file
    gives it an administrator. If any line is wrong, all problems are printed and nothing is changed.
    """
    from nugetproxy.accounts.import_file import read_users

    try:
        with click.open_file(file, "rb") as opened:
            text = opened.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(InvalidRequest(f"{file} is not UTF-8 text (byte {error.start})"))
    except OSError as error:
        refuse(InvalidRequest(f"{file} cannot be read: {error.strerror}"))
    users, wrong = read_users(text)

    async def work(managed: "Managed") -> "ImportReport":
        from nugetproxy.accounts.importing import import_users

        def imported(passwords: Mapping[str, str] | None, *, dry_run: bool) -> "Awaitable[ImportReport]":
            return import_users(
                managed.database, managed.revisions, users, passwords=passwords, dry_run=dry_run, by=managed.by
            )

        planned = await imported(None, dry_run=True)
        if dry_run or wrong or planned.problems:
            return planned
        if passwords_file is None or not planned.created:
            return await imported(None, dry_run=False)
        passwords = {name: secrets.token_urlsafe(_RANDOM_BYTES) for name in planned.created}
        with _removed_unless_kept(passwords_file, passwords) as keep:
            report = await imported(passwords, dry_run=False)
            if not report.problems:
                keep()
        return report

    report = manage(options, work)
    if problems := sorted([*wrong, *report.problems], key=lambda problem: problem.line):
        code = USAGE if wrong else REFUSED
        complain([f"{file}, {problem}" for problem in problems], "import_refused", code)
        sys.exit(code)
    has_passwords = passwords_file is not None and bool(report.created) and not dry_run
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "created": report.created,
                "changed": report.changed,
                "unchanged": report.unchanged,
                "organizations": report.organizations,
                "passwords": str(passwords_file) if has_passwords else None,
            }
        )
        return
    verb = "Would create" if dry_run else "Created"
    for name in report.organizations:
        click.echo(f"{verb} organisation {name}.")
    for name in report.created:
        click.echo(f"{verb} user {name}.")
    for name in report.changed:
        click.echo(f"{'Would update' if dry_run else 'Updated'} user {name}.")
    click.echo(f"Users: {len(report.created)} new, {len(report.changed)} updated, {len(report.unchanged)} unchanged.")
    if has_passwords:
        click.echo(f"The new passwords are in {passwords_file}. Hand them out, then delete it.")


@contextlib.contextmanager
def _removed_unless_kept(path: Path, passwords: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """Write the passwords to a new private file, safely on disk before anything else is done.

    The file is removed unless the function is called. Raises StorageUnavailable.
    """
    kept = False

    def keep() -> None:
        nonlocal kept
        kept = True

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be created for the passwords: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            try:
                file.write("name,password\n")
                file.writelines(f"{name},{password}\n" for name, password in passwords.items())
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                raise StorageUnavailable(f"{path} cannot be written: {error.strerror}") from error
        yield keep
    finally:
        if not kept:
            path.unlink()
