"""nugetproxy key: API keys, each shown once."""

from typing import Any

import click

from nugetproxy.accounts.directory import DEFAULT_SCOPES
from nugetproxy.accounts.globs import EVERYTHING
from nugetproxy.accounts.model import SECOND, Account, AccountKind, ApiKey, Scope, now_us
from nugetproxy.cli.managing import Managed, duration, iso, manage, managing_options, print_json, print_table

_WHOSE = click.option("--owner", metavar="NAME", help="Whose key it is, when several have one of that name.")


@click.group()
def key() -> None:
    """API keys: add, list, revoke, rotate. A revoked key ends at once, in every process of a running server."""


@key.command("add")
@click.argument("name")
@click.option("--owner", required=True, metavar="USER_OR_ORG", help="For whom the key acts.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice([scope.value for scope in Scope]),
              help="What it may do; may be repeated. Every key may read; `read` is for one that may do nothing else."
              "  [default: push, unlist]")  # fmt: skip
@click.option("--glob", "globs", multiple=True, metavar="PATTERN",
              help="Which ids it covers, such as 'Contoso.*'; may be repeated.  [default: *]")  # fmt: skip
@click.option("--expires", callback=duration, metavar="DURATION", help="After how long.  [default: 365d]")
@click.option("--by", "member", metavar="USER",
              help="The member of the organisation whose key it is: it ends when the membership does.")  # fmt: skip
@managing_options
def add(
    name: str, owner: str, scopes: tuple[str, ...], globs: tuple[str, ...], expires: float | None, member: str | None,
    as_json: bool, **options: object,
) -> None:  # fmt: skip
    """Make an API key and print it. It is shown this once: only its hash is kept."""

    async def work(managed: Managed) -> tuple[ApiKey, str]:
        life = managed.config.accounts.key_lifetime if expires is None else expires
        return await managed.directory.add_key(
            managed.directory.account(owner),
            _user(managed, member),
            name=name,
            scopes=map(Scope, scopes) if scopes else DEFAULT_SCOPES,
            globs=globs or (EVERYTHING,),
            expires=now_us() + round(life * SECOND),
            by=managed.by,
        )

    _print_new(*manage(options, work), as_json)


@key.command("list")
@click.option("--owner", metavar="USER_OR_ORG", help="Only the keys of this one.")
@click.option("--all", "all_keys", is_flag=True, help="Revoked and expired ones too.")
@managing_options
def list_keys(owner: str | None, all_keys: bool, as_json: bool, **options: object) -> None:
    """List keys, without the keys themselves."""

    async def work(managed: Managed) -> tuple[ApiKey, ...]:
        return managed.directory.keys(managed.directory.account(owner) if owner else None)

    now = now_us()
    keys = [each for each in manage(options, work) if all_keys or each.is_live(now)]
    if as_json:
        print_json([_shown(each, now) for each in keys])
        return
    rows = [
        (each.key_id, each.owner.name, _by(each) or "-", each.name, _words(each), " ".join(each.globs),
         _state(each, now), iso(each.last_used) or "never")
        for each in keys
    ]  # fmt: skip
    print_table(("ID", "OWNER", "BY", "NAME", "SCOPES", "GLOBS", "STATE", "LAST USED"), rows)


@key.command("revoke")
@click.argument("reference", metavar="NAME_OR_ID")
@_WHOSE
@click.option("--by", "member", metavar="USER",
              help="Refuse what this user may not end: only its own keys, and those of organisations that it "
              "administers.")  # fmt: skip
@managing_options
def revoke(reference: str, owner: str | None, member: str | None, as_json: bool, **options: object) -> None:
    """End a key at once. By name (a rotated one's predecessor too), by id, or by the text of one found somewhere."""

    async def work(managed: Managed) -> tuple[ApiKey, ...]:
        whose = managed.directory.account(owner) if owner else None
        return await managed.directory.revoke_key(reference, whose, member=_user(managed, member), by=managed.by)

    ended = manage(options, work)
    if as_json:
        print_json([{"id": each.key_id, "name": each.name, "owner": each.owner.name} for each in ended])
        return
    for each in ended:
        click.echo(f"key {each.name} of {each.owner.name} ({each.key_id}) is revoked")


@key.command("rotate")
@click.argument("reference", metavar="NAME_OR_ID")
@_WHOSE
@click.option("--overlap", default="24h", show_default=True, callback=duration, metavar="DURATION",
              help="How long the old key works beside the new one.")  # fmt: skip
@managing_options
def rotate(reference: str, owner: str | None, overlap: float, as_json: bool, **options: object) -> None:
    """Replace a key by one with the same rights. The old one works for the overlap."""

    async def work(managed: Managed) -> tuple[ApiKey, str, ApiKey]:
        old = managed.directory.key(reference, managed.directory.account(owner) if owner else None)
        new, text = await managed.directory.rotate_key(old, overlap, by=managed.by)
        return new, text, managed.directory.key(old.key_id)

    new, text, old = manage(options, work)
    _print_new(new, text, as_json)
    if not as_json:
        click.echo(f"the old key ({old.key_id}) works until {iso(old.expires)}")


def _user(managed: Managed, name: str | None) -> Account | None:
    return managed.directory.account(name, AccountKind.USER) if name else None


def _print_new(made: ApiKey, text: str, as_json: bool) -> None:
    if as_json:
        print_json({"key": text, **_shown(made, made.created)})
        return
    rights = f"{_words(made)}; {' '.join(made.globs)}"
    click.echo(f"key {made.name} of {made.owner.name} ({rights}), until {iso(made.expires)}; it is shown this once:")
    click.echo(text)


def _shown(each: ApiKey, now: int) -> dict[str, Any]:
    return {
        "id": each.key_id,
        "name": each.name,
        "owner": each.owner.name,
        "by": _by(each),
        "scopes": sorted(each.scopes),
        "globs": list(each.globs),
        "created": iso(each.created),
        "expires": iso(each.expires),
        "last_used": iso(each.last_used),
        "revoked": iso(each.revoked),
        "live": each.is_live(now),
    }


def _state(each: ApiKey, now: int) -> str:
    if each.revoked is not None:
        return f"revoked {iso(each.revoked)}"
    return f"{'until' if each.is_live(now) else 'expired'} {iso(each.expires)}"


def _words(each: ApiKey) -> str:
    return " ".join(sorted(each.scopes)) or "verification"


def _by(each: ApiKey) -> str | None:
    return each.creator.name if each.creator else None
