"""Hosted packages as they are carried to another server: with owners, downloads and symbols. Only reads.

What they are carried in, and which of them, is decided elsewhere.
"""

from dataclasses import dataclass
from typing import Final

from nugetproxy.hosting.packages import StoredContent, key_of
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.database.base import Fetch

_PACKAGES: Final = (
    "SELECT h.lower_id, h.lower_version, p.package_id, p.content_hash, h.listed, h.published, p.pushed, h.last_edited,"
    " h.deprecation, d.downloads, p.blob, p.size, p.sha512, s.blob, s.size, s.sha512, s.pushed"
    " FROM hosted_packages AS h JOIN hosted_pushes AS p ON p.push = h.push"
    " LEFT JOIN symbol_packages AS s ON s.push = h.push"
    " LEFT JOIN hosted_downloads AS d ON d.lower_id = h.lower_id AND d.lower_version = h.lower_version"
)
_OWNERS: Final = (
    "SELECT o.lower_id, a.name FROM package_owners AS o JOIN accounts AS a ON a.account_id = o.account_id"
    " ORDER BY a.lower_name"
)


@dataclass(frozen=True, slots=True)
class CarriedPackage:
    """One version. Times in unix microseconds; `deprecation` is JSON, empty if there is none.

    `owners` are names of accounts, those of its id; `symbols` are its .snupkg, if it has one.
    """

    lower_id: str
    lower_version: str
    package_id: str
    content_hash: str
    listed: bool
    published: int
    created: int
    last_edited: int
    deprecation: str
    downloads: int
    owners: tuple[str, ...]
    package: StoredContent
    symbols: StoredContent | None

    @property
    def identity(self) -> PackageIdentity:
        return PackageIdentity.parse(self.package_id, self.lower_version)


def carried_packages(fetch: Fetch) -> list[CarriedPackage]:
    """All hosted packages, in no order. They take about a kilobyte of memory each."""
    owners: dict[str, tuple[str, ...]] = {}
    for lower_id, name in fetch(_OWNERS, ()):
        owners[lower_id] = (*owners.get(lower_id, ()), name)
    found = []
    for row in fetch(_PACKAGES, ()):
        lower_id, lower_version, package_id, content_hash, listed, published, pushed, edited, deprecation = row[:9]
        downloads, blob, size, sha512, *symbols = row[9:]
        found.append(
            CarriedPackage(
                lower_id,
                lower_version,
                package_id,
                content_hash,
                bool(listed),
                published,
                pushed,
                edited,
                deprecation or "",
                downloads or 0,
                owners.get(lower_id, ()),
                StoredContent(key_of(blob), size, sha512, pushed),
                None if symbols[0] is None else StoredContent(key_of(symbols[0]), *symbols[1:]),
            )
        )
    return found
