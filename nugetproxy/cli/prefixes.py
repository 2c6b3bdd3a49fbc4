"""nugetproxy prefix: prefixes of package ids that are reserved, and so protected from upstreams."""

from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import note, print_json, print_table, report

if TYPE_CHECKING:
    from nugetproxy.accounts.reservations import Reservation
    from nugetproxy.cli.managed import Managed


@click.group()
def prefix() -> None:
    """Reserved prefixes of package ids. They decide who may push new ids, and which ids no upstream is asked for."""


@prefix.command("reserve")
@click.argument("pattern")
@click.option("--owner", "name", required=True, metavar="NAME",
              help="The account that may push below it; adds an owner if it is already reserved.")  # fmt: skip
@click.option("--shared/--not-shared", default=None,
              help="Shared: everybody may push below it, only its owners are marked verified, and it is not protected."
              "  [default: unchanged; a new one is not shared]")  # fmt: skip
@click.option("--wide", is_flag=True, help="Allow a prefix that ends inside a word: 'Contoso*' also covers ContosoX.")
@managing_options
def reserve(pattern: str, name: str, shared: bool | None, wide: bool, as_json: bool, **options: object) -> None:
    """Reserve a prefix such as 'Contoso.*', or a single id. Unless it is shared, no upstream is asked for such ids."""

    async def work(managed: "Managed") -> tuple[dict[str, Any], bool]:
        account = managed.directory.account(name)
        made = await managed.ownership.reserve(pattern, account, shared, wide=wide, by=managed.by)
        return _shown(managed, made), managed.ownership.protected().covers(made.stem)

    made, is_protected = manage(options, work)
    told = f"Reserved {made['pattern']} for {', '.join(made['owners'])}{' (shared)' if made['shared'] else ''}."
    report(as_json, {**made, "protected": is_protected}, told)
    if not is_protected and not as_json:
        note(
            f"a shared prefix is not protected: upstreams are still asked for ids below {made['pattern']}, and their "
            "packages are shown. To protect it as well, name it in feed.protected_prefixes."
        )


@prefix.command("release")
@click.argument("pattern")
@click.option("--owner", "name", metavar="NAME", help="Remove only this owner; the others keep the reservation.")
@managing_options
def release(pattern: str, name: str | None, as_json: bool, **options: object) -> None:
    """End a reservation, or remove one of its owners. Existing packages keep their owners."""

    async def work(managed: "Managed") -> None:
        account = managed.directory.account(name) if name else None
        await managed.ownership.release(pattern, account, by=managed.by)

    manage(options, work)
    told = f"{pattern} is no longer reserved for {name}." if name else f"{pattern} is no longer reserved."
    report(as_json, {"pattern": pattern, "released": True, "owner": name}, told)


@prefix.command("list")
@managing_options
def list_prefixes(as_json: bool, **options: object) -> None:
    """List reserved prefixes, and those that the settings protect."""

    async def work(managed: "Managed") -> list[dict[str, Any]]:
        reserved = [_shown(managed, each) for each in managed.ownership.reservations()]
        return reserved + [
            {"pattern": f"{each}*", "owners": [], "shared": False, "from": "settings"}
            for each in managed.config.feed.protected_prefixes
        ]

    rows = manage(options, work, reading=True)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("PATTERN", "OWNERS", "SHARED", "FROM"),
        [
            (row["pattern"], " ".join(row["owners"]) or "-", "yes" if row["shared"] else "no", row["from"])
            for row in rows
        ],
        "No prefixes are reserved or protected.",
    )


def _shown(managed: "Managed", reservation: "Reservation") -> dict[str, Any]:
    owners = sorted(managed.directory.account_numbered(number).name for number in reservation.owners)
    return {"pattern": reservation.pattern, "owners": owners, "shared": reservation.shared, "from": "reservation"}
