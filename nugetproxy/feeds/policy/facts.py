"""Facts: what is known about one version when policy rules are evaluated. Values only; rules are in `rules`.

Every fact may be unknown (None). A rule that needs an unknown fact cannot be evaluated, and the version is withheld.
There is one exception: what only the package file can tell (`PackageFacts`) is read when the file is first downloaded,
before a byte of it is sent.
Times are in seconds since the epoch.
"""

from dataclasses import dataclass
from enum import StrEnum

from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.licences import StatedLicence
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.advisories.values import Severity as Severity


@dataclass(frozen=True, slots=True)
class Advisory:
    """One known vulnerability of a version. `published` is when it became known; None if that is not stated."""

    severity: Severity
    url: str
    published: float | None = None


class SignatureState(StrEnum):
    """What verifying a package's signature showed (cryptographically, see `nuget.signature`)."""

    UNSIGNED = "unsigned"
    INVALID = "invalid"
    """Signed, but the content, the chain, the timestamp or the fingerprint is wrong."""
    UNTRUSTED = "untrusted"
    """Valid by itself, but it ends in no certificate that the feed publishes or the settings name."""
    REPOSITORY = "repository"
    """A valid repository signature, alone or as a countersignature."""
    AUTHOR = "author"
    """A valid author signature and no repository signature."""

    @property
    def is_valid(self) -> bool:
        return self in (SignatureState.REPOSITORY, SignatureState.AUTHOR)


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What only the package file tells.

    `why` says what is wrong with a signature that is not valid. `owners` are those that the repository signature names.
    `scripts` are the traits of install scripts and build files: "tools/init.ps1", "build/*.targets" and similar.
    """

    signature: SignatureState
    why: str = ""
    owners: tuple[str, ...] = ()
    scripts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """One version.

    Read from the upstream's registration: `published` (the true time: when nuget.org has overwritten it, the catalog's
    `created`), `licence`, `advisories`. From its search: `owners` of the id.
    Known here: `first_seen` (of the version), `id_first_seen`, `is_kept` (fetched before, and served since),
    `is_pinned` (named by a lock file that was prewarmed).
    `package` is None until the file was read.
    """

    id: PackageId
    version: NuGetVersion
    listed: bool = True
    published: float | None = None
    first_seen: float | None = None
    id_first_seen: float | None = None
    licence: StatedLicence | None = None
    advisories: tuple[Advisory, ...] | None = None
    owners: tuple[str, ...] | None = None
    package: PackageFacts | None = None
    is_kept: bool = False
    is_pinned: bool = False

    @property
    def identity(self) -> PackageIdentity:
        return PackageIdentity(self.id, self.version)
