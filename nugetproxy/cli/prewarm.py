"""nugetproxy prewarm: fill the mirror ahead of time."""

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nugetproxy.cli.options import config_options, load_config
from nugetproxy.cli.output import REFUSED, USAGE, complain, note
from nugetproxy.errors import InvalidRequest, NugetproxyError

if TYPE_CHECKING:
    from nugetproxy.config import Config
    from nugetproxy.nuget.lock_files import Wanted


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_options
@click.option(
    "--parallel", type=click.IntRange(1, 64), default=8, show_default=True, help="Packages fetched at the same time."
)
def prewarm(files: tuple[Path, ...], parallel: int, **options: object) -> None:
    """Fetch packages into the mirror ahead of time.

    Their documents are fetched too, so that a server with --offline and the same --data and --upstream can serve them.

    FILES are packages.lock.json, project.assets.json, or plain lists with one "Id Version" per line. Packages that are
    already in the mirror are not fetched again, so to resume an interrupted run, run it again; a server may be running.
    The contentHash of a lock file is compared with the package in the mirror.

    If an upstream asks for fewer requests or is considered down, prewarm waits for it and says so. After four
    consecutive waits without success, of up to five minutes each, it gives up on the missing packages.

    Run it as the user that the server runs as. Exit code: 0 if everything is kept, 1 if something could not be fetched
    (each is listed with the reason), 2 if a file cannot be read.
    """
    import asyncio

    from nugetproxy import logs
    from nugetproxy.cli.opened_mirror import owner_that_root_would_shut_out
    from nugetproxy.nuget.lock_files import Wanted, read_wanted
    from nugetproxy.runtime.known_upstreams import with_known_upstreams

    config = with_known_upstreams(load_config(options))
    if owner := owner_that_root_would_shut_out(Path(config.storage.path)):
        path = config.storage.path
        complain([f"{path} belongs to {owner}: run this as {owner}, or the server cannot use what root writes there"])
        sys.exit(REFUSED)
    # The report lists what could not be fetched; a log at the usual level would repeat it between progress bars.
    logs.set_up(config.logs.format, "warning" if config.logs.level == "info" else config.logs.level)
    wanted: list[Wanted] = []
    for file in files:
        try:
            wanted.extend(read_wanted(str(file), file.read_bytes()))
        except InvalidRequest as error:
            complain([str(error)])
            sys.exit(USAGE)
        except OSError as error:
            complain([f"{file} cannot be read: {error.strerror}"])
            sys.exit(USAGE)
    if not wanted:
        note("the files name no packages")
        sys.exit(0)
    try:
        complete = asyncio.run(_run(config, wanted, parallel))
    except NugetproxyError as error:
        complain([str(error)])
        sys.exit(REFUSED)
    sys.exit(0 if complete else REFUSED)


async def _run(config: "Config", wanted: "list[Wanted]", parallel: int) -> bool:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from nugetproxy.mirroring.prewarm import Prewarm, hashes_by_identity
    from nugetproxy.runtime.assembly import assemble

    console = Console(stderr=True)
    packages = hashes_by_identity(wanted)
    ids = {package.id for package in packages}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with assemble(config, os.environ, what="prewarm") as services:
        if services.screening is not None:
            # Somebody chose these versions: rules about age do not apply to them.
            await services.screening.pin(packages)
        with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
            bar = progress.add_task("prewarming", total=len(packages) + len(ids))

            def tell(seconds: float, why: str) -> None:
                progress.console.print(f"Waiting {math.ceil(seconds)} s: {why}", highlight=False, markup=False,
                                       soft_wrap=True)  # fmt: skip

            run = Prewarm(services.feed, parallel=parallel, advanced=lambda _: progress.advance(bar), resting=tell)
            report = await run.run(wanted)
    for refusal in report.refusals:
        click.echo(f"Could not be fetched: {refusal.what}: {refusal.why}", err=True)
    click.echo(
        f"Packages: {report.wanted} ({report.kept_before} kept before, {report.fetched} fetched, "
        f"{report.bytes_fetched / 1e6:.1f} MB). "
        f"Ids with documents: {report.documents}. Problems: {len(report.refusals)}."
    )
    return report.is_complete
