"""Searches of one upstream: answered by its own services, or from kept packages if none of them answers in time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

from nugetproxy.errors import DocumentAbsent, StorageUnavailable, UpstreamError
from nugetproxy.feeds.base import Answer
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.logs import logger
from nugetproxy.mirroring.documents.readers import Completion
from nugetproxy.mirroring.documents.source import MirroredSource
from nugetproxy.mirroring.kept.view import KeptPackages, StatedLeaves, kept_provenance
from nugetproxy.protocol.v3.search import (
    CompletionPage,
    CompletionQuery,
    SearchPage,
    SearchQuery,
    read_search,
)
from nugetproxy.protocol.v3.service_index import UpstreamEndpoints

_log = logger()
T = TypeVar("T")


class MirroredSearch:
    """Search and autocomplete over one upstream and the packages kept from it."""

    def __init__(
        self,
        source: MirroredSource,
        kept: KeptPackages,
        stated: StatedLeaves,
        *,
        timeout: float,
    ) -> None:
        """`timeout` is in seconds, for all the upstream's services together."""
        self._source = source
        self._kept = kept
        self._stated = stated
        self._timeout = timeout

    async def search(self, query: SearchQuery) -> Answer[SearchPage]:
        if query.asks_nothing:
            return Answer(SearchPage(0, ()))
        found = await self._asked(lambda endpoints: endpoints.search, query.params(), read_search)
        return found or Answer(await self._kept.search(query, self._stated), kept_provenance(self._source))

    async def complete(self, query: CompletionQuery) -> Answer[CompletionPage]:
        if query.asks_nothing:
            return Answer(CompletionPage(0, ()))
        read = Completion(of_versions=query.asks_versions)
        found = await self._asked(lambda endpoints: endpoints.autocomplete, query.params(), read)
        return found or Answer(await self._kept.complete(query, self._stated), kept_provenance(self._source))

    async def _asked(
        self,
        services: Callable[[UpstreamEndpoints], Sequence[str]],
        params: Sequence[tuple[str, str]],
        read: Callable[[bytes], T],
    ) -> Answer[T] | None:
        """The answer of the first of the upstream's services that answers in time; None if none does."""
        if self._source.only_kept:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                endpoints = await self._source.endpoints()
                for base in services(endpoints):
                    answer = await self._asked_at(_with_query(base, params), read)
                    if answer is not None:
                        return answer
        except (TimeoutError, UpstreamError, DocumentAbsent, StorageUnavailable):
            pass
        _log.info("search_answered_from_kept", upstream=self._source.name)
        return None

    async def _asked_at(self, url: str, read: Callable[[bytes], T]) -> Answer[T] | None:
        try:
            # Half of the total, so that a second service can still be asked if the first does not answer.
            document = await self._source.ask(url, DocumentKind.SEARCH, read, timeout=self._timeout / 2)
        except (UpstreamError, DocumentAbsent):
            return None
        return Answer(await self._source.read(document, read), document.provenance)


def _with_query(url: str, params: Sequence[tuple[str, str]]) -> str:
    """The search service's address with our query in place of its own, as official clients do."""
    scheme, netloc, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, netloc, path, urlencode(params), ""))
