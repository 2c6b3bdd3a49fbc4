"""Readers for one document about one thing: they refuse or drop content about anything else.

Equal readers are equal cache keys, so that a parsed document is cached for the question it answers. Document formats
belong to `protocol`. Readers raise UnreadableDocument.
"""

from dataclasses import dataclass
from typing import Any

from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.protocol.v3.registration import Page, Registration, read_catalog_entry, read_index, read_page
from nugetproxy.protocol.v3.search import CompletionPage, read_completion


@dataclass(frozen=True, slots=True)
class IndexOf:
    """Reads the registration index of one id."""

    package_id: PackageId

    def __call__(self, body: bytes) -> Registration:
        return read_index(body, self.package_id)


@dataclass(frozen=True, slots=True)
class PageOf:
    """Reads a registration page of one id."""

    package_id: PackageId

    def __call__(self, body: bytes) -> Page:
        return read_page(body, self.package_id)


@dataclass(frozen=True, slots=True)
class Completion:
    """Reads an autocomplete response: ids, or the versions of an id."""

    of_versions: bool

    def __call__(self, body: bytes) -> CompletionPage:
        return read_completion(body, of_versions=self.of_versions)


@dataclass(frozen=True, slots=True)
class CatalogEntryOf:
    """Reads the catalog entry of one package."""

    package: PackageIdentity

    def __call__(self, body: bytes) -> dict[str, Any]:
        return read_catalog_entry(body, self.package)
