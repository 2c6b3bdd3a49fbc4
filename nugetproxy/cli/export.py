"""nugetproxy export: write a signed bundle, for a mirror without internet access."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli.managing import managing_options
from nugetproxy.cli.options import load_config
from nugetproxy.cli.output import REFUSED, complain, is_json, kind_of, note, print_json, refuse
from nugetproxy.cli.sources import SourceOptions, source_options
from nugetproxy.errors import DamagedContent, NugetproxyError

if TYPE_CHECKING:
    from nugetproxy.config import Config
    from nugetproxy.mirroring.prewarm.plan import Extras
    from nugetproxy.nuget.projects.sources import Sources
    from nugetproxy.runtime.exporting import Choice, Export, Exported

_PIPE: Final = Path("-")
# A volume has to hold more than what cannot be split over many of them.
_SMALLEST_VOLUME: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Work:
    """What is exported, and where to. `names` are those of the sources."""

    sources: "Sources | None"
    extras: "Extras | None"
    names: tuple[str, ...]
    pinned: str | None
    hosted: tuple[str, ...]
    symbols: bool
    key: Path
    to: Path
    volume_size: int | None
    since: Path | None


def _size(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """A click callback: "4GB" in bytes."""
    if text is None:
        return None
    from nugetproxy.config import parse_size

    try:
        size = parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if size < _SMALLEST_VOLUME:
        raise click.BadParameter("a volume has at least 1 MiB")
    return size


@click.command()
@click.option("--key", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Private key that signs the bundle: see `nugetproxy bundle-key new`.")  # fmt: skip
@click.option("--to", "to", required=True, type=click.Path(path_type=Path), metavar="FILE",
              help="Where to write the bundle; - is standard output.")  # fmt: skip
@click.option("--since", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Leave out what the receiver has: a bundle, its manifest.jsonl, or an inventory.")  # fmt: skip
@click.option("--pinned", metavar="NAME", help="Only the packages pinned under this name.")
@click.option("--hosted", multiple=True, is_flag=False, flag_value="*", metavar="[GLOB]",
              help="Also hosted packages whose ids match, such as 'Contoso.*'; all if none is given.")  # fmt: skip
@click.option("--include-symbols", is_flag=True, help="Also the PDBs that are kept of the packages.")
@click.option("--volume-size", callback=_size, metavar="SIZE",
              help="Split into files of this size, such as 4GB: FILE.001, FILE.002 and so on.")  # fmt: skip
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="[SOURCE]...")
@source_options
@managing_options
def export(
    key: Path, to: Path, since: Path | None, pinned: str | None, hosted: tuple[str, ...],
    include_symbols: bool, volume_size: int | None, sources: tuple[Path, ...], as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Write packages and documents to one signed file.

    `nugetproxy import` reads it on the other side.

    It holds everything that is mirrored; or the packages that the given SOURCEs need, which are those of `nugetproxy
    prewarm` and are resolved with what is kept; or what is pinned under a name. A server may be running; nothing is
    evicted meanwhile.

    Every package is compared with the inventory. If one is damaged or missing, it is named, and no bundle is written.

    Exit code: 0 if the bundle is complete, 1 if there is none, 2 for a usage error.
    """
    import asyncio

    from nugetproxy import logs
    from nugetproxy.cli.opened_mirror import owner_that_root_would_shut_out, refuse_missing
    from nugetproxy.nuget.globs import checked_glob
    from nugetproxy.runtime.known_upstreams import with_recorded_upstreams

    logs.set_up("plain", "warning")
    named = (*map(str, sources), *options["packages"])
    if named and pinned is not None:
        raise click.UsageError("name sources or --pinned, not both")
    if to == _PIPE and volume_size is not None:
        raise click.UsageError("--volume-size needs --to FILE")
    if to == _PIPE and sys.stdout.isatty():
        raise click.UsageError("standard output is a terminal: name a file with --to, or pipe it to a program")
    config = with_recorded_upstreams(load_config(options))
    data = Path(config.storage.path)
    if owner := owner_that_root_would_shut_out(data):
        # The server could not see root's lock, and would evict packages meanwhile.
        complain([f"{data} belongs to {owner}: run this as {owner}"])
        sys.exit(REFUSED)
    try:
        given = SourceOptions(options)
        work = _Work(
            given.read(sources) if named else None, given.extras() if named else None, named,
            pinned, tuple(map(checked_glob, hosted)), include_symbols,
            key, to, volume_size, since,
        )  # fmt: skip
        if not work.hosted:
            refuse_missing(data)
        exported = asyncio.run(_run(config, work))
    except DamagedContent as error:
        complain([*error.problems, error.remedy], kind_of(error))
        sys.exit(REFUSED)
    except NugetproxyError as error:
        refuse(error)
    _report(exported, to, as_json)


async def _run(config: "Config", work: _Work) -> "Exported":
    from nugetproxy.cli.bundle_progress import BundleProgress
    from nugetproxy.cli.display import display_for
    from nugetproxy.mirroring.bundle.base import Base
    from nugetproxy.mirroring.bundle.signature import PrivateKey, is_open_to_others
    from nugetproxy.mirroring.bundle.target import Pipe, Target, files
    from nugetproxy.runtime.exporting import Export

    key = PrivateKey.read(work.key)
    if is_open_to_others(work.key):
        note(f"{work.key} can be read by other users: chmod 600 {work.key}")
    async with Export(config) as opened:
        choice = await _choice(config, work, opened)
        verdicts = {}
        if config.policy.rule:
            from nugetproxy.runtime.verdicts import verdicts_of

            verdicts = await verdicts_of(config, opened.packages(choice))
        with ExitStack() as stack:
            base = None if work.since is None else stack.enter_context(Base(work.since))
            target: Target = Pipe(sys.stdout.buffer)
            if work.to != _PIPE:
                target = stack.enter_context(files(work.to, work.volume_size, is_private=bool(work.hosted)))
            progress = BundleProgress(stack.enter_context(display_for(silent=is_json())), "Exporting")
            return await opened.write(choice, key, target, base, verdicts=verdicts, advanced=progress.advanced)


async def _choice(config: "Config", work: _Work, opened: "Export") -> "Choice":
    from nugetproxy.runtime.exporting import EVERYTHING

    choice = EVERYTHING if work.pinned is None else await opened.pinned(work.pinned)
    if work.sources is not None and work.extras is not None:
        from nugetproxy.runtime.export_choice import choose

        choice = await choose(config, work.sources, work.extras, work.names)
    choice = replace(choice.with_hosted(work.hosted), symbols=work.symbols)
    if choice.left_out:
        count, first = len(choice.left_out), choice.left_out[0]
        note(f"{count} needed packages are hosted here and left out, such as {first}: --hosted exports them")
    return choice


def _report(exported: "Exported", to: Path, as_json: bool) -> None:
    value = shown(exported)
    if to == _PIPE:
        # Standard output is the bundle.
        head = exported.head
        note(f"exported bundle {head.bundle}: {_counted(value)}")
    elif as_json:
        print_json(value)
    else:
        where = str(to) if len(exported.files) == 1 else f"{len(exported.files)} volumes of {to}"
        click.echo(f"Exported {_counted(value)} to {where}.")


def shown(exported: "Exported") -> dict[str, Any]:
    """An export as JSON."""
    head = exported.head
    return {
        "bundle": head.bundle,
        "sequence": head.sequence,
        "since": None if head.since is None else {"kind": head.since.kind, "id": head.since.id},
        "packages": head.counts.get("package", 0),
        "symbols": head.counts.get("symbols", 0),
        "documents": head.counts.get("document", 0),
        "hosted": head.counts.get("hosted-package", 0),
        "bytes": head.size,
        "key": head.key,
        "files": [str(file) for file in exported.files],
    }


def _counted(value: dict[str, Any]) -> str:
    hosted = f", {_number(value['hosted'], 'hosted package')}" if value["hosted"] else ""
    hosted += f", {_number(value['symbols'], 'PDB')}" if value["symbols"] else ""
    documents = _number(value["documents"], "document")
    return f"{_number(value['packages'], 'package')} and {documents}{hosted} ({value['bytes'] / 1e6:.1f} MB)"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
