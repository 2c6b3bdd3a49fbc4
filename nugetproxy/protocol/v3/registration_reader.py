"""Read an upstream's registration index and its pages, for the requested id.

Clients trust every leaf of an index, so leaves of other ids are dropped here; a document with nothing else is refused.
Versions that clients could not read are dropped, too: one would break the whole id for them. Source:
docs/api/registration-base-url-resource.
"""

import re
from itertools import pairwise
from typing import Any, Final

from nugetproxy.errors import EmptyDocument, InvalidPackageId, InvalidVersion, InvalidVersionRange, UnreadableDocument
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.bounds import MOST_VERSIONS
from nugetproxy.protocol.documents import is_absolute_url, read_object
from nugetproxy.protocol.v3 import readable
from nugetproxy.protocol.v3.registration_values import Leaf, Page, Registration
from nugetproxy.protocol.v3.version_fitting import LONGEST_VERSION, fitted_head, fitted_leaf, unfit_leaf

MOST_OUTLYING_PAGES: Final = 512
"""Maximum number of pages that an index may leave to be fetched: with 64 versions each, several times as many versions
as any id on nuget.org has. Each page is a request, and several commands ask for every page."""

_INDEX, _PAGE = "registration index", "registration page"
_MOST_COUNTED = 2**31 - 1
_UNKNOWN_BOUND = NuGetVersion(0)

# A range without a plus, and without a dot after a hyphen, has no SemVer 2 bound: nearly all need no parsing.
_MAY_BE_SEMVER2 = re.compile(r"\+|-[^,]*\.")


def read_index(body: bytes, package_id: PackageId) -> Registration:
    """Read an index. Pages whose `items` are missing or null are outlying.

    Raises:
        EmptyDocument: it says that the id has no versions at all.
        UnreadableDocument: not a registration index, the index of another id, or too many outlying pages.
    """
    document = readable.INDEX.repair(read_object(body, _INDEX))
    if not document:
        raise EmptyDocument(_INDEX)
    items = document.pop("items", None)
    if not isinstance(items, list):
        raise UnreadableDocument(_INDEX, "items is not an array")
    reading = _Reading(package_id, _INDEX)
    pages = [page for item in items if (page := reading.page(item)) is not None]
    if not pages:
        raise reading.nothing_found() or EmptyDocument(_INDEX)
    newest = next((page.leaves[-1].package_id for page in reversed(pages) if page.leaves), package_id.lower)
    registration = Registration(newest, _each_once(pages), fitted_head(document))
    outlying = len(registration.outlying)
    if outlying > MOST_OUTLYING_PAGES:
        raise UnreadableDocument(_INDEX, f"it names {outlying} pages to fetch; the limit is {MOST_OUTLYING_PAGES}")
    return registration


def read_page(body: bytes, package_id: PackageId) -> Page:
    """Read a page that was outlying, with its leaves.

    Raises:
        UnreadableDocument: not a registration page, without `items`, or of another id.
    """
    raw = readable.PAGE.repair(read_object(body, _PAGE))
    reading = _Reading(package_id, _PAGE)
    items = raw.pop("items", None)
    if not isinstance(items, list):
        raise UnreadableDocument(_PAGE, "items is not an array")
    leaves = reading.leaves(items)
    if leaves:
        return _loaded_page(raw, leaves)
    lower, upper = _bound(raw, "lower"), _bound(raw, "upper")
    if lower is None or upper is None or items:
        raise reading.nothing_found() or UnreadableDocument(_PAGE, "it has neither items nor bounds")
    return Page(lower, upper, 0, _url(raw), (), fitted_head(raw))


class _Reading:
    """A document being read for one id, and why parts of it were left out."""

    def __init__(self, package_id: PackageId, what: str) -> None:
        self._package_id = package_id
        self._what = what
        self._other_id = ""
        self._has_broken = False
        self._seen = 0

    def page(self, raw: object) -> Page | None:
        """The page in an item of an index; None if it has no leaf for us."""
        if isinstance(raw, dict):
            items = readable.PAGE.repair(raw).pop("items", None)
            if isinstance(items, list):
                leaves = self.leaves(items)
                return _loaded_page(raw, leaves) if leaves else None
            if items is None and (url := _url(raw)):
                return _outlying_page(raw, url)
        self._has_broken = True
        return None

    def leaves(self, items: list[Any]) -> tuple[Leaf, ...]:
        """Ascending, without duplicate versions."""
        self._seen += len(items)
        if self._seen > MOST_VERSIONS:
            raise UnreadableDocument(self._what, f"it lists more than {MOST_VERSIONS} versions")
        leaves = [leaf for item in items if (leaf := self._leaf(item)) is not None]
        # Sorting is nearly free if the leaves are sorted already, as everywhere except on careless private feeds.
        leaves.sort(key=lambda leaf: leaf.version)
        if any(one.version == other.version for one, other in pairwise(leaves)):
            return tuple({leaf.version: leaf for leaf in reversed(leaves)}.values())[::-1]
        return tuple(leaves)

    def nothing_found(self) -> UnreadableDocument | None:
        """Why nothing remains of the document; None if nothing was left out."""
        if self._other_id:
            return UnreadableDocument(self._what, f"it belongs to {self._other_id}")
        return UnreadableDocument(self._what, "it contains no readable version") if self._has_broken else None

    def _leaf(self, raw: object) -> Leaf | None:
        entry = readable.LEAF.repair(raw).get("catalogEntry") if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or not isinstance(entry, dict):
            self._has_broken = True
            return None
        readable.PACKAGE.repair(entry)
        try:
            package_id = PackageId.parse(entry.get("id", ""))
            version = NuGetVersion.parse(text := entry.get("version", ""))
        except (InvalidPackageId, InvalidVersion):
            self._has_broken = True
            return None
        if package_id != self._package_id:
            self._other_id = package_id.text
            return None
        fitted = fitted_leaf(raw) if len(text) <= LONGEST_VERSION else unfit_leaf(raw)
        is_semver2 = version.is_semver2 or _depends_on_semver2(fitted.raw["catalogEntry"])
        return Leaf(version, package_id.text, _is_listed(entry), is_semver2, *fitted)


def _loaded_page(raw: dict[str, Any], leaves: tuple[Leaf, ...]) -> Page:
    # The bounds that the page states may be missing (private feeds) or outdated; clients get the leaves.
    return Page(leaves[0].version, leaves[-1].version, len(leaves), _url(raw), leaves, fitted_head(raw))


def _outlying_page(raw: dict[str, Any], url: str) -> Page:
    """Clients can work without the count, but not without the bounds."""
    lower, upper, stated = _bound(raw, "lower"), _bound(raw, "upper"), raw.get("count")
    count = stated if isinstance(stated, int) and not isinstance(stated, bool) and 0 < stated <= _MOST_COUNTED else 0
    if lower is None or upper is None:
        return Page(_UNKNOWN_BOUND, _UNKNOWN_BOUND, count, url, None, fitted_head(raw), is_vague=True)
    return Page(lower, upper, count, url, None, fitted_head(raw))


def _url(raw: dict[str, Any]) -> str:
    return str(raw["@id"]) if is_absolute_url(raw.get("@id")) else ""


def _bound(raw: dict[str, Any], name: str) -> NuGetVersion | None:
    text = raw.get(name)
    try:
        return NuGetVersion.parse(text) if isinstance(text, str) else None
    except InvalidVersion:
        return None


def _is_listed(entry: dict[str, Any]) -> bool:
    """A missing `listed` means listed, except in old entries, where the year alone says "unlisted"."""
    listed: bool | None = entry.get("listed")
    return not entry.get("published", "").startswith("1900-") if listed is None else listed


def _depends_on_semver2(entry: dict[str, Any]) -> bool:
    for group in entry.get("dependencyGroups", ()):
        for dependency in group.get("dependencies", ()):
            text = dependency.get("range", "")
            if _MAY_BE_SEMVER2.search(text) and _has_semver2_bound(text):
                return True
    return False


def _has_semver2_bound(text: str) -> bool:
    try:
        return VersionRange.parse(text).is_semver2
    except InvalidVersionRange:
        return False


def _each_once(pages: list[Page]) -> tuple[Page, ...]:
    """Without outlying pages that were already named."""
    first = {page.url: page for page in reversed(pages) if page.leaves is None}
    return tuple(page for page in pages if page.leaves is not None or page is first[page.url])
