"""One upstream's documents: the URLs of its resources, fetching a document, parsing one.

Everything that mirrors an upstream's documents goes through here. `httpcache` decides whether a document may be served
or must be fetched, and `mirrored_documents` carries that out; the meaning of a document belongs to the caller.
"""

import contextlib
import hashlib
from collections.abc import Callable, Collection, Hashable
from functools import partial
from threading import Lock
from typing import Any, Final, TypeVar

from cachetools import LRUCache

from nugetproxy.errors import (
    DocumentAbsent,
    EmptyDocument,
    NotMirrored,
    UnreadableDocument,
    UpstreamError,
    UpstreamNonsense,
)
from nugetproxy.httpcache.decisions import Health, Mode
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.mirroring.documents.addresses import quoted
from nugetproxy.mirroring.documents.mirrored_documents import KeptDocument, MirroredDocuments
from nugetproxy.mirroring.documents.parsing import parsed
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.flat_container import read_versions
from nugetproxy.protocol.v3.service_index import UpstreamEndpoints, check_service_index

T = TypeVar("T")

# Size of the cache of parsed documents, in unparsed bytes; parsed, they take about five times as much.
_PARSED_BYTES: Final = 3_000_000


class MirroredSource:
    """An upstream client and its kept documents."""

    def __init__(
        self, upstream: UpstreamClient, *, service_index: str, mode: Mode, documents: MirroredDocuments
    ) -> None:
        self.upstream = upstream
        self.mode = mode
        self._service_index = service_index
        self._documents = documents
        self._parsed: LRUCache[tuple[Hashable, str], tuple[int, Any]] = LRUCache(
            _PARSED_BYTES, getsizeof=lambda p: p[0]
        )
        self._parsing = Lock()
        self._allowed_by = ""
        self._endpoints: tuple[float, float, UpstreamEndpoints] | None = None
        """The endpoints of a fresh service index, and the start and end of its freshness."""

    @property
    def name(self) -> str:
        return self.upstream.name

    @property
    def is_offline(self) -> bool:
        return self.mode is Mode.OFFLINE

    @property
    def only_kept(self) -> bool:
        """Offline, or the upstream is considered down: show only packages that can be downloaded."""
        return self.is_offline or self.upstream.health is Health.DEAD

    def refuse_if_offline(self, package_id: PackageId) -> None:
        if self.is_offline:
            raise NotMirrored(package_id.text)

    async def endpoints(self) -> UpstreamEndpoints:
        """The URLs of the upstream's resources; requests to the hosts named there are allowed from now on.

        Raises UpstreamError: without a service index it is unknown what exists.
        """
        now = self._documents.now()
        if self._endpoints is not None and self._endpoints[0] <= now < self._endpoints[1]:
            return self._endpoints[2]
        try:
            document = await self.ask(self._service_index, DocumentKind.SERVICE_INDEX, check_service_index)
        except DocumentAbsent as error:
            raise UpstreamNonsense(self.name, f"there is no service index at {self._service_index}") from error
        endpoints = await self.read(document, check_service_index)
        if document.digest != self._allowed_by:
            self._allow(endpoints)
            self._allowed_by = document.digest
        self._endpoints = now, now + document.provenance.fresh_for, endpoints
        return endpoints

    def _allow(self, endpoints: UpstreamEndpoints) -> None:
        # Without these two nothing can be restored; the others are less essential.
        for url in (endpoints.flat_container, endpoints.registrations):
            if url:
                self.upstream.allow(url, essential=True)
        for url in (
            *endpoints.search,
            *endpoints.autocomplete,
            endpoints.vulnerabilities,
            endpoints.repository_signatures,
            endpoints.catalog,
        ):
            if url:
                self.upstream.allow(url)

    async def endpoints_however_old(self) -> UpstreamEndpoints:
        """As `endpoints`; if the upstream fails, those of the kept service index, whatever its age."""
        try:
            return await self.endpoints()
        except UpstreamError:
            kept = await self.kept_endpoints()
            if kept is None:
                raise
            return kept

    async def kept_endpoints(self) -> UpstreamEndpoints | None:
        """As `endpoints`, only from the kept service index."""
        document = self.peek(self._service_index)
        return await self.read(document, check_service_index) if document is not None else None

    async def ask(
        self,
        url: str,
        kind: DocumentKind,
        read: Callable[[bytes], object],
        *,
        doubt: bool = False,
        timeout: float | None = None,
    ) -> KeptDocument:
        """A document, kept or fetched; it is only kept if `read` can parse it. Raises as `MirroredDocuments.get`."""
        check = partial(self._check, read)
        return await self._documents.get(self.upstream, url, kind, doubt=doubt, timeout=timeout, check=check)

    async def ask_however_old(self, url: str, kind: DocumentKind, read: Callable[[bytes], object]) -> KeptDocument:
        """As `ask`; if the upstream fails, the kept copy, whatever its age."""
        try:
            return await self.ask(url, kind, read)
        except UpstreamError:
            kept = self.peek(url)
            if kept is None:
                raise
            return kept

    def peek(self, url: str) -> KeptDocument | None:
        """The kept copy, without asking the upstream."""
        return self._documents.peek(url)

    def expire(self, url: str, package_id: PackageId) -> None:
        """Make the next request for a document about this package ask the upstream."""
        self._documents.expire(url, package_id.lower)

    async def stated_versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...] | None:
        """The versions list that is kept, however old; None if there is none. Sends no request for it."""
        flat_container = (await self.endpoints()).flat_container
        if flat_container is None:
            return None
        kept = self.peek(f"{flat_container}{quoted(package_id.lower)}/index.json")
        with contextlib.suppress(DocumentAbsent, UpstreamNonsense):  # kept by an earlier release that read it otherwise
            return await self.read(kept, read_versions) if kept is not None else None
        return None

    async def expire_about(self, lower_ids: Collection[str]) -> set[str]:
        """Expire the versions lists and registrations (with their pages) of these ids, for all processes.

        Returns the ids with documents that were not expired before. Raises UpstreamError without a service index, and
        StorageUnavailable.
        """
        endpoints = await self.endpoints()
        starts: dict[str, str] = {}
        for lower_id in lower_ids:
            if endpoints.flat_container is not None:
                starts[f"{endpoints.flat_container}{quoted(lower_id)}/index.json"] = lower_id
            if endpoints.registrations is not None:
                starts[f"{endpoints.registrations}{quoted(lower_id)}/"] = lower_id
        expired = await self._documents.expire_below(tuple(starts))
        return {starts[_longest_start(url, starts)] for url in expired}

    def prefetch(self, urls: list[str], kind: DocumentKind, read: Callable[[bytes], object]) -> None:
        """Fetch documents in the background; `read` as in `ask`."""
        self._documents.prefetch(self.upstream, urls, kind, check=partial(self._check, read))

    async def read(self, document: KeptDocument, read: Callable[[bytes], T]) -> T:
        """A parsed document, cached by its digest and `read`.

        Raises:
            DocumentAbsent: it says that nothing exists.
            UpstreamNonsense: it cannot be parsed.
        """
        with self._parsing:
            known = self._parsed.get((read, document.digest))
        if known is not None:
            remembered: T = known[1]
            return remembered
        try:
            return await parsed(partial(self._parse, read, document.digest), document.body)
        except EmptyDocument as error:
            raise DocumentAbsent(document.url) from error
        except UnreadableDocument as error:
            raise UpstreamNonsense(self.name, str(error)) from error

    def _check(self, read: Callable[[bytes], object], body: bytes) -> None:
        """The caller will read the document next, so the result is cached: it is parsed once."""
        self._parse(read, hashlib.sha256(body).hexdigest(), body)

    def _parse(self, read: Callable[[bytes], T], digest: str, body: bytes) -> T:
        value = read(body)
        if value is not None and len(body) <= _PARSED_BYTES:
            with self._parsing:
                self._parsed[read, digest] = (len(body), value)
        return value


def _longest_start(url: str, starts: Collection[str]) -> str:
    """The URL itself, or the folder above it, that is one of these."""
    while url not in starts:
        url = url[: url.rindex("/", 0, len(url) - 1) + 1]
    return url
