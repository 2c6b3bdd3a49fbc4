"""nugetproxy prewarm: fill the mirror before anyone asks."""

import asyncio
import math
import os
import pwd
import sys
from pathlib import Path

import click

from nugetproxy.cli.options import config_options, load_config
from nugetproxy.config import Config
from nugetproxy.errors import InvalidRequest, NugetproxyError


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_options
@click.option("--parallel", type=click.IntRange(1, 64), default=8, show_default=True, help="Packages fetched at once.")
def prewarm(files: tuple[Path, ...], parallel: int, **options: object) -> None:
    """Fetch packages into the mirror before anyone asks.

    With their documents, so that a server with --offline and the same --data and --upstream can serve them.

    FILES are packages.lock.json, project.assets.json, or plain lists with a line "Id Version" for each package. What is
    kept already is not fetched again, so an interrupted run is continued by running it again; it may run while the
    server does. The contentHash of a lock file is compared with the package that is kept.

    An upstream that asks to be left alone for a while, or is held to be dead, is waited for, and that is told. After
    four waits in a row that brought nothing, of five minutes at most each, what is missing could not be had.

    Run it as the user that the server runs as. Exit code: 0 when everything is kept, 1 when something could not be had
    (it says what and why), 2 when a file cannot be read.
    """
    from nugetproxy import logs
    from nugetproxy.mirroring.prewarm import distinct
    from nugetproxy.nuget.lock_files import Wanted, read_wanted

    config = load_config(options)
    if owner := _owner_that_root_would_shut_out(Path(config.storage.path)):
        click.echo(f"nugetproxy: {config.storage.path} is filled by {owner}: run this as {owner}, for what root "
                   "keeps there, the server could not use", err=True)  # fmt: skip
        sys.exit(1)
    # The report tells what could not be had and why; a log at its usual level would tell it twice, between the bars.
    logs.set_up(config.logs.format, "warning" if config.logs.level == "info" else config.logs.level)
    wanted: list[Wanted] = []
    for file in files:
        try:
            wanted.extend(read_wanted(str(file), file.read_bytes()))
        except InvalidRequest as error:
            click.echo(f"nugetproxy: {error}", err=True)
            sys.exit(2)
        except OSError as error:
            click.echo(f"nugetproxy: {file} cannot be read: {error.strerror}", err=True)
            sys.exit(2)
    packages = distinct(wanted)
    if not packages:
        click.echo("nugetproxy: the files name no packages", err=True)
        sys.exit(0)
    try:
        complete = asyncio.run(_run(config, packages, parallel))
    except NugetproxyError as error:
        click.echo(f"nugetproxy: {error}", err=True)
        sys.exit(1)
    sys.exit(0 if complete else 1)


def _owner_that_root_would_shut_out(data: Path) -> str:
    """Who fills the mirror when that is not root, and we are: its folders would be root's from now on. Else nothing."""
    mirror = data / "mirror"
    filled = mirror if mirror.is_dir() else data
    if os.geteuid() != 0 or not filled.is_dir() or (owner := filled.stat().st_uid) == 0:
        return ""
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"uid {owner}"


async def _run(config: Config, packages: list, parallel: int) -> bool:  # type: ignore[type-arg]  # see the lazy imports above
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from nugetproxy.mirroring.prewarm import Prewarm
    from nugetproxy.runtime.assembly import assemble

    console = Console(stderr=True)
    ids = {package.identity.id for package in packages}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with assemble(config, os.environ) as services:
        with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
            bar = progress.add_task("prewarming", total=len(packages) + len(ids))

            def tell(seconds: float, why: str) -> None:
                progress.console.print(f"waiting for {math.ceil(seconds)} s: {why}", highlight=False, markup=False,
                                       soft_wrap=True)  # fmt: skip

            run = Prewarm(services.feed, parallel=parallel, advanced=lambda _: progress.advance(bar), resting=tell)
            report = await run.run(packages)
    for refusal in report.refusals:
        click.echo(f"could not be had: {refusal.what}: {refusal.why}", err=True)
    click.echo(
        f"{report.wanted} packages wanted: {report.kept_before} kept before, {report.fetched} fetched "
        f"({report.bytes_fetched / 1e6:.1f} MB), {len(report.refusals)} problems; documents of {report.documents} ids"
    )
    return report.is_complete
