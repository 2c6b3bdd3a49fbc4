"""nugetproxy prewarm: fill the mirror ahead of time."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.options import config_options, load_config
from nugetproxy.cli.output import REFUSED, USAGE, complain, note, print_json, refuse
from nugetproxy.cli.sources import SourceOptions, source_options
from nugetproxy.errors import InvalidRequest, NugetproxyError

if TYPE_CHECKING:
    from nugetproxy.cli.prewarm_progress import Progress
    from nugetproxy.config import Config
    from nugetproxy.mirroring.prewarm.patience import Patience
    from nugetproxy.mirroring.prewarm.plan import Extras, Plan
    from nugetproxy.mirroring.prewarm.symbols import PrewarmSymbols
    from nugetproxy.nuget.projects.sources import Sources
    from nugetproxy.services import Services


@dataclass(frozen=True, slots=True)
class _Work:
    """What one run does."""

    sources: "Sources"
    extras: "Extras"
    name: str | None
    only_show: bool
    most: int | None
    parallel: int
    as_json: bool
    symbols: bool
    need_symbols: bool


@click.command()
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="SOURCE...")
@config_options
@source_options
@click.option("--latest-patch", is_flag=True, help="Also the newest patch of every package.")
@click.option(
    "--all-versions", multiple=True, metavar="GLOB", help="Also all versions of these ids, such as 'Contoso.*'."
)
@click.option("--newest", type=click.IntRange(0), default=0, metavar="N",
              help="Also the N newest stable versions of what the sources name.")  # fmt: skip
@click.option("--include-symbols", is_flag=True,
              help="Also the PDBs of the packages, from the upstream's symbol server.")  # fmt: skip
@click.option("--require-symbols", is_flag=True,
              help="As --include-symbols; a PDB that the symbol server lacks is a failure, too.")  # fmt: skip
@click.option("--what-if", is_flag=True, help="Show what would be fetched, with sizes. No package is fetched.")
@click.option("--max-bytes", metavar="SIZE", help='Fetch at most this much, such as "20 GB".')
@click.option("--as", "name", metavar="NAME", help="Pin the packages under this name.")
@click.option("--report", "report_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a report (JSON): what was wanted by whom, fetched, and missing.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report.")
@click.option(
    "--parallel", type=click.IntRange(1, 64), default=8, show_default=True, help="Packages fetched at the same time."
)
def prewarm(
    sources: tuple[Path, ...], latest_patch: bool, all_versions: tuple[str, ...], newest: int, include_symbols: bool,
    require_symbols: bool, what_if: bool, max_bytes: str | None, name: str | None, report_file: Path | None,
    as_json: bool, parallel: int, **options: Any,
) -> None:  # fmt: skip
    """Fetch packages into the mirror ahead of time.

    Their documents are fetched too, so that a server with --offline and the same --data can serve them.

    A SOURCE is a lock file, a project, a solution, a packages.config, an SBOM, a global.json, a tool manifest, a list
    of packages ("Id Version", "Id 1.*", "Id"), or a directory of these. Lock files, SBOMs and the like are taken as
    they are; the dependencies of projects and lists are resolved as NuGet does. docs/air-gap.md has the details.

    Packages that are already in the mirror are not fetched again, so to resume an interrupted run, run it again; a
    server may be running. The contentHash of a lock file is compared with the package in the mirror.

    If an upstream asks for fewer requests or is considered down, prewarm waits for it and says so. After four
    consecutive waits without success, of up to five minutes each, it gives up on the missing packages.

    Run it as the user that the server runs as. Exit code: 0 if everything is kept, 1 if something could not be fetched
    (each is listed with the reason), 2 if a source cannot be read.
    """
    import asyncio

    from nugetproxy import logs
    from nugetproxy.cli.opened_mirror import owner_that_root_would_shut_out
    from nugetproxy.cli.prewarm_reports import nothing
    from nugetproxy.runtime.known_upstreams import with_known_upstreams

    config = with_known_upstreams(load_config(options))
    if owner := owner_that_root_would_shut_out(Path(config.storage.path)):
        path = config.storage.path
        complain([f"{path} belongs to {owner}: run this as {owner}, or the server cannot use what root writes there"])
        sys.exit(REFUSED)
    # The report lists what could not be fetched; a log at the usual level would repeat it between progress bars.
    logs.set_up(config.logs.format, "warning" if config.logs.level == "info" else config.logs.level)
    try:
        given = SourceOptions(options)
        work = _Work(
            given.read(sources), given.extras(latest_patch, newest, all_versions), name, what_if,
            _size(max_bytes), parallel, as_json, include_symbols or require_symbols, require_symbols,
        )  # fmt: skip
        if work.symbols and not any(each.symbol_server for each in config.mirroring.upstream):
            raise InvalidRequest("no upstream has a symbol server: set `symbols` of its [[mirroring.upstream]]")
    except InvalidRequest as error:
        complain([str(error)], "invalid_request", USAGE)
        sys.exit(USAGE)
    if work.sources.is_empty and not all_versions:
        note("the sources name no packages")
        if as_json or report_file is not None:
            _show(nothing(), report_file, as_json=as_json)
        sys.exit(0)
    try:
        row = asyncio.run(_run(config, work))
    except NugetproxyError as error:
        refuse(error)
    asked = {each.service_index for each in config.mirroring.upstream}
    row["feeds_not_asked"] = [each for each in work.sources.feeds if each not in asked]
    _show(row, report_file, as_json=as_json)
    sys.exit(0 if row["complete"] else REFUSED)


def _size(text: str | None) -> int | None:
    from nugetproxy.config import parse_size

    try:
        return None if text is None else parse_size(text)
    except ValueError as error:
        raise InvalidRequest(f"--max-bytes: {error}") from error


def _show(row: dict[str, Any], report_file: Path | None, *, as_json: bool) -> None:
    import orjson

    from nugetproxy.cli.prewarm_reports import print_report

    if report_file is not None:
        try:
            report_file.write_bytes(orjson.dumps(row, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            complain([f"the report cannot be written: {report_file}: {error.strerror}"])
            row["complete"] = False
    if as_json:
        print_json(row)
    else:
        print_report(row)


async def _run(config: "Config", work: _Work) -> dict[str, Any]:
    from nugetproxy.cli.display import display_for
    from nugetproxy.cli.prewarm_progress import Progress
    from nugetproxy.cli.prewarm_reports import prewarmed, what_if
    from nugetproxy.mirroring.prewarm.files import PackageFiles
    from nugetproxy.mirroring.prewarm.lookup import FeedLookup
    from nugetproxy.mirroring.prewarm.patience import Patience
    from nugetproxy.mirroring.prewarm.plan import planned
    from nugetproxy.mirroring.prewarm.run import Allowance, Prewarm
    from nugetproxy.mirroring.prewarm.sizes import Sizes
    from nugetproxy.runtime.assembly import assemble

    async with assemble(config, os.environ, what="prewarm") as services:
        if services.screening is not None:
            # Somebody chose these versions: rules about age do not apply to them.
            await services.screening.pin({each.identity for each in work.sources.exact})
        with display_for(silent=work.as_json) as display:
            progress = Progress(display)
            patience = Patience(progress.resting)
            files = PackageFiles(services.feed, patience, progress.received)
            lookup = FeedLookup(services.feed, files, patience, parallel=work.parallel, without_files=work.only_show,
                                asked=progress.asked)  # fmt: skip
            plan = await planned(work.sources, lookup, work.extras)
            sizes = Sizes(services.feed, patience, lambda package: _is_kept(services, package))
            if work.only_show:
                forecast = None
                if work.symbols:
                    forecast = await _symbols(services, work, patience, progress, 0).forecast(plan.wishes)
                return what_if(plan, lookup, await sizes.of_all(plan.wishes), forecast)
            progress.begin(len(plan.wishes) * (1 + work.symbols) + len({each.id for each in plan.wishes}))
            spent = sum(files.fetched.values())
            allowance = Allowance(work.most, sizes.to_fetch, spent) if work.most is not None else None
            run = Prewarm(services.feed, files, patience, parallel=work.parallel, advanced=progress.advanced,
                          allowance=allowance)  # fmt: skip
            report = await run.run(plan.wishes.values())
            of_symbols = None
            if work.symbols:
                spent = sum(files.fetched.values())
                of_symbols = await _symbols(services, work, patience, progress, spent).run(plan.wishes)
        if work.name is not None:
            await _pin(services, plan, work.name)
    return prewarmed(plan, lookup, report, work.name, of_symbols, need_symbols=work.need_symbols)


def _symbols(
    services: "Services", work: _Work, patience: "Patience", progress: "Progress", spent: int
) -> "PrewarmSymbols":
    """The run for symbols; `spent` are the bytes of packages that were fetched."""
    from nugetproxy.mirroring.prewarm.symbols import PrewarmSymbols

    assert services.symbols is not None, "assembled with the mirror"
    most = None if work.most is None else max(0, work.most - spent)
    return PrewarmSymbols(services.symbols, patience, parallel=work.parallel, most=most, advanced=progress.advanced,
                          received=progress.received)  # fmt: skip


async def _is_kept(services: "Services", package: Any) -> bool:
    if services.hosting is not None and await services.hosting.packages.knows(package.lower_id):
        return True
    return services.care is not None and services.care.inventory.keeps(package.lower_id, package.lower_version)


async def _pin(services: "Services", plan: "Plan", name: str) -> None:
    from nugetproxy.mirroring.kept.pins import Pin

    assert services.care is not None, "assembled with the mirror"
    now = int(time.time())
    pins = [Pin(each.lower_id, each.lower_version, name, "prewarm", now) for each in plan.wishes]
    await services.care.pins.add(*pins)
