"""Read a V2 feed of packages (OData, Atom) of another server: what it says about each version, and the next page.

Only what an import needs; we are no client of V2 otherwise. Source: nuget-protocol (V2).
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidPackageId, InvalidVersion, UnreadableDocument
from nugetproxy.nuget.elements import attribute, children, first_by_name, text_of
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.times import ticks_of_text

_FEED: Final = "V2 feed"
_MOST_COUNTED: Final = 2**53


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One version. Times in unix microseconds, as stated: 1900 means "unlisted". `content` is the URL of the package,
    perhaps relative. `size` in bytes and `sha512` (base64) are None and empty if not stated.
    """

    package: PackageIdentity
    content: str
    published: int | None
    created: int | None
    listed: bool
    downloads: int
    size: int | None
    sha512: str


@dataclass(frozen=True, slots=True)
class FeedPage:
    """`count` includes entries that name no package that a client could request. `following` is the URL of the next
    page, empty if there is none.
    """

    entries: tuple[FeedEntry, ...]
    count: int
    following: str


def read_feed(body: bytes) -> FeedPage:
    """Raises UnreadableDocument: not XML, with a document type, or not an Atom feed."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableDocument(_FEED, "it is not XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableDocument(_FEED, "it has a document type")
    if etree.QName(root).localname != "feed":
        raise UnreadableDocument(_FEED, "it is not an Atom feed")
    elements = children(root, "entry")
    links = (link for link in children(root, "link") if attribute(link, "rel") == "next")
    entries = tuple(entry for element in elements if (entry := _entry(element)) is not None)
    return FeedPage(entries, len(elements), next((attribute(link, "href") for link in links), ""))


def _entry(element: etree._Element) -> FeedEntry | None:
    parts = first_by_name(element)
    content = parts.get("content")
    properties = parts.get("properties")
    if properties is None and content is not None:  # where a package is not a media entry
        properties = first_by_name(content).get("properties")
    if properties is None:
        return None
    values = {name: text_of(each) for name, each in first_by_name(properties).items()}
    try:
        # Of old servers the title is the id.
        package = PackageIdentity.parse(values.get("Id") or text_of(parts.get("title")), values.get("Version", ""))
    except (InvalidPackageId, InvalidVersion):
        return None
    published = _microseconds(values.get("Published", ""))
    listed = values.get("Listed", "").lower()
    return FeedEntry(
        package,
        attribute(content, "src") if content is not None else "",
        published,
        _microseconds(values.get("Created", "")),
        listed == "true" if listed else published is None or published > 0,
        _number(values.get("VersionDownloadCount", "")) or 0,
        _number(values.get("PackageSize", "")),
        _sha512(values),
    )


def _microseconds(text: str) -> int | None:
    ticks = ticks_of_text(text)
    return None if ticks is None else ticks // 10


def _number(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 17 else 0
    return number if 0 < number <= _MOST_COUNTED else None


def _sha512(values: dict[str, str]) -> str:
    text = values.get("PackageHash", "")
    if values.get("PackageHashAlgorithm", "SHA512").upper() in ("SHA512", "SHA-512"):
        try:
            if len(base64.b64decode(text, validate=True)) == 64:
                return text
        except (binascii.Error, ValueError):
            pass
    return ""
