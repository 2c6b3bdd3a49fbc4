"""Reading an upstream's registration index and its pages.

Raises UnreadableDocument for what is no registration. A single version that is no version is left out: passed on, it
would break the whole id for every client. Source: docs/api/registration-base-url-resource.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from nugetproxy.errors import InvalidPackageId, InvalidVersion, InvalidVersionRange, UnreadableDocument
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange
from nugetproxy.protocol.documents import is_absolute_url, read_object
from nugetproxy.protocol.v3.registration_values import Leaf, Page, Registration
from nugetproxy.protocol.v3.version_fitting import LONGEST_VERSION, fitted_head, fitted_leaf, unfit_leaf

_INDEX, _PAGE = "registration index", "registration page"

# A range without a plus, and without a dot behind a hyphen, has no SemVer 2 bound: nearly all need no parsing.
_MAY_BE_SEMVER2 = re.compile(r"\+|-[^,]*\.")


def read_index(body: bytes) -> Registration:
    """The index. Pages without `items` (or with null for it) are outlying.

    Raises:
        UnreadableDocument: not a registration index.
    """
    document = read_object(body, _INDEX)
    items = document.pop("items", None)
    if not isinstance(items, list):
        raise UnreadableDocument(_INDEX, "items is not an array")
    read = [_read_page(item, _INDEX) for item in items]
    pages = tuple(page for page in read if page.leaves is None or page.leaves)
    return Registration(_package_id(document, pages), pages, fitted_head(document))


def read_page(body: bytes) -> Page:
    """A page that was outlying, with its leaves.

    Raises:
        UnreadableDocument: not a registration page, or one without `items`.
    """
    page = _read_page(read_object(body, _PAGE), _PAGE)
    if page.leaves is None:
        raise UnreadableDocument(_PAGE, "it has no items")
    return page


def _read_page(raw: object, what: str) -> Page:
    if not isinstance(raw, dict):
        raise UnreadableDocument(what, "a page is not an object")
    items = raw.pop("items", None)
    if items is None:
        return _outlying_page(raw, what)
    if not isinstance(items, list):
        raise UnreadableDocument(what, "the items of a page are not an array")
    leaves = _ascending([leaf for item in items if (leaf := _read_leaf(item, what)) is not None])
    url = raw["@id"] if is_absolute_url(raw.get("@id")) else ""
    if leaves:
        # What the page says of its bounds may be missing (private feeds) or late; the leaves are what clients get.
        return Page(leaves[0].version, leaves[-1].version, len(leaves), url, leaves, fitted_head(raw))
    return Page(_bound(raw, "lower", what), _bound(raw, "upper", what), 0, url, (), fitted_head(raw))


def _outlying_page(raw: dict[str, Any], what: str) -> Page:
    url, count = raw.get("@id"), raw.get("count")
    if not isinstance(url, str) or not is_absolute_url(url):
        raise UnreadableDocument(what, "a page has neither items nor an address")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise UnreadableDocument(what, "a page has neither items nor a count")
    return Page(_bound(raw, "lower", what), _bound(raw, "upper", what), count, url, None, fitted_head(raw))


def _bound(raw: dict[str, Any], name: str, what: str) -> NuGetVersion:
    text = raw.get(name)
    try:
        return NuGetVersion.parse(text if isinstance(text, str) else "")
    except InvalidVersion as error:
        raise UnreadableDocument(what, f"{name} of a page is not a version") from error


def _read_leaf(raw: object, what: str) -> Leaf | None:
    """None for a version that nobody can read."""
    entry = raw.get("catalogEntry") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(entry, dict):
        raise UnreadableDocument(what, "a leaf has no catalogEntry")
    package_id, text = entry.get("id"), entry.get("version")
    if not isinstance(package_id, str) or not isinstance(text, str):
        raise UnreadableDocument(what, "a catalogEntry has no id or no version")
    try:
        PackageId.parse(package_id)
        version = NuGetVersion.parse(text)
    except InvalidPackageId as error:
        raise UnreadableDocument(what, str(error)) from error
    except InvalidVersion:
        return None
    fitted = fitted_leaf(raw) if len(text) <= LONGEST_VERSION else unfit_leaf(raw)
    is_semver2 = version.is_semver2 or _depends_on_semver2(fitted.raw["catalogEntry"])
    return Leaf(version, package_id, _is_listed(entry), is_semver2, *fitted)


def _is_listed(entry: dict[str, Any]) -> bool:
    """Absent is listed, save for entries of old that say it by the year alone; texts and numbers occur in the wild."""
    listed = entry.get("listed")
    if listed is None:
        published = entry.get("published")
        return not (isinstance(published, str) and published.startswith("1900-"))
    return listed.strip().lower() != "false" if isinstance(listed, str) else bool(listed)


def _depends_on_semver2(entry: dict[str, Any]) -> bool:
    for group in _objects(entry.get("dependencyGroups")):
        for dependency in _objects(group.get("dependencies")):
            text = dependency.get("range")
            if isinstance(text, str) and _MAY_BE_SEMVER2.search(text) and _has_semver2_bound(text):
                return True
    return False


def _has_semver2_bound(text: str) -> bool:
    try:
        return VersionRange.parse(text).is_semver2
    except InvalidVersionRange:
        return False


def _objects(value: object) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _ascending(leaves: list[Leaf]) -> tuple[Leaf, ...]:
    """Sorted costs next to nothing when it already is so, which it is everywhere but at careless private feeds."""
    return tuple(sorted(leaves, key=lambda leaf: leaf.version))


def _package_id(document: dict[str, Any], pages: tuple[Page, ...]) -> str:
    """The id in the newest version's casing; of an index with outlying pages only, what its own address says."""
    for page in reversed(pages):
        if page.leaves:
            return page.leaves[-1].package_id
    if not pages:
        return _id_in_address(document.get("@id")) or ""
    package_id = _id_in_address(document.get("@id")) or _id_in_address(pages[0].url.partition("/page/")[0] + "/")
    if package_id is None:
        raise UnreadableDocument(_INDEX, "it does not say whose it is")
    return package_id


def _id_in_address(url: object) -> str | None:
    """The last folder of a path: `.../{id}/index.json`."""
    if not isinstance(url, str):
        return None
    folders = url.partition("#")[0].partition("?")[0].rpartition("/")[0]
    try:
        return PackageId.parse(unquote(folders.rpartition("/")[2])).text
    except InvalidPackageId:
        return None
