"""nugetproxy key: API keys, each shown once."""

from typing import TYPE_CHECKING, Any

import click

from nugetproxy.accounts.model import SECOND, Account, AccountKind, ApiKey, Scope, now_us
from nugetproxy.cli.managing import duration, manage, managing_options
from nugetproxy.cli.output import iso, print_json, print_table, report

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed

_OWNER = click.option("--owner", metavar="NAME", help="The key's owner, if several accounts have a key of that name.")


@click.group()
def key() -> None:
    """API keys: add, list, revoke, rotate. Changes apply to a running server immediately."""


@key.command("add")
@click.argument("name")
@click.option("--owner", required=True, metavar="USER_OR_ORG", help="The account that the key acts for.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice([scope.value for scope in Scope]),
              help="What the key may do. Repeatable. Every key may read; `read` is for a key that may do nothing else."
              "  [default: push, unlist]")  # fmt: skip
@click.option("--glob", "globs", multiple=True, metavar="PATTERN",
              help="The package ids it covers, such as 'Contoso.*'. Repeatable. With only the scope `read` it reads no "
              "other hosted packages.  [default: *]")  # fmt: skip
@click.option("--from", "networks", multiple=True, metavar="NETWORK",
              help="Client addresses that may use it, such as 10.0.0.0/8. Repeatable.  [default: all]")  # fmt: skip
@click.option(
    "--expires", callback=duration, metavar="DURATION", help="Lifetime of the key, such as 90d.  [default: 365d]"
)
@click.option("--by", "member", metavar="USER",
              help="The member of the organisation who uses it: the key ends with the membership.")  # fmt: skip
@managing_options
def add(
    name: str, owner: str, scopes: tuple[str, ...], globs: tuple[str, ...], networks: tuple[str, ...],
    expires: float | None, member: str | None, as_json: bool, **options: object,
) -> None:  # fmt: skip
    """Create an API key and print it. It is shown only once: the server keeps a hash of it."""

    async def work(managed: "Managed") -> tuple[ApiKey, str]:
        from nugetproxy.accounts.directory import DEFAULT_SCOPES
        from nugetproxy.nuget.globs import EVERYTHING

        life = managed.config.accounts.key_lifetime if expires is None else expires
        return await managed.directory.add_key(
            await managed.directory.account(owner),
            await _user(managed, member),
            name=name,
            scopes=map(Scope, scopes) if scopes else DEFAULT_SCOPES,
            globs=globs or (EVERYTHING,),
            networks=networks,
            expires=now_us() + round(life * SECOND),
            by=managed.by,
        )

    _print_new(*manage(options, work), as_json)


@key.command("list")
@click.option("--owner", metavar="USER_OR_ORG", help="Only this account's keys.")
@click.option("--all", "all_keys", is_flag=True, help="Include revoked and expired keys.")
@managing_options
def list_keys(owner: str | None, all_keys: bool, as_json: bool, **options: object) -> None:
    """List API keys: ids, scopes, state. The keys themselves are not stored."""

    async def work(managed: "Managed") -> tuple[ApiKey, ...]:
        return await managed.directory.keys(await managed.directory.account(owner) if owner else None)

    now = now_us()
    keys = [each for each in manage(options, work, reading=True) if all_keys or each.is_live(now)]
    if as_json:
        print_json([_shown(each, now) for each in keys])
        return
    rows = [
        (each.key_id, each.name, each.owner.name, _by(each) or "-", _words(each), " ".join(each.globs),
         " ".join(each.networks) or "anywhere", _state(each, now), iso(each.expires) or "-",
         iso(each.last_used) or "never")
        for each in keys
    ]  # fmt: skip
    heads = ("ID", "NAME", "OWNER", "BY", "SCOPES", "GLOBS", "FROM", "STATE", "EXPIRES", "LAST USED")
    print_table(heads, rows, "There are no keys." if all_keys else "There are no active keys; --all lists ended ones.")


@key.command("revoke")
@click.argument("reference", metavar="NAME_OR_ID")
@_OWNER
@click.option("--by", "member", metavar="USER",
              help="Refuse unless this user may revoke it.")  # fmt: skip
@managing_options
def revoke(reference: str, owner: str | None, member: str | None, as_json: bool, **options: object) -> None:
    """Revoke a key.

    Give its name, its id, or its full text if you found it somewhere. By name, a predecessor that still works after a
    rotation is revoked too. With --by, only the user's own keys and those of organisations it administers.
    """

    async def work(managed: "Managed") -> tuple[ApiKey, ...]:
        whose = await managed.directory.account(owner) if owner else None
        by = await _user(managed, member)
        return await managed.directory.revoke_key(reference, whose, member=by, by=managed.by)

    ended = manage(options, work)
    if as_json:
        print_json([{"id": each.key_id, "name": each.name, "owner": each.owner.name} for each in ended])
        return
    for each in ended:
        click.echo(f"Revoked key {each.name} of {each.owner.name} ({each.key_id}).")


@key.command("rotate")
@click.argument("reference", metavar="NAME_OR_ID")
@_OWNER
@click.option("--overlap", default="24h", show_default=True, callback=duration, metavar="DURATION",
              help="How long the old key keeps working.")  # fmt: skip
@managing_options
def rotate(reference: str, owner: str | None, overlap: float, as_json: bool, **options: object) -> None:
    """Replace a key with a new one that has the same rights. The old key keeps working for the overlap."""

    async def work(managed: "Managed") -> tuple[ApiKey, str, ApiKey]:
        whose = await managed.directory.account(owner) if owner else None
        old = await managed.directory.key(reference, whose)
        new, text = await managed.directory.rotate_key(old, overlap, by=managed.by)
        return new, text, await managed.directory.key(old.key_id)

    new, text, old = manage(options, work)
    _print_new(new, text, as_json, f" The old key ({old.key_id}) works until {iso(old.expires)}.")


async def _user(managed: "Managed", name: str | None) -> Account | None:
    return await managed.directory.account(name, AccountKind.USER) if name else None


def _print_new(made: ApiKey, text: str, as_json: bool, more: str = "") -> None:
    places = f"; from: {' '.join(made.networks)}" if made.networks else ""
    rights = f"scopes: {_words(made)}; ids: {' '.join(made.globs)}{places}; expires {iso(made.expires)}"
    told = f"Created key {made.name} for {made.owner.name} ({rights}).{more}"
    report(
        as_json,
        {"key": text, **_shown(made, made.created)},
        f"{told}\nCopy it now: it will not be shown again.\n{text}",
    )


def _shown(each: ApiKey, now: int) -> dict[str, Any]:
    return {
        "id": each.key_id,
        "name": each.name,
        "owner": each.owner.name,
        "by": _by(each),
        "scopes": sorted(each.scopes),
        "globs": list(each.globs),
        "networks": list(each.networks),
        "created": iso(each.created),
        "expires": iso(each.expires),
        "last_used": iso(each.last_used),
        "revoked": iso(each.revoked),
        "live": each.is_live(now),
    }


def _state(each: ApiKey, now: int) -> str:
    if each.revoked is not None:
        return "revoked"
    return "active" if each.is_live(now) else "expired"


def _words(each: ApiKey) -> str:
    return " ".join(sorted(each.scopes)) or "verification"


def _by(each: ApiKey) -> str | None:
    return each.creator.name if each.creator else None
