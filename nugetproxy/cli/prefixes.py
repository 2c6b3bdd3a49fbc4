"""nugetproxy prefix: reserved prefixes of package ids, which are also protected from upstreams."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import note, print_json, print_table, report

if TYPE_CHECKING:
    from nugetproxy.accounts.reservations import Reservation
    from nugetproxy.cli.managed import Managed


_NAMED: Final = 5


@click.group()
def prefix() -> None:
    """Reserved prefixes of package ids. They decide who may push new ids, and which are never requested upstream."""


@prefix.command("reserve")
@click.argument("pattern")
@click.option("--owner", "name", required=True, metavar="NAME",
              help="The account that may push below it; adds an owner if it is already reserved.")  # fmt: skip
@click.option("--shared/--not-shared", default=None,
              help="Shared: everybody may push below it, only its owners are marked verified, and it is not protected."
              "  [default: unchanged; a new one is not shared]")  # fmt: skip
@click.option("--force", is_flag=True, help="Reserve it even if builds use such packages of an upstream.")
@click.option("--wide", is_flag=True, help="Allow a prefix that ends inside a word: 'Contoso*' also covers ContosoX.")
@managing_options
def reserve(
    pattern: str, name: str, shared: bool | None, force: bool, wide: bool, as_json: bool, **options: object
) -> None:
    """Reserve a prefix such as 'Contoso.*', or a single id. Unless it is shared, such ids are never requested upstream.

    If such packages were fetched from an upstream, this is refused without --force: builds that need them would fail.
    """

    async def work(managed: "Managed") -> tuple[dict[str, Any], bool]:
        account = await managed.directory.account(name)
        if not force:
            await _check_nothing_breaks(managed, pattern, shared)
        made = await managed.ownership.reserve(pattern, account, shared, wide=wide, by=managed.by)
        return _shown(made, await _names(managed)), (await managed.ownership.protected()).covers(made.stem)

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
        account = await managed.directory.account(name) if name else None
        await managed.ownership.release(pattern, account, by=managed.by)

    manage(options, work)
    told = f"{pattern} is no longer reserved for {name}." if name else f"{pattern} is no longer reserved."
    report(as_json, {"pattern": pattern, "released": True, "owner": name}, told)


@prefix.command("list")
@managing_options
def list_prefixes(as_json: bool, **options: object) -> None:
    """List reserved prefixes, and those that the settings protect."""

    async def work(managed: "Managed") -> list[dict[str, Any]]:
        names = await _names(managed)
        reserved = [_shown(each, names) for each in await managed.ownership.reservations()]
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


async def _check_nothing_breaks(managed: "Managed", pattern: str, shared: bool | None) -> None:
    """Raises Conflict when ids that builds get from an upstream would be hidden."""
    from nugetproxy.accounts.reservations import Reservation, parse_pattern
    from nugetproxy.errors import Conflict
    from nugetproxy.hosting.packages import HostedPackages
    from nugetproxy.mirroring.kept.ids import ids_in_use

    text, exact = parse_pattern(pattern)
    wanted = Reservation(text, exact, shared=False)
    is_shared = any(each.shared for each in await managed.ownership.reservations() if each.stem == wanted.stem)
    if shared or (shared is None and is_shared):
        return
    protected = await managed.ownership.protected()
    used = ids_in_use(managed.path, wanted.stem, lambda lower: wanted.matches(lower) and not protected.covers(lower))
    for lower in await HostedPackages(managed.database).known_among(used):
        del used[lower]  # hosted packages are already served from here
    if used:
        versions = sum(used.values())
        most_first = sorted(used, key=lambda each: (-used[each], each))
        names = ", ".join(most_first[:_NAMED]) + (", ..." if len(used) > _NAMED else "")
        ids = "one package id" if len(used) == 1 else f"{len(used)} package ids"
        kept = "one version is" if versions == 1 else f"{versions} versions are"
        raise Conflict(
            f"{text} covers {ids} that builds get from an upstream ({kept} kept): "
            f"{names}. They would no longer be served, and restores that need them would fail. Use --force to reserve "
            "it anyway, or --shared to keep them available"
        )


async def _names(managed: "Managed") -> dict[int, str]:
    """The names of all accounts, by their numbers."""
    return {each.account_id: each.name for each in await managed.directory.accounts()}


def _shown(reservation: "Reservation", names: Mapping[int, str]) -> dict[str, Any]:
    owners = sorted(names[number] for number in reservation.owners)
    return {"pattern": reservation.pattern, "owners": owners, "shared": reservation.shared, "from": "reservation"}
