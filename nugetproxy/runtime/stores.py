"""Where a process keeps what others see, as parts that may be files of one machine or engines that a fleet shares.

Which of the two it is, and how they are opened, belongs to `opened_stores`.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.database.base import Database, Transaction
from nugetproxy.storage.documents.base import DocumentStore
from nugetproxy.storage.leases import Leases, Rights
from nugetproxy.storage.revisions import Revisions

if TYPE_CHECKING:  # commands that manage accounts must not load what mirrors
    from nugetproxy.mirroring.downloads.sharing import FleetPackages

Work = Callable[[Callable[[Transaction], None]], Awaitable[None]]
"""One run of a job. It calls what it is given in each transaction; that raises if another node does the job by now."""
ForAll = Callable[[str, Work, float], Coroutine[None, None, None]]
"""Does a job (its name, the work, seconds between two runs) while this node is the one to do it, until cancelled."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What a running process uses.

    `leases` are those of this machine's processes. `flights` are held while an upstream is asked, `jobs` while a job
    runs: among all nodes, where there are several. `for_all` has one node of a fleet do a job for all of them; None on
    a single machine. `degraded` says which engines cannot be reached, empty for none.
    """

    leases: Leases
    flights: Rights
    jobs: Rights
    revisions: Revisions
    main: Database | None
    hosted: BlobStore
    over_documents: Callable[[DocumentStore], DocumentStore] = lambda local: local
    packages: "FleetPackages | None" = None
    for_all: ForAll | None = None
    degraded: Callable[[], str] = lambda: ""


@dataclass(frozen=True, slots=True)
class MainStores:
    """What a command that manages accounts and hosted packages uses."""

    database: Database
    revisions: Revisions
    hosted: BlobStore
