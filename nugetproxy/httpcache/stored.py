"""A stored document: the upstream's response, and when the upstream last confirmed it.

The serialised form is our own: a fixed frame, a small JSON header and the unchanged body. It contains no pickle, and
is not trusted when read: anything malformed raises ValueError and counts as "not stored".
"""

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

_MAGIC = b"NPD1"
_FRAME = struct.Struct(">4sI")
# The header has a URL and a few values; this only keeps a torn frame from being read as a length of gigabytes.
_MAX_HEAD = 1 << 20
_ABSENT_STATUSES = frozenset({404, 410})
_HEAD_TYPES: dict[str, type] = {
    "url": str,
    "status": int,
    "etag": str,
    "last_modified": str,
    "content_type": str,
    "fetched": float,
    "confirmed": float,
    "expired": bool,
    "digest": str,
}


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators for a conditional request, exactly as the upstream sent them ("" for none)."""

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        """The header fields of a conditional request.

        nuget.org's entity tags have no quotes, and its storage compares them as text: a quoted tag would never match,
        so it is sent exactly as received.
        """
        sent = {}
        if self.etag:
            sent["If-None-Match"] = self.etag
        if self.last_modified:
            sent["If-Modified-Since"] = self.last_modified
        return sent


@dataclass(frozen=True, slots=True)
class ReceivedAnswer:
    """A definite answer of an upstream: 200 with a body, 304, or 404 (also for 410)."""

    status: int
    body: bytes = b""
    etag: str = ""
    last_modified: str = ""
    content_type: str = ""
    url: str = ""
    """The final URL, after redirects."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One stored response, which may be a cached absence. Times are in seconds since the epoch."""

    url: str
    """The requested URL; the key in the store."""
    status: int
    body: bytes
    etag: str
    last_modified: str
    content_type: str
    fetched: float
    """When the body was received."""
    confirmed: float
    """When the upstream last confirmed it: with the body, or later with a 304."""
    expired: bool = False
    """Known to be outdated: not fresh at any age, but still usable if the upstream fails."""
    digest: str = ""
    """SHA-256 of the body in hex; computed if not given."""

    def __post_init__(self) -> None:
        if not self.digest:
            # The dataclass is frozen.
            object.__setattr__(self, "digest", hashlib.sha256(self.body).hexdigest())

    def __repr__(self) -> str:
        return f"<StoredResponse {self.status} {self.url}: {len(self.body)} bytes, confirmed {self.confirmed:.0f}>"

    @property
    def is_absence(self) -> bool:
        """Whether this is a cached "does not exist"."""
        return self.status in _ABSENT_STATUSES

    @property
    def validators(self) -> Validators | None:
        """The validators for a conditional request, None if there is nothing to confirm."""
        if self.is_absence or not (self.etag or self.last_modified):
            return None
        return Validators(self.etag, self.last_modified)

    def to_bytes(self) -> bytes:
        """Serialise, for `from_bytes`."""
        head = orjson.dumps({name: kind(getattr(self, name)) for name, kind in _HEAD_TYPES.items()})
        return b"".join((_FRAME.pack(_MAGIC, len(head)), head, self.body))

    @classmethod
    def from_bytes(cls, kept: bytes) -> "StoredResponse":
        """The inverse of `to_bytes`.

        Raises:
            ValueError: a foreign, torn, changed or older form; the body is checked against its digest.
        """
        if len(kept) < _FRAME.size:
            raise ValueError("shorter than its frame")
        magic, length = _FRAME.unpack_from(kept)
        end = _FRAME.size + length
        if magic != _MAGIC or length > _MAX_HEAD or end > len(kept):
            raise ValueError("not a stored document")
        head = _read_head(kept[_FRAME.size : end])
        body = kept[end:]
        if hashlib.sha256(body).hexdigest() != head["digest"]:
            raise ValueError("the body does not match its digest")
        return cls(body=body, **head)


def _read_head(text: bytes) -> dict[str, Any]:
    # orjson's decoding error is a ValueError.
    head = orjson.loads(text)
    if not isinstance(head, dict) or head.keys() != _HEAD_TYPES.keys():
        raise ValueError("the header has other fields")
    for name, expected in _HEAD_TYPES.items():
        # Exact types: isinstance accepts a bool as int, and JSON writes a whole float as a float.
        if type(head[name]) is not expected:
            raise ValueError(f"the header's {name} is not of type {expected.__name__}")
    if not (math.isfinite(head["fetched"]) and math.isfinite(head["confirmed"])):
        raise ValueError("the header's times are not finite")
    return head
