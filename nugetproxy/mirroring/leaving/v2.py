"""A V2 feed (OData) as a source: every page of its packages."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, urljoin

from nugetproxy.errors import DocumentAbsent, UpstreamNonsense
from nugetproxy.feeds.offers import History, Offer, Unusable, plausible_date
from nugetproxy.mirroring.leaving.reading import Reading
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.v2.feed_reader import FeedEntry, read_feed
from nugetproxy.storage.spool import Spool

# A server may send the same page again and again, under new addresses.
_MOST_PAGES: Final = 100_000


class V2Source:
    """`url` is the root of the feed, as clients have it as their source."""

    def __init__(self, reading: Reading, url: str, covers: Callable[[str], bool]) -> None:
        """`covers`: which lower ids are wanted; of the others nothing is offered."""
        self.name = url.partition("?")[0]
        self._reading = reading
        self._root = self.name.rstrip("/") + "/"
        self._covers = covers

    def local(self, _: Offer) -> Path | None:
        return None

    async def copy(self, offer: Offer, spool: Spool, limit: int) -> None:
        await self._reading.copy(offer.place, spool, limit)

    async def offers(self) -> AsyncIterator[Offer | Unusable]:
        """Raises UpstreamError."""
        seen: set[PackageIdentity] = set()
        others: set[str] = set()
        first = f"{self._root}Packages()?semVerLevel=2.0.0"
        url, skipped = first, 0
        for _ in range(_MOST_PAGES):
            try:
                page = await self._reading.document(url, read_feed)
            except DocumentAbsent as error:
                raise UpstreamNonsense(self._reading.client.name, f"there is no V2 feed at {self._root}") from error
            skipped += page.count
            new = [entry for entry in page.entries if entry.package not in seen]
            for entry in new:
                seen.add(entry.package)
                if self._covers(entry.package.lower_id):
                    yield self._offer(entry, url)
                elif entry.package.lower_id not in others:
                    others.add(entry.package.lower_id)
                    yield Unusable(entry.package.id.text, "its id is not selected", is_loss=False)
            if page.following:
                url = urljoin(url, page.following)
            elif new:  # a server without links to further pages may have more of them all the same
                url = f"{first}&$skip={skipped}"
            else:
                return
        raise UpstreamNonsense(self._reading.client.name, f"its feed has more than {_MOST_PAGES} pages")

    def _offer(self, entry: FeedEntry, page: str) -> Offer:
        package = entry.package
        by_convention = f"{self._root}package/{quote(package.id.text)}/{quote(package.version.normalized)}"
        dates = (date for date in (entry.published, entry.created) if date is not None)
        published = next((date for date in dates if plausible_date(date) is not None), None)
        return Offer(
            urljoin(page, entry.content) if entry.content else by_convention,
            identity=package,
            history=History(published, entry.listed, None, entry.downloads),
            size=entry.size,
            sha512=entry.sha512,
        )
