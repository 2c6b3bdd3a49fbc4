"""Hosted packages as they are carried to another server: with owners, downloads and symbols. Only reads.

What they are carried in, and which of them, is decided elsewhere.
"""

from dataclasses import dataclass

from nugetproxy.accounts.records import owners_of
from nugetproxy.hosting.packages import HostedPackage, HostedPackages, StoredContent, key_of
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.database.sqlite import SqliteDatabase


@dataclass(frozen=True, slots=True)
class CarriedPackage:
    """One version. `owners` are names of accounts, those of its id; `symbols` are its .snupkg, if it has one."""

    package: HostedPackage
    owners: tuple[str, ...]
    downloads: int
    symbols: StoredContent | None

    @property
    def identity(self) -> PackageIdentity:
        return self.package.identity


class CarriedPackages:
    """The hosted packages of a main database. Methods block, and raise StorageUnavailable."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._fetch = database.fetch_now
        self._packages = HostedPackages(database)

    def versions(self) -> list[tuple[str, str]]:
        """Lower id and lower version of all, in no order."""
        return [(row[0], row[1]) for row in self._fetch("SELECT lower_id, lower_version FROM hosted_packages", ())]

    def find(self, package: PackageIdentity) -> CarriedPackage | None:
        """None if it is not hosted any more."""
        found = self._packages.find(package)
        if found is None:
            return None
        names = (package.lower_id, package.lower_version)
        downloads = self._fetch(
            "SELECT downloads FROM hosted_downloads WHERE lower_id = ? AND lower_version = ?", names
        )
        symbols = self._fetch("SELECT blob, size, sha512, pushed FROM symbol_packages WHERE push = ?", (found.push,))
        return CarriedPackage(
            found,
            tuple(account.name for account in owners_of(self._fetch, package.lower_id)),
            int(downloads[0][0]) if downloads else 0,
            StoredContent(key_of(symbols[0][0]), *symbols[0][1:]) if symbols else None,
        )
