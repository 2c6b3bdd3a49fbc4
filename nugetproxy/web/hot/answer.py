"""One hot answer: the 200, 206 or 304 for the next request, rendered in advance where it never changes.

Which answers are kept, and for how long, is decided in `web.hot.table`; how they reach a socket in `web.lane.lane`.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.conditional import NotModified, Partial, Verdict, evaluate
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.storage.revisions import ANY
from nugetproxy.web.hot.open_files import KeptFile
from nugetproxy.web.http.cache_headers import AgingLines
from nugetproxy.web.http.compression import Codings

Headers = Iterable[tuple[str, str]]

# Only a target if the answer is the same for every host, else a target and a host: two types, so that no target,
# not even one that a client crafted with a host inside, is ever taken for a key of the other kind.
Key = bytes | tuple[bytes, bytes]

ENTRY_BYTES: Final = 1024
"""The size of an answer without its bodies and its key: objects, an entity tag, a path."""

# Headers of the representation that a 304 does not repeat (RFC 9110 section 15.4.5).
_OF_THE_BODY: Final = ("content-type", "content-encoding")

_NOT_MODIFIED: Final = NotModified()


class HotVariant:
    """One representation: its bytes, or the file that contains them, and every header that never changes.

    Most answers share most header lines, so these are stored once for all of them.
    """

    __slots__ = ("_of_body", "_shared", "body", "etag", "modified")

    def __init__(self, headers: Headers, body: bytes | LocalFile | KeptFile, *, modified: int | None = None) -> None:
        """`headers` is everything that aiohttp's side would send for this representation except Content-Length, Date,
        the request id, Age and Cache-Status. `modified` is in seconds since the epoch, for files.
        """
        shared: list[str] = []
        of_body: list[str] = []
        self.etag = ""
        for name, value in headers:
            if name.lower() == "etag":
                self.etag = value
            else:
                (of_body if name.lower() in _OF_THE_BODY else shared).append(f"{name}: {value}\r\n")
        self._shared = sys.intern("".join(shared))
        self._of_body = sys.intern("".join(of_body))
        self.modified = modified
        self.body = body

    @classmethod
    def from_description(
        cls, description: Sequence[str], body: bytes | KeptFile, modified: int | None = None
    ) -> "HotVariant":
        """The form that `described` described."""
        form = cls((), body, modified=modified)
        shared, of_body, form.etag = description
        form._shared, form._of_body = sys.intern(shared), sys.intern(of_body)
        return form

    def described(self) -> list[str]:
        """Everything except the body."""
        return [self._shared, self._of_body, self.etag]

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.size

    @property
    def held(self) -> int:
        """The part of it that is in our memory, in bytes."""
        return len(self.body) if isinstance(self.body, bytes) else 0

    def lines(self, *, with_body: bool) -> str:
        """The header lines; without a body, those of a 304."""
        tag = f"ETag: {self.etag}\r\n" if self.etag else ""
        return f"{self._of_body}{self._shared}{tag}" if with_body else f"{self._shared}{tag}"


@dataclass(slots=True, eq=False)
class HotAnswer:
    """The response to GET and HEAD for one target.

    `provenance` is what the next client is told (offer a fetched answer as HIT); it ages here. The answer is used until
    `expires`, which for a document is the end of its freshness.
    """

    resource: str
    provenance: Provenance
    identity: HotVariant | None
    gzip: HotVariant | None = None
    is_negotiated: bool = False
    """Both forms exist, though one may be missing here: a request for the missing one is not answered from here."""
    has_ttl: bool = True
    """Whether Cache-Status says how long it stays fresh: not for a file, whose bytes never change."""
    expires: float = float("inf")
    """On the monotonic clock."""
    grace: float = 0.0
    """Seconds for which it is still used after `expires` while one request renews it; 0 if it must not be."""
    needs_reader: bool = False
    """Only for clients whose credentials were recently verified."""
    counted: Callable[[], None] | None = None
    """Called for each GET that is answered with it."""
    gzip_unasked: bool = False
    """A client without Accept-Encoding gets gzip too (the gz hives)."""
    count: str = ""
    """What `counted` counts, as `HotTable` was told to make it again from this; empty: nothing."""
    digest: str = ""
    """Of a document's bytes: two answers with the same digest are two forms of one document."""
    epoch: int = 0
    """The counter of changes that concern all packages when the answer was made: with another one it is outdated."""
    group: int = ANY
    """The package that it is about, as `storage.revisions.group_of` has it; ANY: it may be about any package."""
    generation: int = 0
    """The counter of that group when the answer was made: with another one it is outdated."""
    since: float = field(default_factory=time.monotonic)
    """When `provenance` was valid, on the monotonic clock."""
    position: int = -1
    """Where `answer_file` has this very answer, as it counts positions; -1: nowhere."""

    moved: float = field(init=False, default=0.0)
    """When `table` last moved it to the front, on the monotonic clock."""
    outcome: str = field(init=False)
    _ages: AgingLines = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = self.provenance.outcome.value
        self._ages = AgingLines(self.provenance, has_ttl=self.has_ttl)

    @property
    def size(self) -> int:
        """The approximate memory it takes, in bytes."""
        forms = (form.held for form in (self.identity, self.gzip) if form is not None)
        return ENTRY_BYTES + sum(forms)

    @property
    def file(self) -> KeptFile | None:
        body = self.identity.body if self.identity is not None else None
        return body if isinstance(body, KeptFile) else None

    def variant_for(self, codings: Codings) -> HotVariant | None:
        """None: that form is not available."""
        if codings is Codings.GZIP or (codings is Codings.SILENT and self.gzip_unasked):
            return self.gzip if self.gzip is not None or self.is_negotiated else self.identity
        return self.identity

    def verdict(self, variant: HotVariant, conditions: Mapping[str, str], method: str) -> Verdict:
        """The result of a request's conditions and ranges. Documents are never sent in part."""
        if conditions.get("If-None-Match") == variant.etag and len(conditions) == 1 and variant.etag:
            return _NOT_MODIFIED
        size = None if isinstance(variant.body, bytes) else variant.size
        return evaluate(conditions, etag=variant.etag, modified=variant.modified, size=size, method=method)

    def head(self, variant: HotVariant, verdict: Verdict, date: str, now: float) -> bytes:
        """The head of the response, a 200, 206 or 304, as `verdict` is Whole, Partial or NotModified: up to the request
        id, which ends it.

        `date` is the Date line; `now` is on the monotonic clock.
        """
        live = self._ages.at(max(0.0, now - self.since))
        if isinstance(verdict, NotModified):
            start = f"HTTP/1.1 304 Not Modified\r\n{variant.lines(with_body=False)}"
        elif isinstance(verdict, Partial):
            part = f"Content-Range: {verdict.content_range(variant.size)}\r\nContent-Length: {verdict.length}\r\n"
            start = f"HTTP/1.1 206 Partial Content\r\n{variant.lines(with_body=True)}{part}"
        else:
            length = f"Content-Length: {variant.size}\r\n"
            start = f"HTTP/1.1 200 OK\r\n{variant.lines(with_body=True)}{length}"
        return f"{start}{live}{date}X-Request-Id: ".encode("latin-1")
