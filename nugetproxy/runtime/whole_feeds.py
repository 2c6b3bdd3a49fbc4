"""Private feeds as a whole, for the commands that copy, back up and restore them: of one machine, or of a fleet.

Their databases take the changes of these commands also during a hold (`storage.database.holds`).
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nugetproxy
from nugetproxy.accounts.audit import AuditEntry, insert_audit
from nugetproxy.config import Config
from nugetproxy.errors import InvalidRequest, StorageUnavailable
from nugetproxy.hosting.copying import Place
from nugetproxy.storage import occupants
from nugetproxy.storage.blobs.opening import open_hosted_blobs
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.copying import is_empty
from nugetproxy.storage.database.holds import begin_copy, finish_copy, storage_state
from nugetproxy.storage.database.opening import MAIN, open_main_database
from nugetproxy.storage.occupants import Occupant
from nugetproxy.storage.revisions import ANYTHING, Revisions
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder
from nugetproxy.storage.telling import write_and_tell

UNFINISHED: Final = (
    "this storage is an unfinished copy of another one: repeat the command that copies, or begin with an empty one"
)
"""Why a target is held."""


@dataclass(frozen=True, slots=True)
class WholeFeed:
    """`where` names it in messages. `address` differs between feeds whose files are in different places."""

    place: Place
    revisions: Revisions
    spools: SpoolFolder
    where: str
    address: object


def require_two(source: Config, target: Config) -> None:
    """Raises InvalidRequest for one data directory. Two shared storages are compared when they are open."""
    kinds = {source.storage.kind, target.storage.kind}
    if kinds == {"embedded"} and Path(source.storage.path).resolve() == Path(target.storage.path).resolve():
        raise InvalidRequest(f"{source.storage.path} is both the source and the target")


@contextmanager
def opened_source(config: Config) -> Iterator[WholeFeed]:
    """A feed that may be in use. Raises StorageUnavailable, DataOfAnotherVersion."""
    path = Path(config.storage.path)
    with ExitStack() as stack:
        if config.storage.kind == "shared":
            yield stack.enter_context(_opened_shared(config))
            return
        if not (path / MAIN).exists():
            raise StorageUnavailable(f"{path} has no accounts and no hosted packages: is it the server's --data?")
        stack.callback(occupants.enter(path, Occupant("storage copy", nugetproxy.__version__, os.getpid())).leave)
        yield stack.enter_context(_opened_embedded(path))


@contextmanager
def opened_target(config: Config) -> Iterator[WholeFeed]:
    """A feed that nobody uses; its tables are created when they are missing. Raises StorageUnavailable."""
    with ExitStack() as stack:
        if config.storage.kind == "shared":
            from nugetproxy.runtime.shared_database import migrate_shared

            migrate_shared(config)
            yield stack.enter_context(_opened_shared(config))
            return
        path = Path(config.storage.path)
        try:
            path.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"data directory {path} cannot be created: {error.strerror}") from error
        stack.enter_context(occupants.alone(path, "copy a feed into a data directory"))
        yield stack.enter_context(_opened_embedded(path))


async def require_same_version(feed: WholeFeed) -> None:
    """Raises DataOfAnotherVersion when the database has tables that this version does not know."""
    database = feed.place.database
    if database.dialect == "postgres":  # others are not even opened
        from nugetproxy.storage.database.postgres_schema import require_no_newer

        require_no_newer(await database.fetch("SELECT name, version FROM applied_migrations ORDER BY name"))


async def begin(target: WholeFeed, source: str) -> None:
    """From now on the target is an unfinished copy of the source of this name, and takes no changes.

    Raises InvalidRequest when it is anything else already, DataOfAnotherVersion.
    """
    await require_same_version(target)
    database = target.place.database
    state, is_new = await database.read(lambda fetch: (storage_state(fetch, database.dialect), is_empty(fetch)))
    if state.name == source:
        raise InvalidRequest(f"{target.where} is both the source and the target")
    if state.copy_of == source:
        return
    if state.copy_of:
        raise InvalidRequest(f"{target.where} is an unfinished copy of another storage: name an empty one")
    if not is_new:
        raise InvalidRequest(f"{target.where} is not empty: it has accounts or packages. Name an empty one")
    await database.write(lambda transaction: begin_copy(transaction, source, UNFINISHED))


async def finish(target: WholeFeed, by: str, action: str, detail: str) -> None:
    """The target is complete, and may be used."""

    def work(transaction: Transaction) -> None:
        finish_copy(transaction)
        insert_audit(transaction, AuditEntry(by, action, "", detail=detail))

    await write_and_tell(target.place.database, work, target.revisions, ANYTHING)


@contextmanager
def _opened_embedded(path: Path) -> Iterator[WholeFeed]:
    with ExitStack() as stack:
        database = open_main_database(path, always_writes=True)
        stack.callback(database.close)
        revisions = Revisions(path)
        stack.callback(revisions.close)
        spools = SpoolFolder(path / "spool", MemoryBudget(0))
        blobs = open_hosted_blobs(path)
        blobs.apply_access()
        yield WholeFeed(Place(database, blobs), revisions, spools, f"the data directory {path}", path.resolve())


@contextmanager
def _opened_shared(config: Config) -> Iterator[WholeFeed]:
    from nugetproxy.runtime.shared_stores import opened_whole

    with opened_whole(config) as (database, revisions, bucket, address):
        spools = SpoolFolder(Path(config.storage.path) / "spool", MemoryBudget(0))
        place = Place(database, bucket)
        yield WholeFeed(place, revisions, spools, f"the shared storage with the {address}", address)
