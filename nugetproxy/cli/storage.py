"""nugetproxy storage: move a private feed to another storage, and end the hold of one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.managing import managing_options
from nugetproxy.cli.options import Settings
from nugetproxy.cli.output import is_json, note, refuse, report
from nugetproxy.errors import NugetproxyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nugetproxy.cli.display import Display
    from nugetproxy.runtime.storage_copy import Copied


@click.group()
def storage() -> None:
    """Where the private feed is kept: moving it elsewhere."""


@storage.command("copy")
@click.option(
    "--to",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The settings file of the servers that are to have the feed.",
)
@click.option(
    "--ahead", is_flag=True, help="Copy only what can be copied while the feed takes pushes. Run it again later."
)
@click.option("--without-damaged", is_flag=True, help="Copy the feed although files are missing or damaged.")
@managing_options
def copy_storage(to: Path, ahead: bool, without_damaged: bool, as_json: bool, **options: object) -> None:
    """Copy the private feed to another storage: a data directory, or a database and a bucket.

    The target is empty, or an unfinished copy: a run that was interrupted is continued by running it again. Files are
    copied while the feed is used. Then it accepts no changes while the rest is copied and compared, and none after
    that: start the servers with the other settings. Downloads go on all the time.

    Mirrored packages are not copied.

    Exit code: 0 if the copy is complete, 1 if not.
    """
    import asyncio

    from nugetproxy.cli.display import display_for
    from nugetproxy.cli.managed import unix_user
    from nugetproxy.cli.options import load_config
    from nugetproxy.runtime.storage_copy import copy_storage as copy
    from nugetproxy.runtime.whole_feeds import opened_source, opened_target, require_two

    settings = Settings(options)
    source_config, target_config = settings.config, load_config({"config": to}, environ={})

    async def run(display: "Display") -> "Copied":
        require_two(source_config, target_config)
        with opened_source(source_config) as source, opened_target(target_config) as target:
            return await copy(
                source, target, shown_on(display), f"command line ({unix_user()})",
                ahead_only=ahead, without_damaged=without_damaged,
            )  # fmt: skip

    try:
        with display_for(silent=is_json()) as display:
            copied = asyncio.run(run(display))
    except NugetproxyError as error:
        refuse(error)
    counted = f"{copied.rows:,} rows and {copied.files:,} files ({copied.bytes / 1e6:,.1f} MB)"
    if copied.is_complete:
        sentence = (
            f"Copied {counted}. All rows were counted and all files compared. This storage accepts no changes any "
            f"more: start the servers with {to}."
        )
    else:
        sentence = f"Copied {counted} ahead. Run the command without --ahead to copy the rest."
    report(as_json, _described(copied), sentence)
    if target_config.storage.kind == "embedded" and os.geteuid() == 0:
        data = target_config.storage.path
        note(f"the files in {data} belong to root. If the server runs as another user: chown -R USER {data}")
    for key in copied.damaged:
        note(f"not copied, because it is missing or damaged: {key}")


@storage.command("release")
@managing_options
def release_storage(as_json: bool, **options: object) -> None:
    """Accept changes again after a copy.

    After a complete copy this feed and the copy are two: what is pushed to one is not in the other.
    """
    import asyncio

    from nugetproxy.runtime.storage_copy import release_hold
    from nugetproxy.runtime.whole_feeds import opened_source

    async def run() -> str:
        with opened_source(Settings(options).config) as source:
            return await release_hold(source)

    try:
        because = asyncio.run(run())
    except NugetproxyError as error:
        refuse(error)
    sentence = "Changes are accepted again." if because else "Nothing to do: changes are accepted."
    report(as_json, {"released": bool(because), "because": because}, sentence)


def shown_on(display: "Display") -> "Callable[[str, int, int], None]":
    """Shows how far a copy is."""

    def progress(what: str, done: int, total: int) -> None:
        display.show(lambda: f"Copying {what}: {done:,}" + (f" of {total:,}" if total else ""), done, total)

    return progress


def _described(copied: "Copied") -> dict[str, Any]:
    return {
        "rows": copied.rows,
        "files": copied.files,
        "bytes": copied.bytes,
        "damaged": list(copied.damaged),
        "complete": copied.is_complete,
    }
