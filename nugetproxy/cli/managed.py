"""A data directory, opened for one command, possibly beside a running server.

`managing` imports this when a command starts working: help and shell completion do not wait for it.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import Actor, command_line
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.cli.options import Settings
from nugetproxy.cli.output import note
from nugetproxy.errors import StorageUnavailable
from nugetproxy.runtime.opened_stores import opened_main
from nugetproxy.runtime.stores import MainStores
from nugetproxy.storage.database.base import Database
from nugetproxy.storage.revisions import Revisions

if TYPE_CHECKING:
    from nugetproxy.config import Config


class Managed:
    """What a command works with. `by` is the user running it, for the audit log."""

    def __init__(self, settings: Settings, path: Path, stores: MainStores) -> None:
        self._settings = settings
        self.path = path
        self.stores = stores
        self.database: Database = stores.database
        self.revisions: Revisions = stores.revisions
        self.directory = Directory(self.database, self.revisions)
        self.audit = AuditLog(self.database)
        self.by: Actor = command_line(unix_user())

    @property
    def config(self) -> "Config":
        return self._settings.config

    @cached_property
    def ownership(self) -> Ownership:
        return Ownership(
            self.database,
            self.revisions,
            protected=self.config.feed.protected_prefixes,
            allowed_ids=self.config.hosting.allowed_ids,
        )


@contextmanager
def opened(settings: Settings, *, may_create: bool = False, reading: bool = False) -> Iterator[Managed]:
    """Raises StorageUnavailable. `may_create`, `reading`: see `managing.manage`."""
    path = settings.data
    _prepare(path, may_create or settings.shared is not None)
    with opened_main(settings.shared, path, reading=reading) as stores:
        yield Managed(settings, path, stores)


def _prepare(path: Path, may_create: bool) -> None:
    if path.is_dir():
        return
    if path.exists():
        raise StorageUnavailable(f"{path} is a file; --data names a directory")
    if not may_create:
        raise StorageUnavailable(f"data directory {path} does not exist; use the --data or --config of the server")
    try:
        path.mkdir(0o700, parents=True)
    except OSError as error:
        raise StorageUnavailable(f"data directory {path} cannot be created: {error.strerror}") from error
    note(f"created data directory {path.absolute()}. Start the server with the same --data or --config.")


def unix_user() -> str:
    """The name of the user who runs this."""
    # Not from the environment: the audit log must be trustworthy.
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
