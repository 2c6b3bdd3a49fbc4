"""The VulnerabilityInfo resource: an index of pages, each a map from lower-case ids to advisories.

Clients determine whether a version is vulnerable; nothing here compares versions.
Source: docs/api/vulnerability-info.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from nugetproxy.errors import InvalidPackageId, UnreadableDocument
from nugetproxy.nuget.identity import PackageId, lower_invariant
from nugetproxy.protocol.documents import is_absolute_url, read_array, read_object, text_of, write
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.readable import ADVISORY, readable_range
from nugetproxy.protocol.web_addresses import web_address

LONGEST_NAME = 32
MOST_PAGES = 16
# nuget.org's largest page has about a thousand advisories in half a megabyte. Whenever a page arrives, all are read
# again, and more would delay other work.
MOST_ADVISORIES = 50_000
LARGEST_PAGE = 16 * 1024 * 1024
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SEVERITIES = {str(number): number for number in range(4)}
# The client shows "unknown severity" for any other number.
_UNKNOWN_SEVERITY = -1
# The client fails without a time; this one means "never changed".
_UNKNOWN_TIME = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class VulnerabilityIndexEntry:
    """The location of an upstream's page. `name` is the client's cache key, `updated` ISO 8601."""

    name: str
    url: str
    updated: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class VulnerabilityPage:
    """`body` maps a lower id to its advisories: `url`, `severity` 0 to 3, `versions` in interval notation."""

    name: str
    updated: str
    body: dict[str, list[dict[str, Any]]] = field(repr=False)
    comment: str = ""


@dataclass(frozen=True, slots=True)
class VulnerabilityPages:
    """All pages; clients merge them. Names are unique among them."""

    pages: tuple[VulnerabilityPage, ...]

    def find(self, name: str) -> VulnerabilityPage | None:
        return next((page for page in self.pages if page.name == name), None)


def read_vulnerability_index(body: bytes) -> tuple[VulnerabilityIndexEntry, ...]:
    """The pages of an upstream, at most 16, which is as many as clients read.

    An entry without a usable URL fails the whole document: silence would look like safety.

    Raises:
        UnreadableDocument: not an index of vulnerability pages.
    """
    entries = []
    for entry in read_array(body, "vulnerability index")[:MOST_PAGES]:
        if not isinstance(entry, dict) or not is_absolute_url(entry.get("@id")):
            raise UnreadableDocument("vulnerability index", "an entry has no URL")
        if not isinstance(name := entry.get("@name"), str) or not name:
            raise UnreadableDocument("vulnerability index", "an entry has no name")
        updated = entry.get("@updated")
        entries.append(
            VulnerabilityIndexEntry(
                name,
                entry["@id"],
                updated if isinstance(updated, str) and _TIME.fullmatch(updated) else _UNKNOWN_TIME,
                text_of(entry.get("comment")),
            )
        )
    return tuple(entries)


def read_vulnerability_page(body: bytes) -> dict[str, list[dict[str, Any]]]:
    """Advisories by lower-case id. One without a version range is dropped: it would fail the page for all ids.

    Raises:
        UnreadableDocument: not a page. An empty array is one: the documentation defines an empty page so.
    """
    if body.count(b"{") > MOST_ADVISORIES or len(body) > LARGEST_PAGE:
        raise UnreadableDocument(
            "vulnerability page", f"more than {MOST_ADVISORIES} advisories or {LARGEST_PAGE} bytes"
        )
    if body.strip() == b"[]":
        return {}
    advisories_by_id: dict[str, list[dict[str, Any]]] = {}
    for package_id, advisories in read_object(body, "vulnerability page").items():
        if not isinstance(advisories, list):
            raise UnreadableDocument("vulnerability page", "the advisories of an id are not an array")
        usable = [known for advisory in advisories if (known := _advisory(advisory)) is not None]
        if _is_id(package_id):
            advisories_by_id.setdefault(lower_invariant(package_id), []).extend(usable)
    return advisories_by_id


def write_vulnerability_index(pages: VulnerabilityPages, links: Links) -> bytes:
    """The index. Clients take an empty one for "nothing is vulnerable": omit the resource instead."""
    return write(
        [
            {
                "@name": page.name,
                "@id": links.vulnerability_page(page.name),
                "@updated": page.updated,
                **({"comment": page.comment} if page.comment else {}),
            }
            for page in pages.pages
        ]
    )


def write_vulnerability_page(page: VulnerabilityPage) -> bytes:
    """Always an object: for an empty page the documentation gives `[]`, which the client cannot read."""
    return write(page.body)


def merge_vulnerabilities(several: Iterable[tuple[str, VulnerabilityPages]]) -> VulnerabilityPages:
    """Merge the pages of several upstreams, each given with the upstream's name, under unique and valid names.

    Clients read at most 16 pages; any further pages are merged into the last one.
    """
    pages: dict[str, VulnerabilityPage] = {}
    for upstream, of_upstream in several:
        for page in of_upstream.pages:
            if len(pages) == MOST_PAGES:
                last = next(reversed(pages.values()))
                pages[last.name] = _added_up(last, page)
            else:
                name = _free_name(page.name, upstream, pages.keys())
                pages[name] = replace(page, name=name)
    return VulnerabilityPages(tuple(pages.values()))


def _advisory(advisory: object) -> dict[str, Any] | None:
    """An advisory as clients can read it; None if its affected versions are unknown.

    Other unreadable values only make it say less: a vulnerability of unknown severity is still one.
    """
    if not isinstance(advisory, dict) or not (versions := readable_range(ADVISORY.repair(advisory).get("versions"))):
        return None
    return {
        **advisory,
        "url": web_address(text_of(advisory.get("url"))),
        "severity": _SEVERITIES.get(str(advisory.get("severity")), _UNKNOWN_SEVERITY),
        "versions": versions,
    }


def _is_id(text: str) -> bool:
    try:
        PackageId.parse(text)
    except InvalidPackageId:
        return False
    return True


def _added_up(one: VulnerabilityPage, other: VulnerabilityPage) -> VulnerabilityPage:
    body = {package_id: list(advisories) for package_id, advisories in one.body.items()}
    for package_id, advisories in other.body.items():
        body.setdefault(package_id, []).extend(advisories)
    return replace(one, body=body, updated=max(one.updated, other.updated))


def _free_name(name: str, upstream: str, taken: Collection[str]) -> str:
    """The name itself, else `upstream-name`, else that with a number; cut to the length that clients accept."""
    plain = _FORBIDDEN.sub("-", name)[:LONGEST_NAME]
    prefixed = _FORBIDDEN.sub("-", f"{upstream}-{name}")[:LONGEST_NAME]
    numbered = (f"{prefixed[: LONGEST_NAME - 3]}-{number}" for number in range(2, MOST_PAGES + 2))
    return next(free for free in (plain, prefixed, *numbered) if free not in taken)
