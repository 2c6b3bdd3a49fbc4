"""nugetproxy migrate: bring the databases of a data directory up to this version."""

import click

from nugetproxy.cli.options import Settings, data_options
from nugetproxy.cli.output import refuse
from nugetproxy.errors import NugetproxyError, StorageUnavailable


@click.command()
@data_options
def migrate(**options: object) -> None:
    """Bring the databases up to this version.

    A server does so when it starts; this command does it beforehand, while nothing is served. It is refused while a
    server uses the data directory. Back up first: the backup is the only way back to an older version.

    With shared storage, the database is migrated while older servers go on.
    """
    from nugetproxy.storage.database.upgrading import bring_up_to_date

    settings = Settings(options)
    path = settings.data
    try:
        if settings.shared is not None:
            from nugetproxy.runtime.shared_database import migrate_shared

            names = migrate_shared(settings.shared)
            click.echo(f"Migrated PostgreSQL: {', '.join(names)}" if names else "Nothing to migrate.")
            return
        if not path.is_dir():
            raise StorageUnavailable(f"data directory {path} does not exist; use the --data or --config of the server")
        applied = bring_up_to_date(path)
    except NugetproxyError as error:
        refuse(error)
    for file, names in applied.items():
        click.echo(f"Migrated {file}: {', '.join(names) or 'set aside, it will be rebuilt'}")
    if not applied:
        click.echo("Nothing to migrate.")
