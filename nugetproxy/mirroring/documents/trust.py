"""One upstream's trust data: vulnerabilities, repository signatures and their certificates.

Clients fail every restore if a request for these fails. So kept documents are served whatever their age, and a missing
one is answered "not found", never with an error: the upstream's state shows in the metrics instead.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from nugetproxy.errors import (
    DocumentAbsent,
    DocumentNotFound,
    NotMirrored,
    NotOffered,
    UnreadableDocument,
    UpstreamError,
)
from nugetproxy.feeds.base import Answer, SmallContent
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.mirroring.documents.mirrored_documents import KeptDocument
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.protocol.v3.signatures import RepositorySignatures, read_repository_signatures
from nugetproxy.protocol.v3.vulnerabilities import (
    VulnerabilityIndexEntry,
    VulnerabilityPage,
    VulnerabilityPages,
    merge_vulnerabilities,
    read_vulnerability_index,
    read_vulnerability_page,
)

T = TypeVar("T")

# Maximum number of certificates fetched ahead; nuget.org has four.
_MOST_AHEAD = 32

# Also DocumentNotFound: an upstream whose service index no longer lists a resource that we advertised.
_FAILURES = (UpstreamError, DocumentAbsent, DocumentNotFound, NotMirrored)


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[T]):
    """The last answer, for when no new one is available."""

    answer: Answer[T]
    since: float = field(default_factory=time.monotonic)

    def as_stale(self) -> Answer[T]:
        """The answer with its current age."""
        was, waited = self.answer.provenance, time.monotonic() - self.since
        fresh_for = min(0.0, was.fresh_for - waited)
        return Answer(
            self.answer.value, Provenance(Outcome.STALE, was.age + waited, fresh_for, detail="upstream-failed")
        )


class MirroredTrust:
    """The trust documents of one upstream."""

    def __init__(self, source: MirroredSource) -> None:
        self._source = source
        self._last: _Remembered[VulnerabilityPages] | None = None
        self._last_signatures: _Remembered[RepositorySignatures] | None = None
        self._certificates_of = ""
        self._confirmed: float | None = None

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        """Raises DocumentNotFound if nothing is kept and nothing can be fetched."""
        try:
            answer = await self._stated_vulnerabilities()
        except _FAILURES as error:
            # A new index whose pages cannot be fetched is worth less than the old one with its pages.
            if self._last is not None:
                return self._last.as_stale()
            if isinstance(error, DocumentNotFound):
                raise
            raise DocumentNotFound("no vulnerability data is kept") from error
        self._last = _Remembered(answer)
        return answer

    def vulnerability_age(self) -> float | None:
        """Seconds since the oldest kept vulnerability document was last confirmed; None if none is known."""
        return max(0.0, time.time() - self._confirmed) if self._confirmed is not None else None

    async def signatures(self) -> Answer[RepositorySignatures]:
        """Raises DocumentNotFound if none are kept and none can be fetched."""
        try:
            answer = await self._stated_signatures()
        except _FAILURES as error:
            # Clients remember for half an hour that we have them, and fail every restore if we do not.
            if self._last_signatures is not None:
                return self._last_signatures.as_stale()
            if isinstance(error, DocumentNotFound):
                raise
            raise DocumentNotFound("no repository signatures are kept") from error
        self._last_signatures = _Remembered(answer)
        return answer

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        """A certificate listed in the signatures, by its lower-case SHA-256. Raises UpstreamError."""
        url = (await self.signatures()).value.addresses.get(fingerprint)
        if url is None:
            raise DocumentNotFound("no signing certificate has this fingerprint")
        try:
            document = await self._source.ask(url, DocumentKind.PART, _certificate_with(fingerprint))
        except DocumentAbsent as error:
            raise DocumentNotFound("the upstream does not have this certificate") from error
        return Answer(SmallContent(document.body, "application/pkix-cert", document.digest), document.provenance)

    async def _stated_signatures(self) -> Answer[RepositorySignatures]:
        url = (await self._source.endpoints_however_old()).repository_signatures
        if url is None:
            raise NotOffered("the upstream has no repository signatures")
        document = await self._source.ask_however_old(url, DocumentKind.SIGNATURES, read_repository_signatures)
        signatures = await self._source.read(document, read_repository_signatures)
        if document.digest != self._certificates_of:
            self._certificates_of = document.digest
            self._fetch_certificates_ahead(signatures)
        return Answer(signatures, document.provenance)

    def _fetch_certificates_ahead(self, signatures: RepositorySignatures) -> None:
        """Fetch the certificates, so that they are available when the upstream is not."""
        for fingerprint, url in islice(signatures.addresses.items(), _MOST_AHEAD):
            self._source.prefetch([url], DocumentKind.PART, _certificate_with(fingerprint))

    async def _stated_vulnerabilities(self) -> Answer[VulnerabilityPages]:
        url = (await self._source.endpoints_however_old()).vulnerabilities
        if url is None:
            raise NotOffered("the upstream has no vulnerability data")
        index = await self._source.ask_however_old(url, DocumentKind.VULNERABILITIES, _read_index)
        entries = await self._source.read(index, _read_index)
        documents = await asyncio.gather(*(self._page(entry) for entry in entries), return_exceptions=True)
        had: list[tuple[VulnerabilityIndexEntry, KeptDocument]] = []
        for entry, document in zip(entries, documents, strict=True):
            if isinstance(document, KeptDocument):
                had.append((entry, document))
            elif self._last is not None or not isinstance(document, UpstreamError | DocumentAbsent | NotMirrored):
                raise document
        if not had:
            raise DocumentNotFound("no page of the vulnerability data can be fetched")
        provenance = index.provenance
        for _, document in had:
            provenance = provenance.joined(document.provenance)
        pages = [
            VulnerabilityPage(
                entry.name, entry.updated, await self._source.read(document, read_vulnerability_page), entry.comment
            )
            for entry, document in had
        ]
        self._confirmed = min(document.confirmed for document in (index, *(document for _, document in had)))
        # With names that clients accept: one invalid name makes them ignore the whole index.
        return Answer(merge_vulnerabilities([(self._source.name, VulnerabilityPages(tuple(pages)))]), provenance)

    async def _page(self, entry: VulnerabilityIndexEntry) -> KeptDocument:
        return await self._source.ask_however_old(entry.url, DocumentKind.VULNERABILITIES, read_vulnerability_page)


def _read_index(body: bytes) -> tuple[VulnerabilityIndexEntry, ...]:
    """As `read_vulnerability_index`. An empty index is refused: clients would take it for "nothing is vulnerable"."""
    entries = read_vulnerability_index(body)
    if not entries:
        raise UnreadableDocument("vulnerability index", "it lists no pages")
    return entries


def _certificate_with(fingerprint: str) -> Callable[[bytes], None]:
    """A check that a body is the certificate that its name identifies; raises UnreadableDocument."""

    def check(body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != fingerprint:
            raise UnreadableDocument("certificate", "it does not have the fingerprint in its name")

    return check
