"""Services: the parts a request handler may use, by name.

Assembled once per process; it sits below `web`, so that no handler knows which concrete parts are in use.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nugetproxy.accounts.attempts import Attempts
from nugetproxy.accounts.audit import AuditLog
from nugetproxy.accounts.device_grants import DeviceGrants
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.accounts.sessions import Sessions
from nugetproxy.accounts.trusted_publishing.acts import TokenExchange
from nugetproxy.config import Config
from nugetproxy.feeds.base import Feed
from nugetproxy.feeds.protected import IsOurs
from nugetproxy.hosting.acts import PushQueue
from nugetproxy.hosting.events import HostedEvents
from nugetproxy.hosting.packages import HostedPackages
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.statistics import Statistics
from nugetproxy.hosting.symbols import Symbols
from nugetproxy.hosting.verification import VerificationKeys
from nugetproxy.mirroring.care.eviction import Eviction
from nugetproxy.mirroring.care.upkeep import Upkeep
from nugetproxy.mirroring.care.verification import Verification
from nugetproxy.mirroring.foresight.foresight import Foresight
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory
from nugetproxy.mirroring.kept.last_use import LastUse
from nugetproxy.mirroring.kept.pins import Pins
from nugetproxy.mirroring.symbols.mirrored_symbols import MirroredSymbols
from nugetproxy.storage.revisions import Revisions
from nugetproxy.storage.spool import SpoolFolder

if TYPE_CHECKING:
    from nugetproxy.feeds.screening import Screening


@dataclass(frozen=True)
class HostingServices:
    """The private feed's acts and tables. The sizes are limits of one upload, in bytes.

    `is_read_only`: the data directory cannot be written, so every act fails.
    """

    publish: Publish
    packages: HostedPackages
    events: HostedEvents
    statistics: Statistics
    symbols: Symbols
    verification_keys: VerificationKeys
    spools: SpoolFolder
    queue: PushQueue
    max_package_size: int
    max_symbols_size: int
    is_read_only: bool = False


@dataclass(frozen=True)
class AccountServices:
    """Accounts, ownership, the audit log, limits on failed attempts, sessions of browsers, sign-ins of
    command lines.

    `exchange` is None if it is switched off.
    """

    directory: Directory
    ownership: Ownership
    audit: AuditLog
    attempts: Attempts
    sessions: Sessions
    device_grants: DeviceGrants
    exchange: TokenExchange | None = None


@dataclass(frozen=True)
class CareServices:
    """The upkeep of the mirror: for commands, and for what runs in the background.

    `is_ours` says whether a lower id is protected or hosted: no upstream is asked about it.
    """

    inventory: Inventory
    files: KeptFiles
    last_use: LastUse
    pins: Pins
    eviction: Eviction
    upkeep: Upkeep
    verification: Verification
    is_ours: IsOurs


@dataclass(frozen=True)
class Services:
    """The services of one running process for its handlers.

    `ready` says whether requests can be served now, or why not; it never raises. `started` is when this process was
    assembled, in seconds since the epoch. `name` is the product's, with its version after a slash. `foresight` is None
    when it is switched off, and offline. `screening` is None without rules of the policy.

    `changes` differs after any change, in any process, that previous answers may depend on. `epoch` differs only after
    those that concern the answers about all packages; `revisions.packages` has the others.

    `may_remember` says whether prepared answers may be sent now; None: always, as no other machine changes anything.

    The rest is None where nothing is hosted; `mirrored` is the feed for clients that may not see hosted packages,
    `hosted` the one of hosted packages alone.
    """

    config: Config
    feed: Feed
    ready: Callable[[], Awaitable[tuple[bool, str]]]
    started: float
    name: str
    changes: Callable[[], int] = lambda: 0
    epoch: Callable[[], int] = lambda: 0
    mirrored: Feed | None = None
    hosted: Feed | None = None
    hosting: HostingServices | None = None
    accounts: AccountServices | None = None
    revisions: Revisions | None = None
    may_remember: Callable[[], bool] | None = None
    foresight: Foresight | None = None
    screening: "Screening | None" = None
    care: CareServices | None = None
    symbols: MirroredSymbols | None = None
