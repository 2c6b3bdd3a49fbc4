"""An upstream's catalog: which pages changed, which packages changed, and what a leaf states about a file.

The order of pages and items is undefined, so only timestamps are compared, in ticks (see `protocol.times`). Readers are
strict: an item that cannot be read may be a change that would be missed. What to read next, and what a change means for
what is kept, belongs to `mirroring/catalog`. Source: docs/api/catalog-resource.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from nugetproxy.errors import InvalidPackageId, InvalidVersion, UnreadableDocument
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.protocol.documents import is_absolute_url, read_object, text_of
from nugetproxy.protocol.times import ticks_of_text

MOST_ITEMS: Final = 20_000
"""Items of one page. nuget.org writes 550; no known server more than a few thousand."""
LARGEST_PAGE: Final = 16 * 1024 * 1024
"""Bytes of a page or a leaf. A page of nuget.org has some 250 KB."""
_LONGEST_COMMIT: Final = 100

_INDEX: Final = "catalog index"
_PAGE: Final = "catalog page"
_LEAF: Final = "catalog leaf"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: its time in ticks, and its id ("" if there is none)."""

    stamp: int
    id: str = ""


@dataclass(frozen=True, slots=True)
class StatedPage:
    """A page as the index states it, with the commit of its newest item."""

    url: str
    commit: Commit


@dataclass(frozen=True, slots=True)
class CatalogIndex:
    """The pages, by ascending time of their newest item."""

    pages: tuple[StatedPage, ...]

    @property
    def newest(self) -> Commit:
        """The newest commit; 0 for a catalog without pages."""
        return self.pages[-1].commit if self.pages else Commit(0)

    def after(self, stamp: int) -> tuple[StatedPage, ...]:
        """The pages with items that are newer."""
        return tuple(page for page in self.pages if page.commit.stamp > stamp)


@dataclass(frozen=True, slots=True)
class Change:
    """One event: a version's metadata changed, or the version was deleted. `leaf` is the URL of its details."""

    commit: Commit
    is_delete: bool
    package_id: PackageId
    package: PackageIdentity | None
    """None if no client could request the version."""
    leaf: str


@dataclass(frozen=True, slots=True)
class CatalogPage:
    """A page's newest commit, and its changes in no particular order."""

    newest: int
    changes: tuple[Change, ...]
    commits: frozenset[Commit]
    """Of all items, including those about ids that no client could request."""


@dataclass(frozen=True, slots=True)
class StatedFile:
    """What a leaf states about a package file: base64 SHA-512 and bytes; None for what it does not state."""

    sha512: str | None
    size: int | None


def read_catalog_index(body: bytes) -> CatalogIndex:
    """Raises UnreadableDocument: not an index, or one with an entry that has no URL or no time."""
    pages: dict[str, StatedPage] = {}
    for item in _items(read_object(body, _INDEX), _INDEX):
        page = StatedPage(_url(item, _INDEX), _commit(item, _INDEX))
        if page.url not in pages or pages[page.url].commit.stamp < page.commit.stamp:
            pages[page.url] = page
    return CatalogIndex(tuple(sorted(pages.values(), key=lambda page: page.commit.stamp)))


def read_catalog_page(body: bytes) -> CatalogPage:
    """Ids that no client could request are left out.

    Raises:
        UnreadableDocument: not a page, too long, fewer items than it states, or an item without id or time.
    """
    document = read_object(body, _PAGE)
    changes, commits = [], set()
    newest = 0
    for item in _items(document, _PAGE):
        commit = _commit(item, _PAGE)
        commits.add(commit)
        newest = max(newest, commit.stamp)
        text = item.get("nuget:id")
        if not isinstance(text, str) or not text:
            raise UnreadableDocument(_PAGE, "an item has no id")
        try:
            package_id = PackageId.parse(text)
        except InvalidPackageId:
            continue
        changes.append(Change(commit, _is_delete(item), package_id, _package(text, item), text_of(item.get("@id"))))
    return CatalogPage(newest, tuple(changes), frozenset(commits))


def read_stated_file(body: bytes, package: PackageIdentity) -> StatedFile:
    """Raises UnreadableDocument: not the leaf with the details of this package."""
    document = read_object(body, _LEAF)
    try:
        about = PackageIdentity.parse(text_of(document.get("id")), text_of(document.get("version")))
    except (InvalidPackageId, InvalidVersion) as error:
        raise UnreadableDocument(_LEAF, "it names no package") from error
    if about != package:
        raise UnreadableDocument(_LEAF, f"it is about another package than {package}")
    digest, size = document.get("packageHash"), document.get("packageSize")
    is_sha512 = text_of(document.get("packageHashAlgorithm")).upper() in ("SHA512", "SHA-512")
    return StatedFile(
        digest if isinstance(digest, str) and digest and is_sha512 else None,
        size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None,
    )


def _items(document: dict[str, Any], what: str) -> Iterator[dict[str, Any]]:
    items, count = document.get("items"), document.get("count")
    if not isinstance(items, list):
        raise UnreadableDocument(what, "items is not an array")
    if isinstance(count, int) and count > len(items):
        raise UnreadableDocument(what, f"it has {len(items)} items and states {count}")
    if what is _PAGE and len(items) > MOST_ITEMS:
        raise UnreadableDocument(what, f"it has {len(items)} items; the limit is {MOST_ITEMS}")
    for item in items:
        if not isinstance(item, dict):
            raise UnreadableDocument(what, "an item is not an object")
        yield item


def _url(item: dict[str, Any], what: str) -> str:
    url = item.get("@id")
    if not isinstance(url, str) or not is_absolute_url(url):
        raise UnreadableDocument(what, "an item has no URL")
    return url


def _commit(item: dict[str, Any], what: str) -> Commit:
    stamp = ticks_of_text(text_of(item.get("commitTimeStamp")))
    if stamp is None:
        raise UnreadableDocument(what, "an item has no time")
    commit_id = text_of(item.get("commitId"))
    return Commit(stamp, commit_id if len(commit_id) <= _LONGEST_COMMIT else "")


def _is_delete(item: dict[str, Any]) -> bool:
    kinds = item.get("@type")
    names = kinds if isinstance(kinds, list) else [kinds]
    return any(isinstance(name, str) and name.rpartition(":")[2] == "PackageDelete" for name in names)


def _package(id_text: str, item: dict[str, Any]) -> PackageIdentity | None:
    try:
        return PackageIdentity.parse(id_text, text_of(item.get("nuget:version")))
    except InvalidVersion:
        return None
