"""A document as it is kept: what the upstream answered, and when it last vouched for it.

The byte form is ours alone: a fixed frame, a small JSON head and the body as it came. There is no pickle in it and
nothing in it is trusted on the way back: whatever is odd raises ValueError and counts as "not kept".
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
# The head holds a URL and a few header values; this only stops a torn frame from being read as a length of gigabytes.
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
    """What to send with a conditional request, exactly as the upstream wrote it ("" when it sent none)."""

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        """The header fields of a conditional request.

        nuget.org's entity tags have no quotes, and its storage compares them as text: a tag that we quoted would never
        match, so it is repeated exactly as received.
        """
        sent = {}
        if self.etag:
            sent["If-None-Match"] = self.etag
        if self.last_modified:
            sent["If-Modified-Since"] = self.last_modified
        return sent


@dataclass(frozen=True, slots=True)
class ReceivedAnswer:
    """What an upstream definitely answered: 200 with a body, 304, or 404 (a 410 is told as 404)."""

    status: int
    body: bytes = b""
    etag: str = ""
    last_modified: str = ""
    content_type: str = ""
    url: str = ""
    """Where the answer came from in the end, after redirects."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One kept answer, a remembered absence included. Times are in seconds since the epoch."""

    url: str
    """What was asked for; the key in the store."""
    status: int
    body: bytes
    etag: str
    last_modified: str
    content_type: str
    fetched: float
    """When the body came."""
    confirmed: float
    """When the upstream last vouched for it: with the body, or with a 304 since."""
    expired: bool = False
    """Known to be outdated: not fresh whatever its age, but still good against a failing upstream."""
    digest: str = ""
    """SHA-256 of the body in hex; computed when not given."""

    def __post_init__(self) -> None:
        if not self.digest:
            # The dataclass is frozen for everybody else.
            object.__setattr__(self, "digest", hashlib.sha256(self.body).hexdigest())

    def __repr__(self) -> str:
        return f"<StoredResponse {self.status} {self.url}: {len(self.body)} bytes, confirmed {self.confirmed:.0f}>"

    @property
    def is_absence(self) -> bool:
        """Whether this remembers a definite "does not exist"."""
        return self.status in _ABSENT_STATUSES

    @property
    def validators(self) -> Validators | None:
        """What a conditional request may be made with, None when there is nothing to confirm."""
        if self.is_absence or not (self.etag or self.last_modified):
            return None
        return Validators(self.etag, self.last_modified)

    def to_bytes(self) -> bytes:
        """The byte form that `from_bytes` reads."""
        head = orjson.dumps({name: kind(getattr(self, name)) for name, kind in _HEAD_TYPES.items()})
        return b"".join((_FRAME.pack(_MAGIC, len(head)), head, self.body))

    @classmethod
    def from_bytes(cls, kept: bytes) -> "StoredResponse":
        """Read the byte form.

        Raises:
            ValueError: a foreign, torn, changed or older form; the body is compared with its digest.
        """
        if len(kept) < _FRAME.size:
            raise ValueError("shorter than its frame")
        magic, length = _FRAME.unpack_from(kept)
        end = _FRAME.size + length
        if magic != _MAGIC or length > _MAX_HEAD or end > len(kept):
            raise ValueError("not a kept document")
        head = _read_head(kept[_FRAME.size : end])
        body = kept[end:]
        if hashlib.sha256(body).hexdigest() != head["digest"]:
            raise ValueError("the body is not the one that was kept")
        return cls(body=body, **head)


def _read_head(text: bytes) -> dict[str, Any]:
    # orjson's decoding error is a ValueError already.
    head = orjson.loads(text)
    if not isinstance(head, dict) or head.keys() != _HEAD_TYPES.keys():
        raise ValueError("the head has other fields")
    for name, expected in _HEAD_TYPES.items():
        # Exact types: a bool is an int to isinstance, and JSON writes a whole float as a float.
        if type(head[name]) is not expected:
            raise ValueError(f"the head's {name} is not of type {expected.__name__}")
    if not (math.isfinite(head["fetched"]) and math.isfinite(head["confirmed"])):
        raise ValueError("the head's times are not finite")
    return head
