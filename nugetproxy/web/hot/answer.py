"""One hot answer: what a 200, a 206 or a 304 to the next request says, rendered ahead as far as it never changes.

Which answers are kept, and for how long, is decided in `web.hot.table`; how they reach a socket in `web.lane.lane`.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

from nugetproxy.feeds.base import LocalFile
from nugetproxy.httpcache.conditional import NotModified, Partial, Verdict, Whole, evaluate
from nugetproxy.httpcache.outcome import Provenance
from nugetproxy.web.hot.open_files import KeptFile
from nugetproxy.web.http.compression import Codings

Headers = Iterable[tuple[str, str]]

ENTRY_BYTES: Final = 1536
"""What an answer weighs beside its bodies and its key: its headers, two rendered heads and its objects."""

# Headers of the representation that a 304 does not repeat (RFC 9110 section 15.4.5).
_OF_THE_BODY: Final = ("content-type", "content-encoding")

_WHOLE: Final = Whole()
_NOT_MODIFIED: Final = NotModified()


class HotVariant:
    """One representation: its bytes, or the file that holds them, and every header that never changes."""

    __slots__ = ("_head", "_head_304", "_of_body", "_second", "_second_304", "_shared", "body", "etag", "modified")

    def __init__(self, headers: Headers, body: bytes | LocalFile | KeptFile, *, modified: int | None = None) -> None:
        """`headers` is everything that the aiohttp path would send for this representation except Content-Length, Date,
        the request id, and what `HotAnswer.live_headers` tells. `modified` is in seconds since the epoch, of a file.
        """
        shared: list[str] = []
        of_body: list[str] = []
        etag = ""
        for name, value in headers:
            (of_body if name.lower() in _OF_THE_BODY else shared).append(f"{name}: {value}\r\n")
            if name.lower() == "etag":
                etag = value
        self._shared = "".join(shared)
        self._of_body = "".join(of_body)
        self.etag = etag
        self.modified = modified
        self.body = body
        self._second = self._second_304 = -1  # the unix second for which a head was rendered
        self._head = self._head_304 = b""

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.size

    @property
    def held(self) -> int:
        """The bytes of it that are in our memory."""
        return len(self.body) if isinstance(self.body, bytes) else 0


@dataclass(slots=True, eq=False)
class HotAnswer:
    """What is answered to GET and HEAD of one target.

    `provenance` is what the next client is told (offer a fetched answer as HIT); it ages here. The answer is used until
    `expires`, which for a document is where its freshness ends.
    """

    resource: str
    provenance: Provenance
    identity: HotVariant | None
    gzip: HotVariant | None = None
    is_negotiated: bool = False
    """Both forms exist, though one of them may not be here: a request for that one is not answered from here."""
    live_headers: Callable[[Provenance], Headers] = field(default=lambda _: ())
    """The headers that change while the answer waits (Age, Cache-Status), for a provenance aged to now."""
    expires: float = float("inf")
    """On the monotonic clock."""
    needs_reader: bool = False
    """Only for clients whose credentials were right a moment ago."""
    counted: Callable[[], None] | None = None
    """Called for each GET that it answers."""
    gzip_unasked: bool = False
    """A client that says nothing about codings gets gzip too (the gz hives)."""
    digest: str = ""
    """Of the bytes of a document: two answers with the same one are two forms of one document."""
    since: float = field(default_factory=time.monotonic)
    """When `provenance` was true, on the monotonic clock."""

    outcome: str = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = self.provenance.outcome.value

    @property
    def size(self) -> int:
        """The bytes of memory that it takes, about."""
        forms = (form.held for form in (self.identity, self.gzip) if form is not None)
        return ENTRY_BYTES + sum(forms)

    @property
    def file(self) -> KeptFile | None:
        body = self.identity.body if self.identity is not None else None
        return body if isinstance(body, KeptFile) else None

    def variant_for(self, codings: Codings) -> HotVariant | None:
        """None: that form is not here."""
        if codings is Codings.GZIP or (codings is Codings.SILENT and self.gzip_unasked):
            return self.gzip if self.gzip is not None or self.is_negotiated else self.identity
        return self.identity

    def verdict(self, variant: HotVariant, conditions: Mapping[str, str], method: str) -> Verdict:
        """What the conditions and ranges of a request come to. Documents are never answered in part."""
        if conditions.get("If-None-Match") == variant.etag and len(conditions) == 1 and variant.etag:
            return _NOT_MODIFIED
        size = None if isinstance(variant.body, bytes) else variant.size
        return evaluate(conditions, etag=variant.etag, modified=variant.modified, size=size, method=method)

    def head(self, variant: HotVariant, verdict: Verdict, second: int, now: float) -> bytes:
        """The head of the answer in this unix second, complete but for the request id and the empty line.

        `verdict` is Whole, NotModified or Partial. `now` is on the monotonic clock.
        """
        if isinstance(verdict, NotModified):
            if variant._second_304 != second:
                variant._head_304 = self._rendered("304 Not Modified", variant._shared, "", second, now)
                variant._second_304 = second
            return variant._head_304
        if isinstance(verdict, Partial):
            own = f"Content-Range: {verdict.content_range(variant.size)}\r\nContent-Length: {verdict.length}\r\n"
            return self._rendered("206 Partial Content", variant._of_body + variant._shared, own, second, now)
        if variant._second != second:
            length = f"Content-Length: {variant.size}\r\n"
            variant._head = self._rendered("200 OK", variant._of_body + variant._shared, length, second, now)
            variant._second = second
        return variant._head

    def _rendered(self, status: str, standing: str, own: str, second: int, now: float) -> bytes:
        waited = max(0.0, now - self.since)
        was = self.provenance
        aged = Provenance(was.outcome, was.age + waited, was.fresh_for - waited, was.stored, was.detail)
        live = "".join([f"{name}: {value}\r\n" for name, value in self.live_headers(aged)])
        date = formatdate(second, usegmt=True)
        return f"HTTP/1.1 {status}\r\n{standing}{live}{own}Date: {date}\r\n".encode("latin-1")
