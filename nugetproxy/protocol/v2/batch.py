"""`$batch`: queries in the body of a POST. NuGet 2 sends every query this way whose URL has 2,048 characters or more.

Only queries are accepted; modifications have their own URLs. Source: OData 2.0, batch processing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from nugetproxy.errors import InvalidRequest

MOST_QUERIES: Final = 8
"""Queries per batch; NuGet sends one."""

# ASCII: otherwise a case-insensitive "K" also matches the Kelvin sign.
_BOUNDARY = re.compile(
    r'multipart/mixed\s*;(?:.*;)?\s*boundary="?([0-9A-Za-z\'()+_,./:=?-]{1,70})"?', re.IGNORECASE | re.ASCII
)
_QUERY = re.compile(rb"GET ([^\r\n]+) HTTP/1\.[01]\r?\n")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_BASE = "/api/v2/"


@dataclass(frozen=True, slots=True)
class BatchedQuery:
    """`segment` names a collection, like the path of a GET; `pairs` are its parameters. Both are decoded."""

    segment: str
    pairs: tuple[tuple[str, str], ...]


def read_batch(content_type: str, body: bytes) -> list[BatchedQuery]:
    """The queries in the order of the responses.

    Raises:
        InvalidRequest: not a batch, or a batch with anything but queries, or with too many.
    """
    boundary = _BOUNDARY.match(content_type.strip())
    if boundary is None:
        raise InvalidRequest("a batch must be multipart/mixed with a boundary")
    _, *parts = body.split(b"--" + boundary[1].encode("ascii"))
    if not parts or not parts[-1].startswith(b"--"):
        raise InvalidRequest("the batch has no closing boundary")
    if not 0 < len(parts) - 1 <= MOST_QUERIES:
        raise InvalidRequest(f"a batch must hold 1 to {MOST_QUERIES} queries")
    return [_read_part(part) for part in parts[:-1]]


def _read_part(part: bytes) -> BatchedQuery:
    _, *rest = _EMPTY_LINE.split(part, maxsplit=1)
    query = _QUERY.match(rest[0]) if rest else None
    if query is None:
        raise InvalidRequest("a batch may only hold GET queries")
    try:
        # The host is the one that the batch was sent to, whatever the client calls it.
        address = urlsplit(query[1].decode("utf-8"))
        pairs = parse_qsl(address.query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise InvalidRequest("a URL in the batch is malformed") from error
    return BatchedQuery(unquote(address.path.rpartition(_BASE)[2]), tuple(pairs))


def write_batch(documents: Sequence[tuple[str, bytes]], boundary: str) -> bytes:
    """The responses, each with its content type. `boundary` must not occur in any of them."""
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nDataServiceVersion: 2.0;\r\n\r\n".encode("ascii")
        + document
        + b"\r\n"
        for content_type, document in documents
    ]
    return b"".join([*parts, f"--{boundary}--\r\n".encode("ascii")])
