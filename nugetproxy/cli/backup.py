"""nugetproxy backup, nugetproxy restore: save data that cannot be fetched again, and put it back."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.managing import managing_options
from nugetproxy.cli.options import Settings
from nugetproxy.cli.output import REFUSED, complain, is_json, note, refuse, report
from nugetproxy.errors import InvalidRequest, NugetproxyError, StorageUnavailable

if TYPE_CHECKING:
    from nugetproxy.config import Config
    from nugetproxy.storage.backup.manifest import Manifest


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--with-mirror", is_flag=True, help="Include mirrored packages, which can be fetched again.")
@click.option("--copy", is_flag=True, help="Copy every file.  [default: link, where DIR is on the same file system]")
@managing_options
def backup(folder: Path, with_mirror: bool, copy: bool, as_json: bool, **options: object) -> None:
    """Back up the private feed, while the server runs.

    That is the pushed packages, the accounts and the audit log.

    DIR is a new or empty folder, private to you afterwards. Packages never change, so on the same file system they are
    hard links and take no space; copy DIR to another machine then. Settings and their secrets are not included.

    Of a shared storage, DIR gets a copy of the rows and of all files in the bucket. It can be restored into either
    kind of storage.

    Exit code: 0 if the backup is complete. 1 if not: packages whose files are missing or damaged are
    named and left out.
    """
    from nugetproxy.hosting.backup import back_up_hosting
    from nugetproxy.mirroring.kept.backup import back_up_mirror
    from nugetproxy.storage.backup.writing import BackupWriter
    from nugetproxy.storage.database.opening import MAIN, open_main_database

    settings = Settings(options)
    if settings.shared is not None:
        _back_up_shared(settings.shared, folder, with_mirror=with_mirror, as_json=as_json)
        return
    data = settings.data
    try:
        has_main = (data / MAIN).exists()
        if not has_main and not (with_mirror and data.is_dir()):
            raise StorageUnavailable(f"{data} has no accounts and no hosted packages: is it the server's --data?")
        if has_main:
            open_main_database(data, reading=True).close()  # only this version's schema is understood
        writer = BackupWriter(data, folder, link=not copy)
        try:
            damaged = back_up_hosting(writer) if has_main else ()
            if with_mirror:
                back_up_mirror(data, writer)
            manifest = writer.finish(damaged)
        except BaseException:  # Ctrl-C, too
            writer.abandon()
            raise
    except NugetproxyError as error:
        refuse(error)
    _tell_backup(data if has_main else None, folder, manifest, as_json=as_json)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@managing_options
def restore(folder: Path, as_json: bool, **options: object) -> None:
    """Restore a backup into an empty place.

    That is a new or empty data directory, or an empty shared storage.

    Every file is compared with the backup's manifest before anything is moved into place, so a damaged backup changes
    nothing. The data directory must be unused and empty: restore into a new one, and move other files, such as mirror/,
    there afterwards.

    A shared storage must have no accounts and no packages. A restore into it that was interrupted is continued by
    running it again.
    """
    from nugetproxy.storage.backup.restoring import restore as restore_into

    settings = Settings(options)
    if settings.shared is not None:
        _restore_shared(settings.shared, folder, as_json=as_json)
        return
    data = settings.data
    try:
        manifest = restore_into(folder, data)
    except NugetproxyError as error:
        refuse(error)
    report(as_json, _shown(folder, manifest), f"Restored {_counted(manifest)} of {manifest.created} into {data}.")
    if data.stat().st_uid == 0:
        note(f"{data} belongs to root. If the server runs as another user: chown -R USER {data}")
    _tell_damaged(manifest)


def _back_up_shared(config: "Config", folder: Path, *, with_mirror: bool, as_json: bool) -> None:
    import asyncio

    from nugetproxy.cli.display import display_for
    from nugetproxy.cli.storage import shown_on
    from nugetproxy.runtime.shared_backup import back_up_shared
    from nugetproxy.runtime.whole_feeds import opened_source

    async def run() -> "Manifest":
        with display_for(silent=is_json()) as display, opened_source(config) as source:
            return await back_up_shared(source, folder, shown_on(display))

    try:
        if with_mirror:
            raise InvalidRequest("a backup of a shared storage has no mirrored packages: leave out --with-mirror")
        manifest = asyncio.run(run())
    except NugetproxyError as error:
        refuse(error)
    data = Path(config.storage.path)
    _tell_backup(data if data.is_dir() else None, folder, manifest, as_json=as_json)


def _restore_shared(config: "Config", folder: Path, *, as_json: bool) -> None:
    import asyncio

    from nugetproxy.cli.display import display_for
    from nugetproxy.cli.managed import unix_user
    from nugetproxy.cli.storage import shown_on
    from nugetproxy.runtime.shared_backup import restore_shared
    from nugetproxy.runtime.whole_feeds import opened_target

    async def run() -> "Manifest":
        with display_for(silent=is_json()) as display, opened_target(config) as target:
            return await restore_shared(folder, target, f"command line ({unix_user()})", shown_on(display))

    try:
        manifest = asyncio.run(run())
    except NugetproxyError as error:
        refuse(error)
    report(
        as_json,
        _shown(folder, manifest),
        f"Restored {_counted(manifest)} of {manifest.created} into the shared storage. Start the servers.",
    )
    _tell_damaged(manifest)


def _tell_backup(data: Path | None, folder: Path, manifest: "Manifest", *, as_json: bool) -> None:
    """`data`: the data directory in which to note when it was."""
    from nugetproxy.storage.backup.last import LastBackup, note_backup

    if data is not None:
        try:
            note_backup(data, LastBackup(manifest.created, str(folder.absolute()), len(manifest.damaged)))
        except StorageUnavailable as error:  # the backup is complete all the same
            note(f"nugetproxy doctor will not know of this backup: {error}")
    report(as_json, _shown(folder, manifest), f"Backed up {_counted(manifest)} to {folder}.")
    _tell_damaged(manifest)


def _tell_damaged(manifest: "Manifest") -> None:
    """Exits with status 1 if files are missing from the backup."""
    if manifest.damaged:
        complain([f"not in the backup, because its file is missing or damaged: {path}" for path in manifest.damaged])
        sys.exit(REFUSED)


def _counted(manifest: "Manifest") -> str:
    size = sum(file.size for file in manifest.files.values())
    return f"{len(manifest.files)} files ({size / 1e6:.1f} MB)"


def _shown(folder: Path, manifest: "Manifest") -> dict[str, Any]:
    return {
        "folder": str(folder),
        "version": manifest.version,
        "created": manifest.created,
        "files": len(manifest.files),
        "bytes": sum(file.size for file in manifest.files.values()),
        "damaged": list(manifest.damaged),
    }
