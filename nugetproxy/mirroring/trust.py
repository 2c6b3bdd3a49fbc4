"""What one upstream states about trust: vulnerabilities, repository signatures and their certificates.

Clients hold a failure of these against every restore, so what is kept is answered however old, and what is not kept is
"not here" (never an error): the upstream's state shows in the metrics instead.
"""

import asyncio
import hashlib
import time

from nugetproxy.errors import DocumentAbsent, DocumentNotFound, NotMirrored, UpstreamError, UpstreamNonsense
from nugetproxy.feeds.base import Answer, SmallContent
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.mirroring.source import MirroredSource
from nugetproxy.protocol.v3.signatures import RepositorySignatures, read_repository_signatures
from nugetproxy.protocol.v3.vulnerabilities import (
    VulnerabilityPage,
    VulnerabilityPages,
    read_vulnerability_index,
    read_vulnerability_page,
)


class MirroredTrust:
    """The trust documents of one upstream."""

    def __init__(self, source: MirroredSource) -> None:
        self._source = source
        self._last: Answer[VulnerabilityPages] | None = None
        self._confirmed: float | None = None

    async def vulnerabilities(self) -> Answer[VulnerabilityPages]:
        """Raises DocumentNotFound when nothing is kept and nothing can be had."""
        try:
            self._last = await self._stated_vulnerabilities()
        except (UpstreamError, DocumentAbsent, NotMirrored) as error:
            # A new index whose pages cannot be had is worth less than the old one with its pages.
            if self._last is None:
                raise DocumentNotFound("no vulnerability data is kept") from error
        return self._last

    def vulnerability_age(self) -> float | None:
        """Seconds since the oldest kept vulnerability document was last vouched for; None when none is known."""
        return max(0.0, time.time() - self._confirmed) if self._confirmed is not None else None

    async def signatures(self) -> Answer[RepositorySignatures]:
        """Raises DocumentNotFound when none is kept and none can be had."""
        try:
            url = (await self._source.endpoints()).repository_signatures
            if url is None:
                raise DocumentNotFound("the upstream states no repository signatures")
            document = await self._source.ask_however_old(url, DocumentKind.SIGNATURES, read_repository_signatures)
            return Answer(self._source.read(document, read_repository_signatures), document.provenance)
        except (UpstreamError, DocumentAbsent, NotMirrored) as error:
            raise DocumentNotFound("no repository signatures are kept") from error

    async def certificate(self, fingerprint: str) -> Answer[SmallContent]:
        """A certificate that the signatures name, by its lower-case SHA-256. Raises UpstreamError."""
        url = (await self.signatures()).value.certificate_url(fingerprint)
        if url is None:
            raise DocumentNotFound("no signing certificate has this fingerprint")
        self._source.upstream.allow(url)
        try:
            document = await self._source.ask(url, DocumentKind.PART)
        except DocumentAbsent as error:
            raise DocumentNotFound("the upstream does not have this certificate") from error
        if hashlib.sha256(document.body).hexdigest() != fingerprint:
            raise UpstreamNonsense(self._source.name, "a certificate does not have the fingerprint it is named by")
        return Answer(SmallContent(document.body, "application/pkix-cert", document.digest), document.provenance)

    async def _stated_vulnerabilities(self) -> Answer[VulnerabilityPages]:
        url = (await self._source.endpoints()).vulnerabilities
        if url is None:
            raise DocumentNotFound("the upstream has no vulnerability data")
        index = await self._source.ask_however_old(url, DocumentKind.VULNERABILITIES, read_vulnerability_index)
        entries = self._source.read(index, read_vulnerability_index)
        for entry in entries:
            self._source.upstream.allow(entry.url)
        documents = await asyncio.gather(
            *(
                self._source.ask_however_old(entry.url, DocumentKind.VULNERABILITIES, read_vulnerability_page)
                for entry in entries
            )
        )
        provenance = index.provenance
        for document in documents:
            provenance = provenance.joined(document.provenance)
        pages = tuple(
            VulnerabilityPage(
                entry.name, entry.updated, self._source.read(document, read_vulnerability_page), entry.comment
            )
            for entry, document in zip(entries, documents, strict=True)
        )
        self._confirmed = min(document.confirmed for document in (index, *documents))
        return Answer(VulnerabilityPages(pages), provenance)
