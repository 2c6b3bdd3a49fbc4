"""What an examination found out, as plain values. None means that it was not, or could not be, looked at."""

from dataclasses import dataclass

from nugetproxy.mirroring.upstream.first_contact import FirstContact


@dataclass(frozen=True, slots=True)
class Disk:
    """The data directory and its file system. Sizes in bytes, times in seconds.

    `why` is what prevents its use, empty if nothing does; the other values are then those of a missing directory.
    """

    path: str
    exists: bool = True
    is_writable: bool = True
    why: str = ""
    free: int = 0
    total: int = 0
    reserve: int = 0
    free_files: int | None = None
    """How many more files fit; None where the file system has no limit."""
    sync_seconds: float | None = None
    """How long it takes to write 4 KB safe from power loss (median)."""
    locks_hold: bool | None = None
    """Whether a lock on a file keeps a second holder out."""


@dataclass(frozen=True, slots=True)
class Databases:
    """`why`: what prevents the main database from being opened; empty if nothing does."""

    why: str = ""
    is_empty: bool = True
    """Nothing in it needs a backup: no account, no hosted package."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The first certificate of `server.tls_cert`. `ends` in unix seconds is the earliest end in the chain."""

    subject: str
    names: tuple[str, ...]
    ends: float
    ending: str
    """The subject of the certificate that ends first."""
    issuer: str
    is_complete: bool
    """Each certificate is issued by the next, and the last one is trusted by this machine or issued by such a one."""


@dataclass(frozen=True, slots=True)
class Source:
    """How clients reach the server. `url` is the source URL of the settings.

    `not_ready` is why the server is not ready at the address it listens on, empty if it is; `is_refused`: nothing
    listens there at all. `wrong` is why the source URL does not work, empty if it does, None if it was not asked.
    """

    url: str
    local_url: str
    is_public_url_set: bool
    is_for_this_machine: bool
    """It listens on a loopback address only."""
    not_ready: str = ""
    is_refused: bool = False
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """The last `nugetproxy backup` of this data directory, in unix seconds."""

    made: float
    folder: str
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Bucket:
    """The bucket of a shared installation. `why`: which use of it fails, and how; empty if none does."""

    name: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything at one moment. `now` in unix seconds, `backup_age` in seconds: older ones are too old; 0 for never."""

    now: float
    settings_problems: tuple[str, ...] = ()
    settings_warnings: tuple[str, ...] = ()
    settings_from: str = ""
    disk: Disk | None = None
    occupants: tuple[str, ...] = ()
    is_hosting: bool = True
    databases: Databases | None = None
    certificate: Certificate | None = None
    is_offline: bool = False
    contacts: tuple[FirstContact, ...] = ()
    source: Source | None = None
    has_policy: bool = False
    hiding_rules: tuple[str, ...] = ()
    """Rules of the policy that withhold every package, as far as one can tell."""
    backup: Backup | None = None
    backup_age: float = 7 * 86_400.0
    bucket: Bucket | None = None
    """None with embedded storage."""
