"""Write the responses of search and autocomplete, with our URLs.

Source: docs/api/search-query-service-resource.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import orjson

from nugetproxy.errors import DocumentTooLarge
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.bounds import LARGEST_DOCUMENT, LARGEST_VERSION
from nugetproxy.protocol.documents import write
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.steps import Steps
from nugetproxy.protocol.v3.rewriting import Rewriter
from nugetproxy.protocol.v3.search import CompletionPage, SearchHit, SearchPage, lower_version_of, plain_hit
from nugetproxy.protocol.v3.search_query import CompletionQuery, SearchQuery

_VOCABULARY = "http://schema.nuget.org/schema#"

# Characters kept of each text of a hit, on a page that would otherwise be too large.
_SHORT_TEXT: Final = 200
# Maximum bytes of a row of `versions`. It holds a version, a number and a link.
_LARGEST_ROW: Final = 4 * 1024
# A row with other fields may contain URLs there, which must be rewritten.
_FIELDS_OF_ROW: Final = frozenset(("@id", "@type", "version", "downloads"))
_ROWS_OF_STEP: Final = 200
_AROUND_HITS: Final = 16 * 1024


def write_search(page: SearchPage, query: SearchQuery, links: Links) -> Steps[bytes]:
    """`totalHits` comes before `data`: clients stop reading when they have as many hits as they asked for.

    A page that would exceed the limit for documents shows less of each hit, but never fewer hits: clients would take it
    for the last page.

    Raises:
        DocumentTooLarge: it is too large even so.
    """
    data: list[orjson.Fragment] | None = yield from _written_hits(page.hits, query, links)
    if data is None:
        share = (LARGEST_DOCUMENT - _AROUND_HITS) // len(page.hits)
        data = yield from _written_hits(page.hits, query, links, share)
    if data is None:
        raise DocumentTooLarge("this page of search results", LARGEST_DOCUMENT)
    return write(
        {
            "@context": {"@vocab": _VOCABULARY, "@base": links.registration_base(query.hive)},
            "totalHits": page.total,
            "data": data,
        }
    )


def write_completion(page: CompletionPage, query: CompletionQuery, links: Links) -> bytes:
    """Both kinds of responses have the same form; versions need no total."""
    document: dict[str, Any] = {"@context": {"@vocab": _VOCABULARY}}
    total = page.total if page.total is not None or query.asks_versions else len(page.values)
    if total is not None:
        document["totalHits"] = total
    return write({**document, "data": page.values})


def _written_hits(
    hits: Iterable[SearchHit], query: SearchQuery, links: Links, share: int | None = None
) -> Steps[list[orjson.Fragment] | None]:
    """None if together they exceed the limit for documents. `share` as in `_written_hit`."""
    written: list[orjson.Fragment] = []
    size = 0
    for hit in hits:
        text = yield from _written_hit(hit, query, links, share)
        size += len(text) + len(",")
        if size > LARGEST_DOCUMENT - _AROUND_HITS:
            return None
        written.append(orjson.Fragment(text))
    return written


def _written_hit(hit: SearchHit, query: SearchQuery, links: Links, share: int | None) -> Steps[bytes]:
    """With a `share`, in bytes, its texts are shortened and only the newest versions that fit are kept."""
    rewriter = Rewriter(links, query.hive, lower_invariant(hit.id))
    document = _described(hit.raw if share is None else plain_hit(hit.raw, _SHORT_TEXT), rewriter)
    size = len(orjson.dumps(document))
    if size > LARGEST_VERSION:  # because of our links
        document = _described(plain_hit(hit.raw), rewriter)
        size = len(orjson.dumps(document))
    rows = yield from _written_versions(hit.raw, rewriter, (LARGEST_DOCUMENT if share is None else share) - size)
    document["versions"] = orjson.Fragment(b"[" + b",".join(rows) + b"]")
    return orjson.dumps(document)


def _described(raw: dict[str, Any] | None, rewriter: Rewriter) -> dict[str, Any]:
    """Everything in a hit except its versions."""
    if raw is None:
        raise DocumentTooLarge(f"the metadata of {rewriter.lower_id}", LARGEST_VERSION)
    lower_version = lower_version_of(raw) or ""
    own = rewriter.links.catalog_entry(rewriter.lower_id, lower_version)
    written = rewriter.rewritten({**raw, "versions": None}, own, lower_version)
    written["@id"] = written["registration"] = rewriter.index
    written["vulnerabilities"] = _with_numbers(written.get("vulnerabilities"))
    return written


def _written_versions(raw: dict[str, Any], rewriter: Rewriter, room: int) -> Steps[list[bytes]]:
    """The newest that fit into `room` bytes, at least one. Clients throw on an empty list: a hit without any gets its
    own version."""
    rows = raw.get("versions")
    usable = rows if isinstance(rows, list) else []
    written: deque[bytes] = deque()
    for row in reversed(usable):
        if (lower_version := lower_version_of(row)) is None:
            continue
        text = _written_version(row, lower_version, rewriter)
        room -= len(text) + 1
        if room < 0 and written:
            break
        written.appendleft(text)
        if len(written) % _ROWS_OF_STEP == 0:
            yield
    if not written:
        own = {"version": raw["version"], "downloads": 0}
        written.append(_written_version(own, lower_version_of(own) or "", rewriter))
    yield
    return list(written)


def _written_version(row: dict[str, Any], lower_version: str, rewriter: Rewriter) -> bytes:
    link = rewriter.links.registration_leaf(rewriter.hive, rewriter.lower_id, lower_version)
    if not row.keys() <= _FIELDS_OF_ROW:
        row = rewriter.rewritten(row, link, lower_version)
    written = orjson.dumps({**row, "@id": link})
    if len(written) <= _LARGEST_ROW:
        return written
    return orjson.dumps({"version": row["version"], "downloads": 0, "@id": link})


def _with_numbers(vulnerabilities: object) -> list[Any]:
    """In search a severity is a number; registrations, and some servers even here, use a text."""
    rows = vulnerabilities if isinstance(vulnerabilities, list) else []
    return [
        {**row, "severity": int(severity)}
        if isinstance(row, dict) and isinstance(severity := row.get("severity"), str) and severity in _SEVERITIES
        else row
        for row in rows
    ]


_SEVERITIES = frozenset("0123")
