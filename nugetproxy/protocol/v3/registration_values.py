"""Registration, Page, Leaf: the metadata of all versions of an id, as values.

The wire format belongs to the reader and the writer. A leaf keeps the JSON it came with, so that fields unknown to us
reach the client; only what rules need is parsed. `raw` is shared and never changed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from operator import attrgetter
from typing import Any

from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.bounds import FULL_PAGE

PAGE_SIZE = 64
# nuget.org inlines below 128 leaves; clients read any inlined page, so this only limits the size of the index.
MOST_INLINED = 127
LONGEST_COMMIT = 100

# There can be tens of thousands of versions: tuples compare much faster than versions.
_order = attrgetter("version.sort_key")


class Hive(StrEnum):
    """One of the three published forms; its value is the path segment in our URLs."""

    PLAIN = "registration"
    GZ = "registration-gz"
    GZ_SEMVER2 = "registration-gz-semver2"

    @property
    def gzipped(self) -> bool:
        """Whether responses are gzip-encoded whatever the request accepts, as on nuget.org."""
        return self is not Hive.PLAIN

    @property
    def has_semver2(self) -> bool:
        """Whether it includes SemVer 2 packages, deprecations and vulnerabilities."""
        return self is Hive.GZ_SEMVER2


@dataclass(frozen=True, slots=True)
class Leaf:
    """One version. `raw` is the leaf object with its `catalogEntry`; `package_id` has this version's own casing.

    `size` is its approximate size in a document, in bytes. `fits` is false if data that clients act on (dependencies
    above all) is too large to be rendered and not in `raw`; lists of versions leave such a version out.
    """

    version: NuGetVersion
    package_id: str
    listed: bool
    is_semver2: bool
    raw: dict[str, Any] = field(repr=False)
    size: int = 0
    fits: bool = True

    @property
    def entry(self) -> dict[str, Any]:
        """The catalogEntry object."""
        entry: dict[str, Any] = self.raw["catalogEntry"]
        return entry


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive versions. `leaves` is None while the page is outlying: to be fetched from `url`.

    The count of an outlying page is 0 if the index does not state it. `is_vague`: the index does not state its bounds
    either, so `lower` and `upper` mean nothing until it is loaded.
    """

    lower: NuGetVersion
    upper: NuGetVersion
    count: int
    url: str
    leaves: tuple[Leaf, ...] | None = field(repr=False)
    raw: dict[str, Any] = field(repr=False)
    is_vague: bool = False

    @property
    def size(self) -> int:
        """Approximate size of its loaded leaves in bytes."""
        return sum(leaf.size for leaf in self.leaves or ())

    @property
    def is_too_large(self) -> bool:
        """Whether its leaves should be split over several pages."""
        return self.count > 1 and self.size > FULL_PAGE

    def overlaps(self, lower: NuGetVersion, upper: NuGetVersion) -> bool:
        """Whether it may contain a version from `lower` to `upper` (inclusive)."""
        return self.is_vague or (self.lower <= upper and lower <= self.upper)


@dataclass(frozen=True, slots=True)
class Registration:
    """All versions of one id. `package_id` is in the upstream's casing, `raw` is the index object, opaque to us."""

    package_id: str
    pages: tuple[Page, ...]
    raw: dict[str, Any] = field(repr=False)

    @property
    def is_complete(self) -> bool:
        return all(page.leaves is not None for page in self.pages)

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every leaf, in the order of the pages.

        Raises:
            ValueError: pages are outlying. Load them first.
        """
        if not self.is_complete:
            raise ValueError(f"{self.package_id}: {len(self.outlying)} registration pages are not loaded")
        return self.loaded_leaves

    @property
    def loaded_leaves(self) -> tuple[Leaf, ...]:
        return tuple(leaf for page in self.pages for leaf in page.leaves or ())

    @property
    def outlying(self) -> tuple[Page, ...]:
        return tuple(page for page in self.pages if page.leaves is None)

    @property
    def vague(self) -> tuple[Page, ...]:
        return tuple(page for page in self.pages if page.is_vague)

    @property
    def count(self) -> int:
        """The number of versions according to the pages, as far as they state it."""
        return sum(page.count for page in self.pages)

    @property
    def is_inlined(self) -> bool:
        """Whether an index inlines its pages: all are loaded, and they are few and not large."""
        return self.is_complete and self.count <= MOST_INLINED and sum(page.size for page in self.pages) <= FULL_PAGE

    def find(self, version: NuGetVersion) -> Leaf | None:
        """The leaf of a version, from the loaded pages."""
        return next((leaf for leaf in self.loaded_leaves if leaf.version == version), None)

    def overlapping(self, lower: NuGetVersion, upper: NuGetVersion) -> tuple[Page, ...]:
        """The pages that may hold versions from `lower` to `upper` (inclusive)."""
        return tuple(page for page in self.pages if page.overlaps(lower, upper))

    def with_pages(self, loaded: Mapping[str, Page]) -> "Registration":
        """A copy in which these pages, given by URL, replace the outlying pages."""
        pages = [_loaded(page, loaded[page.url]) if page.url in loaded else page for page in self.pages]
        if any(page.is_vague for page in self.pages):
            # The position of a vague page was unknown until now.
            pages.sort(key=lambda page: page.lower)
        return replace(self, pages=tuple(pages))

    def keeping(self, predicate: Callable[[Leaf], bool]) -> "Registration":
        """Only the leaves that satisfy `predicate`, divided into new pages; no pages if there are none.

        Raises:
            ValueError: a page is outlying; bounds and counts of the rest are unknown.
        """
        leaves = self.leaves
        kept = tuple(leaf for leaf in leaves if predicate(leaf))
        return self if len(kept) == len(leaves) else self._of(kept)

    def changed(self, change: Callable[[Leaf], Leaf]) -> "Registration":
        """A copy with every loaded leaf replaced by `change(leaf)`, which has the same version."""
        pages = tuple(
            page if page.leaves is None else replace(page, leaves=tuple(map(change, page.leaves)))
            for page in self.pages
        )
        return replace(self, pages=pages)

    def in_neat_pages(self) -> "Registration":
        """Itself if its pages are divided as we would do it, otherwise divided again.

        Raises:
            ValueError: a page is outlying.
        """
        leaves = self.leaves
        return self if is_neat(self.pages) else self._of(leaves)

    def _of(self, leaves: tuple[Leaf, ...]) -> "Registration":
        """These leaves in new pages; a page that comes out unchanged keeps its metadata."""
        before = {(page.lower, page.upper, page.count): page for page in self.pages}
        pages = tuple(before.get((page.lower, page.upper, page.count), page) for page in cut_pages(leaves))
        return replace(self, pages=pages, raw={**self.raw, **newest_commit(leaves)})


def registration_of(package_id: str, leaves: Iterable[Leaf]) -> Registration:
    """A registration from leaves in any order. Of two leaves with the same version, the first counts."""
    return Registration(package_id, cut_pages(leaves), {})


def cut_pages(leaves: Iterable[Leaf]) -> tuple[Page, ...]:
    """Ascending pages of 64 leaves, as on nuget.org (registration-base-url-resource); of fewer if they are large."""
    return tuple(page_of(tuple(row)) for row in _cut(ascending_leaves(leaves)))


def ascending_leaves(leaves: Iterable[Leaf]) -> Iterator[Leaf]:
    """Sorted by version; of two with the same version, the first."""
    before: object = None
    for leaf in sorted(leaves, key=_order):
        order = _order(leaf)
        if order != before:
            yield leaf
        before = order


def _cut(ascending: Iterable[Leaf]) -> Iterator[list[Leaf]]:
    page: list[Leaf] = []
    size = 0
    for leaf in ascending:
        if page and (len(page) == PAGE_SIZE or size + leaf.size > FULL_PAGE):
            yield page
            page, size = [], 0
        page.append(leaf)
        size += leaf.size
    if page:
        yield page


def page_of(leaves: tuple[Leaf, ...]) -> Page:
    """A page from ascending leaves (at least one). Its commit is that of its newest leaf."""
    return Page(leaves[0].version, leaves[-1].version, len(leaves), "", leaves, newest_commit(leaves))


def newest_commit(leaves: Iterable[Leaf]) -> dict[str, Any]:
    """`commitId` and `commitTimeStamp` of the leaf that changed last, if the leaves have them."""
    commits = [leaf.raw for leaf in leaves if _is_moment(leaf.raw.get("commitTimeStamp"))]
    if not commits:
        return {}
    newest = max(commits, key=_commit_time)
    return {name: newest[name] for name in ("commitId", "commitTimeStamp") if _is_moment(newest.get(name))}


def is_neat(pages: tuple[Page, ...]) -> bool:
    """Whether pages are divided as we would do it: ascending, disjoint, none empty, above 64 leaves or too large."""
    return all(0 < page.count <= PAGE_SIZE and not page.is_too_large for page in pages) and all(
        a.upper < b.lower for a, b in pairwise(pages)
    )


def _is_moment(value: object) -> bool:
    """Whether it can be a commit's id or time: short enough to be repeated in every page."""
    return isinstance(value, str) and len(value) <= LONGEST_COMMIT


def _commit_time(raw: dict[str, Any]) -> str:
    time: str = raw["commitTimeStamp"]
    return time


def _loaded(ours: Page, page: Page) -> Page:
    """Commits come from the index; leaves and bounds come from the page's document, fetched a little later."""
    return replace(page, url=ours.url, raw={**page.raw, **ours.raw})
