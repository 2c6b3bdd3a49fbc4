"""Readers of one document about one thing: they refuse what is about another.

Equal readers are one key, so that a parsed document is remembered for what was asked. What a document looks like is
known in `protocol`.
"""

from dataclasses import dataclass
from typing import Any

from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v3.registration import read_catalog_entry


@dataclass(frozen=True, slots=True)
class CatalogEntryOf:
    """Reads the catalog entry of one package. Raises UnreadableDocument."""

    package: PackageIdentity

    def __call__(self, body: bytes) -> dict[str, Any]:
        return read_catalog_entry(body, self.package)
