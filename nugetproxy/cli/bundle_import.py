"""nugetproxy import: take the packages and documents of a bundle into the mirror."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli.managing import managing_options
from nugetproxy.cli.options import Settings, load_config
from nugetproxy.cli.output import REFUSED, complain, note, print_json, refuse
from nugetproxy.errors import InvalidRequest, NugetproxyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nugetproxy.config import Config
    from nugetproxy.hosting.moving_in.report import Report
    from nugetproxy.mirroring.bundle.importing import Imported, Options, Steps
    from nugetproxy.mirroring.bundle.receiving import HostedFile

_PIPE: Final = Path("-")
_SHOWN: Final = 20


@click.command("import")
@click.argument("bundle", metavar="FILE.bundle", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--trust",
    multiple=True,
    required=True,
    metavar="FILE.pub",
    type=click.Path(path_type=Path),
    help="Public key of a sender. Repeatable. Bundles that none of these keys has signed are refused.",
)
@click.option("--allow-older", is_flag=True, help="Accept a bundle older than one that was imported from its source.")
@click.option("--as", "pin_as", metavar="NAME", default="", help="Pin the packages of the bundle under this name.")
@click.option("--hosted", is_flag=True, help="Take its hosted packages into the private feed, too.")
@click.option("--owner", metavar="NAME", default="", help="Who gets hosted ids whose owners have no account here.")
@managing_options
def bundle_import(
    bundle: Path, trust: tuple[Path, ...], allow_older: bool, pin_as: str, hosted: bool, owner: str, as_json: bool,
    **options: object,
) -> None:  # fmt: skip
    """Import a bundle that `nugetproxy export` wrote.

    FILE.bundle is a file, the first of its volumes (FILE.bundle.001), or - for standard input. All of it is verified
    before anything of it becomes visible: the signature, every hash, and every package. A running server serves the new
    packages when this command has ended.

    What the mirror has stays: packages with another content are left out and reported, newer documents are not
    replaced. After an interruption, run the same command again: it continues. An import that was killed while its
    packages were put in place is finished by the next import or start of the server.

    With --hosted, hosted packages are pushed as their first owner that has an account here, with their dates, listing,
    deprecation and downloads. Versions that are here stay.

    Exit code: 0 if all of it is here, 1 if it was refused, or if packages were left out or are missing (each is
    listed), 2 for a usage error.
    """
    import asyncio

    from nugetproxy import logs
    from nugetproxy.cli.bundle_progress import BundleProgress
    from nugetproxy.cli.display import display_for
    from nugetproxy.cli.opened_mirror import owner_that_root_would_shut_out
    from nugetproxy.mirroring.bundle.importing import Options, Steps
    from nugetproxy.mirroring.bundle.signature import PublicKey
    from nugetproxy.runtime.known_upstreams import with_recorded_upstreams

    config = with_recorded_upstreams(load_config(options))
    if user := owner_that_root_would_shut_out(Path(config.storage.path)):
        path = config.storage.path
        complain([f"{path} belongs to {user}: run this as {user}, or the server cannot use what root writes there"])
        sys.exit(REFUSED)
    logs.set_up(config.logs.format, "error")
    published: list[Report] = []

    async def take(files: "Sequence[HostedFile]") -> None:
        published.append(await _publish(options, files, str(bundle), owner))

    try:
        if owner and not hosted:
            raise InvalidRequest("--owner is for hosted packages: use it with --hosted")
        keys = [PublicKey.read(path) for path in trust]
        chosen = Options(allow_older, pin_as, take if hosted else None)
        with display_for(silent=as_json) as display:
            progress = BundleProgress(display, "Verifying")
            steps = Steps(progress.advanced, progress.placed)
            imported, is_served = asyncio.run(_import(config, bundle, keys, chosen, steps))
    except NugetproxyError as error:
        refuse(error)
    _report(imported, published[0] if published else None, as_json=as_json)
    if imported.upstreams:
        _tell_upstreams(imported, is_served)
    refused = imported.conflicts or imported.missing or any(each.refused for each in published)
    sys.exit(REFUSED if refused else 0)


async def _import(
    config: "Config", bundle: Path, keys: list[Any], options: "Options", steps: "Steps"
) -> "tuple[Imported, bool]":
    """What was imported, and whether running servers serve new upstreams, for which it waits."""
    from nugetproxy.runtime.imports import are_replaced, workers_of

    data = Path(config.storage.path)
    workers = workers_of(data)
    imported = await import_file(config, bundle, keys, options, steps)
    return imported, not imported.upstreams or await are_replaced(data, workers)


async def import_file(
    config: "Config", path: Path, keys: list[Any] | None, options: "Options | None" = None, steps: "Steps | None" = None
) -> "Imported":
    """`keys` are those of trusted senders; None: any. Raises BundleRefused, InvalidBundle, StorageUnavailable."""
    from nugetproxy.mirroring.bundle.importing import Options, Steps
    from nugetproxy.mirroring.bundle.reading import open_bundle
    from nugetproxy.mirroring.bundle.volumes import VolumeStream
    from nugetproxy.runtime.imports import importing_into

    options, steps = options or Options(), steps or Steps()
    where = "standard input" if path == _PIPE else str(path)
    spool = Path(config.storage.path) / "spool"
    with ExitStack() as stack:
        read = sys.stdin.buffer.read if path == _PIPE else stack.enter_context(VolumeStream(path)).read
        # Before anything else: a bundle that is refused here creates no data directory.
        bundle = stack.enter_context(open_bundle(read, where, keys, folder=spool if spool.is_dir() else None))
        async with importing_into(config) as importing:
            with importing.alone():
                imported = await importing.run(bundle, where, options, steps)
    await _audit(config, imported)
    return imported


async def _publish(options: "Mapping[str, Any]", files: "Sequence[HostedFile]", bundle: str, owner: str) -> "Report":
    from nugetproxy.cli.managed import opened
    from nugetproxy.runtime.hosted_arrivals import publish_hosted

    with opened(Settings(options), may_create=True) as managed:
        return await publish_hosted(
            files,
            bundle,
            config=managed.config,
            path=managed.path,
            stores=managed.stores,
            ownership=managed.ownership,
            audit=managed.audit,
            directory=managed.directory,
            by=managed.by,
            owner=owner,
        )


async def _audit(config: "Config", imported: "Imported") -> None:
    """A line in the audit log, where there is one: a mirror without accounts has none."""
    from nugetproxy.accounts.audit import AuditEntry, insert_audit
    from nugetproxy.accounts.model import command_line
    from nugetproxy.cli.managed import unix_user
    from nugetproxy.runtime.opened_stores import opened_main
    from nugetproxy.storage.database.opening import MAIN

    data = Path(config.storage.path)
    shared = config if config.storage.kind == "shared" else None
    if shared is None and not (data / MAIN).exists():
        return
    with opened_main(shared, data) as stores:
        entry = AuditEntry(command_line(unix_user()).name, "bundle.import", imported.head.bundle,
                           detail=f"{imported.packages} packages, {imported.documents} documents")  # fmt: skip
        await stores.database.write(lambda transaction: insert_audit(transaction, entry))


def _report(imported: "Imported", published: "Report | None", *, as_json: bool) -> None:
    head = imported.head
    left_out = imported.hosted if published is None else 0
    if as_json:
        print_json(
            {
                "bundle": head.bundle,
                "source": head.source,
                "sequence": head.sequence,
                "created": head.created,
                "packages": {
                    "new": imported.packages,
                    "new_bytes": imported.package_bytes,
                    "had": imported.had,
                    "refused": list(imported.conflicts),
                    "missing": list(imported.missing),
                },
                "symbols": {"new": imported.symbols, "new_bytes": imported.symbols_bytes},
                "documents": {"updated": imported.documents, "kept": imported.older_documents},
                "hosted": {"left_out": left_out} if published is None else published.as_dict(),
                "upstreams": list(imported.upstreams),
            }
        )
        return
    click.echo(
        f"Imported bundle {head.bundle} (number {head.sequence} of its source, created {head.created}): "
        f"{imported.packages} new packages ({imported.package_bytes / 1e6:.1f} MB), {imported.had} were here already. "
        f"Documents: {imported.documents} updated, {imported.older_documents} were newer here."
    )
    if imported.symbols:
        click.echo(f"Symbols: {imported.symbols} new PDBs ({imported.symbols_bytes / 1e6:.1f} MB).")
    if published is not None:
        click.echo("Hosted packages: {imported} imported, {kept} were here already.".format_map(published.as_dict()))
        for row in published.refused:
            complain([f"{row.package}: not taken into the private feed: {row.why}"])
    if left_out:
        note(f"{left_out} files of hosted packages were left out: --hosted takes them into the private feed")
    _list("kept here with another content, left out", imported.conflicts)
    _list("assumed to be here by the bundle, and missing", imported.missing)


def _tell_upstreams(imported: "Imported", is_served: bool) -> None:
    for name in imported.upstreams:
        note(f"the upstream {name} ({imported.head.upstreams[name]}) is new here")
    if not is_served:
        note(
            "a running server does not serve packages of new upstreams yet: if its settings name upstreams"
            " ([[mirroring.upstream]]), add them there; otherwise see its log, and restart it"
        )


def _list(what: str, packages: Any) -> None:
    for each in packages[:_SHOWN]:
        complain([f"{each}: {what}"])
    if len(packages) > _SHOWN:
        complain([f"... and {len(packages) - _SHOWN} more ({what}); --json lists all"])
