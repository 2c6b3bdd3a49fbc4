"""What another server has and we may take over: package files, and what that server knows about them.

How a server is read belongs to `mirroring/leaving` and `hosting/moving_in`; what is taken over is decided in
`hosting/moving_in`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from nugetproxy.errors import InvalidPackageId, InvalidVersionRange
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.times import ticks_of_text
from nugetproxy.protocol.v3.deprecation import ANY_VERSION, LONGEST_MESSAGE, REASONS, Deprecation
from nugetproxy.protocol.v3.registration_values import Leaf

_NUGET_BEGAN: Final = 1_285_891_200_000_000
"""October 2010, in unix microseconds. Earlier dates are placeholders: 1900 for unlisted versions, 1970, 1980."""


class FileKind(StrEnum):
    """What a file is: a package (.nupkg), or the symbols of one (.snupkg)."""

    PACKAGE = "package"
    SYMBOLS = "symbols"


@dataclass(frozen=True, slots=True)
class History:
    """What is not in the file of a version. `published` in unix microseconds, None if unknown."""

    published: int | None = None
    listed: bool = True
    deprecation: Deprecation | None = None
    downloads: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """One file. `place` is its path below the folder, or its URL.

    `identity` is what the source says that the file is, None if it does not say. `size` in bytes and `sha512` (base64)
    are what the source states, None and empty if it does not. `notes` are remarks for the report, one sentence each.
    """

    place: str
    kind: FileKind = FileKind.PACKAGE
    identity: PackageIdentity | None = None
    history: History = History()
    size: int | None = None
    sha512: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something at the source that cannot be offered, and why. `is_loss`: it may be a package that is missed."""

    place: str
    why: str
    is_loss: bool = True


def publication_date(text: str) -> int | None:
    """A stated date of publication in unix microseconds; None for one that cannot be meant."""
    ticks = ticks_of_text(text)
    return None if ticks is None else plausible_date(ticks // 10)


def plausible_date(microseconds: int) -> int | None:
    """The date, unless it is a placeholder."""
    return microseconds if microseconds >= _NUGET_BEGAN else None


def history_of(leaf: Leaf, downloads: int = 0) -> History:
    """What a registration says about a version; `downloads` is not in it."""
    return History(
        publication_date(text_of(leaf.entry.get("published"))),
        leaf.listed,
        _deprecation(leaf.entry.get("deprecation")),
        downloads,
    )


def _deprecation(raw: Any) -> Deprecation | None:
    """The deprecation in a catalogEntry. Reasons that clients do not know become "Other"."""
    if not isinstance(raw, dict):
        return None
    stated = raw.get("reasons")
    reasons = [each for each in REASONS if isinstance(stated, list) and each in stated]
    message = text_of(raw.get("message"))[:LONGEST_MESSAGE]
    alternate = raw.get("alternatePackage")
    if isinstance(alternate, dict):
        try:
            package_id = PackageId.parse(text_of(alternate.get("id"))).text
        except InvalidPackageId:
            return Deprecation(tuple(reasons or ["Other"]), message)
        return Deprecation(tuple(reasons or ["Other"]), message, package_id, _range(text_of(alternate.get("range"))))
    return Deprecation(tuple(reasons or ["Other"]), message)


def _range(text: str) -> str:
    try:
        return VersionRange.parse(text).normalized
    except InvalidVersionRange:
        return ANY_VERSION
