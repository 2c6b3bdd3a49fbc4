"""Entries and feeds of the V2 protocol, written as Atom.

Written by hand instead of with an XML library: a feed is a hundred entries of thirty elements, and the shape is fixed.
All texts pass through `_text`, which also removes characters that XML 1.0 cannot hold: one bad description would break
the page for every client.
Source: nuget.org's api/v2, and what the official client's parser looks for.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from nugetproxy.errors import DocumentTooLarge
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.bounds import LARGEST_VERSION, LONGEST_TEXT
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.steps import Steps
from nugetproxy.protocol.v2.properties import PROPERTIES, UNKNOWN_MOMENT, Edm, Property, Value
from nugetproxy.protocol.v2.rows import Row

FEED_TYPE: Final = "application/atom+xml;type=feed;charset=utf-8"
ENTRY_TYPE: Final = "application/atom+xml;type=entry;charset=utf-8"
XML_TYPE: Final = "application/xml;charset=utf-8"
COUNT_TYPE: Final = "text/plain;charset=utf-8"

DATA_NAMESPACE: Final = "http://schemas.microsoft.com/ado/2007/08/dataservices"
METADATA_NAMESPACE: Final = "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
_NAMESPACES = f'xmlns="http://www.w3.org/2005/Atom" xmlns:d="{DATA_NAMESPACE}" xmlns:m="{METADATA_NAMESPACE}"'
_CATEGORY = f'<category term="NuGetGallery.OData.V2FeedPackage" scheme="{DATA_NAMESPACE}/scheme"/>'

# Characters kept of each text of an entry that would otherwise be too large.
_SHORT_TEXT: Final = 400

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile(r'[&<>"\r]')
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}


def write_feed(
    name: str, rows: Sequence[Row], links: Links, *, count: int | None = None, next_page: str | None = None
) -> Steps[bytes]:
    """A page of a feed. `name` is the name of the set or function; `count` is included if the request asked for it.

    An entry that is too large with its full texts gets short ones; one that is still too large is left out.
    """
    url = _text(links.v2_collection(name))
    entries, newest = [], None
    for row in rows:
        moment = _last_updated(row)
        newest = moment if newest is None else max(newest, moment)
        if (entry := _small_entry(row, links)) is not None:
            entries.append(entry)
        row.release()
        yield
    lines = [
        _DECLARATION,
        f'<feed xml:base="{_text(links.v2())}" {_NAMESPACES}>',
        *([f"<m:count>{count}</m:count>"] if count is not None else []),
        f'<id>{url}</id><title type="text">{name}</title><updated>{_moment(newest or UNKNOWN_MOMENT)}Z</updated>',
        f'<link rel="self" title="{name}" href="{url}"/>',
    ]
    parts = [*(line.encode() for line in lines), *entries]
    if next_page:
        parts.append(f'<link rel="next" href="{_text(next_page)}"/>'.encode())
    return b"\n".join((*parts, b"</feed>"))


def write_entry(row: Row, links: Links) -> bytes:
    """A single entry as a document.

    Raises:
        DocumentTooLarge: it is too large even with short texts.
    """
    root = f'<entry xml:base="{_text(links.v2())}" {_NAMESPACES}>'
    entry = _small_entry(row, links, root)
    if entry is None:
        raise DocumentTooLarge(f"the metadata of {row.package_id} {row.version}", LARGEST_VERSION)
    return _DECLARATION.encode() + b"\n" + entry


def write_property(row: Row, definition: Property) -> bytes:
    """A single property of an entry as a document.

    Raises:
        DocumentTooLarge: it is larger than an entry.
    """
    spaces = f'xmlns:d="{DATA_NAMESPACE}" xmlns:m="{METADATA_NAMESPACE}"'
    written = f"{_DECLARATION}\n{_property(definition, definition.read(row), spaces)}".encode()
    if len(written) > LARGEST_VERSION:
        raise DocumentTooLarge(f"the {definition.name} of {row.package_id} {row.version}", LARGEST_VERSION)
    return written


def write_error(sentence: str) -> bytes:
    """The error document that OData clients read."""
    return (
        f'{_DECLARATION}\n<m:error xmlns:m="{METADATA_NAMESPACE}"><m:code/>'
        f'<m:message xml:lang="en-US">{_text(sentence)}</m:message></m:error>'
    ).encode()


def _small_entry(row: Row, links: Links, root: str = "<entry>") -> bytes | None:
    """None if the data that clients act on is too large: half of the dependencies would look like all of them."""
    for longest in (None, LONGEST_TEXT, _SHORT_TEXT):
        shown = row if longest is None else row.shortened(longest)
        try:
            entry = _entry(shown, links, root).encode()
        except DocumentTooLarge:
            return None
        if len(entry) <= LARGEST_VERSION:
            return entry
    return None


def _entry(row: Row, links: Links, root: str) -> str:
    package = row.package
    lower_id, version = lower_invariant(row.package_id), row.version
    url = _text(links.v2_entry(row.package_id, version.normalized))
    source = _text(links.v2_package(lower_id, version.lower))
    properties = "".join(_property(each, each.read(row)) for each in PROPERTIES)
    return (
        f"{root}<id>{url}</id>{_CATEGORY}"
        f'<link rel="edit" title="V2FeedPackage" href="{url}"/><link rel="self" title="V2FeedPackage" href="{url}"/>'
        f'<title type="text">{_text(row.package_id)}</title><summary type="text">{_text(package.summary)}</summary>'
        f"<updated>{_moment(_last_updated(row))}Z</updated><author><name>{_text(package.authors)}</name></author>"
        f'<content type="application/zip" src="{source}"/>'
        f"<m:properties>{properties}</m:properties></entry>"
    )


def _property(definition: Property, value: Value, namespaces: str = "") -> str:
    opening = f"d:{definition.name} {namespaces}" if namespaces else f"d:{definition.name}"
    kind = "" if definition.edm is Edm.STRING else f' m:type="{definition.edm}"'
    if value is None:
        return f'<{opening}{kind} m:null="true"/>'
    return f"<{opening}{kind}>{_written(value)}</d:{definition.name}>"


def _written(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return _moment(value)
        case _:
            return _text(str(value))


def _moment(moment: datetime) -> str:
    """Without an offset: all times are UTC, and `Edm.DateTime` has no offset."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()


_LAST_UPDATED = next(each for each in PROPERTIES if each.name == "LastUpdated")


def _last_updated(row: Row) -> datetime:
    moment = _LAST_UPDATED.read(row)
    return moment if isinstance(moment, datetime) else UNKNOWN_MOMENT


def _text(text: str) -> str:
    """Escaped for element content and for attributes in double quotes."""
    return _SPECIAL.sub(lambda found: _ESCAPED[found[0]], _FORBIDDEN.sub("", text))
