"""nugetproxy import-packages: take over the packages of another server into the hosted feed."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nugetproxy.cli.importing import print_import, pushing_actors, shown_progress
from nugetproxy.cli.managing import manage, managing_options
from nugetproxy.cli.output import REFUSED, USAGE, complain, note, refuse
from nugetproxy.errors import InvalidRequest, StorageUnavailable

if TYPE_CHECKING:
    from nugetproxy.cli.managed import Managed
    from nugetproxy.config import UpstreamSettings
    from nugetproxy.hosting.moving_in.report import Report
    from nugetproxy.hosting.moving_in.selection import OwnerNames, Selection
    from nugetproxy.hosting.moving_in.source import Source

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("import-packages")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--database", type=_FILE, help="With FOLDER: the SQLite database of a BaGet server.  [default: baget.db "
              "or bagetter.db in FOLDER, if there is one]")  # fmt: skip
@click.option("--repository", default="", metavar="NAME",
              help="With FOLDER: of a Nexus blob store, only the blobs of this repository.")  # fmt: skip
@click.option("--source", metavar="URL", help="Instead of FOLDER: a feed, V3 (.../index.json) or V2.")
@click.option("--user", default="", help="With --source: the user name to send.")
@click.option("--password-file", type=_FILE, help="With --source: the password is the text of this file.")
@click.option("--api-key-file", type=_FILE, help="With --source: send the text of this file as X-NuGet-ApiKey.")
@click.option("--ca-file", type=_FILE, help="With --source: certificates to trust for it (PEM).")
@click.option("--allow-host", "allowed_hosts", multiple=True, metavar="HOST",
              help="With --source: a further server that it may send us to. Repeatable.")  # fmt: skip
@click.option("--symbols", is_flag=True, help="With --source: look for the symbols of each version too.")
@click.option("--owner", default="", metavar="NAME", help="The account that gets the ids that --owners does not name.")
@click.option("--owners", "owners_file", type=_FILE,
              help="""TOML file of lines such as "Contoso.*" = "contoso": which account gets which ids.""")  # fmt: skip
@click.option("--include", multiple=True, metavar="GLOB", help="Only these ids. Repeatable.  [default: all]")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not these ids. Repeatable.")
@click.option("--newest", type=click.IntRange(min=1), metavar="N", help="Only the N highest versions of each id.")
@click.option("--dry-run", is_flag=True, help="Only report what would be imported, and what would be refused.")
@click.option("--report", "report_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write what became of each file to FILE (JSON).")  # fmt: skip
@click.option(
    "--parallel", type=click.IntRange(1, 32), default=8, show_default=True, help="Files imported at the same time."
)
@managing_options
def import_packages(
    folder: Path | None, database: Path | None, repository: str, source: str | None, user: str,
    password_file: Path | None, api_key_file: Path | None, ca_file: Path | None, allowed_hosts: tuple[str, ...],
    symbols: bool, owner: str, owners_file: Path | None, include: tuple[str, ...],
    exclude: tuple[str, ...], newest: int | None, dry_run: bool, report_file: Path | None, parallel: int,
    as_json: bool, **options: object,
) -> None:  # fmt: skip
    """Move packages of another server into the hosted feed.

    FOLDER has package files (.nupkg, .snupkg) in any depth: loose files, or the storage of NuGet.Server, BaGet,
    Sleet or Nexus. --source names a feed instead. Publication dates, listing, deprecation and download counts are kept
    where the source knows them.

    Every package needs an owner, a user or an organisation that exists here, and is imported as if that account
    pushed it: an id must be protected or allowed by the settings, and its prefix must not be reserved for others.

    Versions that are here already are skipped, so to continue an interrupted run, run it again; a server may be
    running. A version that is here with different bytes is reported and never replaced.

    Exit code: 0 if everything selected is here, 1 if something was refused (each is listed with the reason), 2 for a
    usage error.
    """
    from nugetproxy.hosting.moving_in.selection import selection_of

    try:
        if (folder is None) == (source is None):
            raise InvalidRequest("name a folder, or a feed with --source URL")
        if source is None and (user or password_file or api_key_file or ca_file or allowed_hosts or symbols):
            raise InvalidRequest("credentials, certificates, hosts and --symbols are for --source URL")
        if folder is None and (database or repository):
            raise InvalidRequest("--database and --repository are for a folder")
        feed = None if source is None else _feed(source, user, password_file, api_key_file, ca_file, allowed_hosts)
        selection, names = selection_of(include, exclude, newest), _owner_names(owners_file, owner)
        if not names.names:
            raise InvalidRequest("name the owner of the packages: --owner NAME, or --owners FILE")
    except InvalidRequest as error:
        refuse(error)
    if report_file is not None:
        _check_writable(report_file)

    async def work(managed: "Managed") -> "Report":
        from nugetproxy import logs
        from nugetproxy.cli.opened_mirror import owner_that_root_would_shut_out
        from nugetproxy.hosting.moving_in.run import MovingIn
        from nugetproxy.runtime.moving_in_parts import receiver

        logs.set_up("plain", "error")  # the report says everything
        if not managed.config.hosting.enabled:
            raise InvalidRequest("hosting.enabled is false in the settings: the server would not show what is imported")
        if user := owner_that_root_would_shut_out(managed.path):
            raise StorageUnavailable(
                f"{managed.path} belongs to {user}: run this as {user}, or the server cannot use what root writes there"
            )
        actor_for = await pushing_actors(managed, names)
        opened = _source(folder, database, repository) if feed is None else _opened(feed, selection, symbols=symbols)
        parts = receiver(
            managed.config, managed.path, managed.stores, managed.ownership, managed.audit, parallel=parallel
        )
        async with opened as left, parts as to:
            with shown_progress() as (planned, advanced):
                run = MovingIn(
                    left, to, actor_for, selection=selection, parallel=parallel, dry_run=dry_run, planned=planned,
                    advanced=advanced,
                )  # fmt: skip
                return await run.run()

    report = manage(options, work)
    if report_file is not None:
        _write(report_file, report.as_dict())
    print_import(report, as_json)
    sys.exit(REFUSED if report.refused else 0)


def _feed(
    url: str, user: str, password_file: Path | None, api_key_file: Path | None, ca_file: Path | None,
    allowed_hosts: tuple[str, ...],
) -> "UpstreamSettings":  # fmt: skip
    """How to ask the feed. Raises InvalidRequest."""
    from pydantic import ValidationError

    from nugetproxy.config import UpstreamSettings

    if bool(user) != (password_file is not None):
        raise InvalidRequest("--user and --password-file need each other")
    given: dict[str, object] = {
        "service_index": url,
        "username": user,
        "password_file": str(password_file or ""),
        "header_name": "X-NuGet-ApiKey" if api_key_file else "",
        "header_value_file": str(api_key_file or ""),
        "ca_file": str(ca_file or ""),
        "allowed_hosts": allowed_hosts,
    }
    try:
        return UpstreamSettings.model_validate(given)
    except ValidationError as wrong:
        options = {"service_index": "--source", "allowed_hosts": "--allow-host"}
        told = [
            f"{options.get(str(each['loc'][0]) if each['loc'] else '', 'the feed')}: {each['msg']}"
            for each in wrong.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise InvalidRequest("; ".join(told)) from None  # the texts may contain a secret


@asynccontextmanager
async def _source(folder: Path | None, database: Path | None, repository: str) -> "AsyncIterator[Source]":
    from nugetproxy.hosting.moving_in.folder import FolderSource

    assert folder is not None, "without a feed there is a folder"
    yield FolderSource(folder, database=database, repository=repository)


@asynccontextmanager
async def _opened(feed: "UpstreamSettings", selection: "Selection", *, symbols: bool) -> "AsyncIterator[Source]":
    """Raises ConfigError, UpstreamError."""
    from nugetproxy.mirroring.leaving.opening import opened_feed
    from nugetproxy.runtime.assembly import USER_AGENT

    opened = opened_feed(feed, user_agent=USER_AGENT, environ=os.environ, covers=selection.covers,
                         named_ids=selection.named_ids, symbols=symbols)  # fmt: skip
    async with opened as source:
        yield source


def _owner_names(file: Path | None, otherwise: str) -> "OwnerNames":
    """Raises InvalidRequest."""
    from nugetproxy.hosting.moving_in.selection import OwnerNames, read_owner_names

    if file is None:
        return OwnerNames({}, otherwise)
    try:
        return read_owner_names(file.read_text("utf-8-sig"), otherwise)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{file} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}") from error
    except InvalidRequest as error:
        raise InvalidRequest(f"{file}: {error}") from error


def _check_writable(path: Path) -> None:
    """Before hours of work, not after them. Exits with a usage error."""
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        complain([f"{path} cannot be written: {error.strerror}"], "usage", USAGE)
        sys.exit(USAGE)


def _write(path: Path, report: Mapping[str, Any]) -> None:
    import orjson

    try:
        path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    except OSError as error:
        note(f"{path} cannot be written: {error.strerror}")
