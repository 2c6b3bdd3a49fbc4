"""nugetproxy backup, nugetproxy restore: save data that cannot be fetched again, and put it back."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.managing import managing_options
from nugetproxy.cli.options import Settings
from nugetproxy.cli.output import REFUSED, complain, note, refuse, report
from nugetproxy.errors import NugetproxyError, StorageUnavailable

if TYPE_CHECKING:
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

    Exit code: 0 if the backup is complete. 1 if not: packages whose files are missing or damaged are
    named and left out.
    """
    from nugetproxy.hosting.backup import back_up_hosting
    from nugetproxy.mirroring.kept.backup import back_up_mirror
    from nugetproxy.storage.backup.last import LastBackup, note_backup
    from nugetproxy.storage.backup.writing import BackupWriter
    from nugetproxy.storage.database.opening import MAIN, open_main_database

    data = Settings(options).data
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
    if has_main:
        try:
            note_backup(data, LastBackup(manifest.created, str(folder.absolute()), len(manifest.damaged)))
        except StorageUnavailable as error:  # the backup is complete all the same
            note(f"nugetproxy doctor will not know of this backup: {error}")
    report(as_json, _shown(folder, manifest), f"Backed up {_counted(manifest)} to {folder}.")
    _tell_damaged(manifest)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@managing_options
def restore(folder: Path, as_json: bool, **options: object) -> None:
    """Restore a backup into a new or empty data directory.

    Every file is compared with the backup's manifest before anything is moved into place, so a damaged backup changes
    nothing. The data directory must be unused and empty: restore into a new one, and move other files, such as mirror/,
    there afterwards.
    """
    from nugetproxy.storage.backup.restoring import restore as restore_into

    data = Settings(options).data
    try:
        manifest = restore_into(folder, data)
    except NugetproxyError as error:
        refuse(error)
    report(as_json, _shown(folder, manifest), f"Restored {_counted(manifest)} of {manifest.created} into {data}.")
    if data.stat().st_uid == 0:
        note(f"{data} belongs to root. If the server runs as another user: chown -R USER {data}")
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
