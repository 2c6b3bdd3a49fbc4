"""A V3 feed as a source: every id that its catalog names, or its search if it has none, and every version of each.

A search does not show ids whose versions are all unlisted: without a catalog they are found only if they are named. And
it may show what the server only mirrors.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from nugetproxy.errors import (
    DocumentAbsent,
    EmptyDocument,
    InvalidPackageId,
    InvalidVersion,
    UpstreamError,
    UpstreamNonsense,
)
from nugetproxy.feeds.offers import FileKind, History, Offer, Unusable, history_of, publication_date
from nugetproxy.mirroring.leaving.reading import Reading
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.protocol.documents import is_absolute_url, read_object, text_of
from nugetproxy.protocol.v3.catalog_reader import (
    LARGEST_PAGE,
    Change,
    StatedFile,
    read_catalog_index,
    read_catalog_page,
    read_stated_file,
)
from nugetproxy.protocol.v3.flat_container import read_versions
from nugetproxy.protocol.v3.registration import Leaf, read_index, read_page
from nugetproxy.protocol.v3.search import SearchPage, read_search
from nugetproxy.protocol.v3.service_index import UpstreamEndpoints
from nugetproxy.storage.spool import Spool

_PAGE: Final = 100
_MOST_PAGES: Final = 100_000
_MOST_DOWNLOADS: Final = 2**53
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a catalog leaf states."""

    file: StatedFile
    created: int | None


class V3Source:
    """A feed by its service index, which has been read. `name` is its URL without a query, which may be a secret."""

    def __init__(
        self, reading: Reading, url: str, endpoints: UpstreamEndpoints, covers: Callable[[str], bool],
        named_ids: Iterable[str] = (), *, symbols: str = "",
    ) -> None:  # fmt: skip
        """`covers`: which lower ids are wanted. `named_ids`: ids to ask for even if nothing names them. `symbols`: the
        URL below which symbols packages are, by id and version; empty if they are not wanted.
        """
        self.name = url.partition("?")[0]
        self._reading = reading
        self._endpoints = endpoints
        self._covers = covers
        self._named_ids = tuple(named_ids)
        self._symbols = symbols
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def local(self, _: Offer) -> Path | None:
        return None

    async def copy(self, offer: Offer, spool: Spool, limit: int) -> None:
        await self._reading.copy(offer.place, spool, limit)

    async def offers(self) -> AsyncIterator[Offer | Unusable]:
        """Raises UpstreamError when it cannot be known which ids there are."""
        changes = await self._catalog()
        found = await self._search() if changes is None else {}
        ids = {package_id.lower: package_id for package_id in found}
        ids |= {change.package_id.lower: change.package_id for change in (changes or {}).values()}
        ids |= {(package_id := PackageId.parse(each)).lower: package_id for each in self._named_ids}
        for lower_id, package_id in ids.items():
            if not self._covers(lower_id):
                yield Unusable(package_id.text, "its id is not selected", is_loss=False)
        wanted = [package_id for lower_id, package_id in sorted(ids.items()) if self._covers(lower_id)]
        for start in range(0, len(wanted), _AT_ONCE):
            several = wanted[start : start + _AT_ONCE]
            several_offers = await asyncio.gather(
                *(self._offers_of(each, found.get(each), changes or {}) for each in several)
            )
            for offers in several_offers:
                for offer in offers:
                    yield offer

    # --- which ids there are ------------------------------------------------------------------------------------------

    async def _catalog(self) -> dict[PackageIdentity, Change] | None:
        """The newest event of each version; None for a feed without a catalog of its own."""
        url = self._endpoints.own_catalog
        if url is None:
            return None
        try:
            index = await self._reading.document(url, read_catalog_index)
        except DocumentAbsent:
            return None
        newest: dict[PackageIdentity, Change] = {}
        for page in index.pages:
            read = await self._reading.document(page.url, read_catalog_page, LARGEST_PAGE)
            for change in read.changes:
                if change.package is not None:
                    before = newest.get(change.package)
                    if before is None or before.commit.stamp <= change.commit.stamp:
                        newest[change.package] = change
        return {package: change for package, change in newest.items() if not change.is_delete}

    async def _search(self) -> dict[PackageId, dict[str, int]]:
        """The ids that a search for everything finds, and the downloads of their versions by lower version."""
        if not self._endpoints.search:
            return {}
        found: dict[PackageId, dict[str, int]] = {}
        skip = 0
        for _ in range(_MOST_PAGES):
            page = await self._found("", skip)
            before = len(found)
            _add_hits(found, page)
            if len(found) == before:  # the end, or a server that knows no skip
                return found
            skip += len(page.hits)
        raise UpstreamNonsense(self._reading.client.name, f"its search has more than {_MOST_PAGES} pages")

    async def _found(self, text: str, skip: int) -> SearchPage:
        query = f"q={quote(text)}&prerelease=true&semVerLevel=2.0.0&skip={skip}&take={_PAGE}"
        return await self._reading.document(f"{self._endpoints.search[0]}?{query}", read_search)

    # --- one id -------------------------------------------------------------------------------------------------------

    async def _offers_of(
        self, package_id: PackageId, downloads: dict[str, int] | None, changes: dict[PackageIdentity, Change]
    ) -> list[Offer | Unusable]:
        """Every version of an id; if that cannot be known, why. `downloads`: None if no search was made."""
        try:
            if downloads is None:
                downloads = await self._downloads(package_id)
            leaves = {leaf.version: leaf for leaf in await self._leaves(package_id)}
            versions = dict.fromkeys(leaves)
            if self._endpoints.flat_container is not None:
                versions |= dict.fromkeys(await self._versions(package_id))
            packages = [PackageIdentity(package_id, version) for version in versions]
            stated = await asyncio.gather(*(self._stated(package, changes.get(package)) for package in packages))
        except UpstreamError as error:
            return [Unusable(package_id.text, str(error))]
        offers: list[Offer | Unusable] = []
        for package, said in zip(packages, stated, strict=True):
            leaf = leaves.get(package.version)
            offer = self._offer(package, leaf, downloads.get(package.lower_version, 0), said)
            if offer is None:
                offers.append(Unusable(str(package), "the feed does not say where its file is"))
                continue
            offers.append(offer)
            if self._symbols:
                place = f"{self._symbols}/{quote(package.id.text)}/{quote(package.version.normalized)}"
                offers.append(Offer(place, FileKind.SYMBOLS, package))
        return offers

    async def _downloads(self, package_id: PackageId) -> dict[str, int]:
        """By lower version, as far as a search tells: no package is missed because it does not."""
        found: dict[PackageId, dict[str, int]] = {}
        if self._endpoints.search:
            with suppress(UpstreamError, DocumentAbsent):
                _add_hits(found, await self._found(f"packageid:{package_id}", 0))
        return found.get(package_id, {})

    async def _leaves(self, package_id: PackageId) -> list[Leaf]:
        base = self._endpoints.registrations
        if base is None:
            return []
        leaves: list[Leaf] = []
        try:
            url = f"{base}{quote(package_id.lower, safe='')}/index.json"
            registration = await self._reading.document(url, partial(read_index, package_id=package_id))
            for page in registration.pages:
                if page.leaves is None:
                    page = await self._reading.document(page.url, partial(read_page, package_id=package_id))
                leaves += page.leaves or ()
        except (DocumentAbsent, EmptyDocument):
            return []
        return leaves

    async def _versions(self, package_id: PackageId) -> Iterable[Any]:
        lower = quote(package_id.lower, safe="")
        try:
            return await self._reading.document(f"{self._endpoints.flat_container}{lower}/index.json", read_versions)
        except DocumentAbsent:
            return ()

    async def _stated(self, package: PackageIdentity, change: Change | None) -> _Stated | None:
        """What the catalog says; it is the only place that knows when an unlisted version was published."""
        if change is None or not is_absolute_url(change.leaf):
            return None
        async with self._turns:
            with suppress(DocumentAbsent, UpstreamNonsense):  # it is no more than a help
                return await self._reading.document(change.leaf, partial(_read_leaf, package=package), LARGEST_PAGE)
        return None

    def _offer(
        self, package: PackageIdentity, leaf: Leaf | None, downloads: int, stated: _Stated | None
    ) -> Offer | None:  # fmt: skip
        history = history_of(leaf, downloads) if leaf is not None else History(downloads=downloads)
        if stated is not None and history.published is None:
            history = replace(history, published=stated.created)
        place = text_of(leaf.raw.get("packageContent")) if leaf is not None else ""
        if (base := self._endpoints.flat_container) is not None:
            lower = quote(package.lower_id, safe=""), quote(package.lower_version, safe="")
            place = f"{base}{lower[0]}/{lower[1]}/{lower[0]}.{lower[1]}.nupkg"
        if not is_absolute_url(place):
            return None
        size, sha512 = (stated.file.size, stated.file.sha512 or "") if stated is not None else (None, "")
        return Offer(place, FileKind.PACKAGE, package, history, size, sha512)


def _add_hits(found: dict[PackageId, dict[str, int]], page: SearchPage) -> None:
    for hit in page.hits:
        with suppress(InvalidPackageId):
            versions = found.setdefault(PackageId.parse(hit.id), {})
            rows = hit.raw.get("versions")
            for row in rows if isinstance(rows, list) else ():
                with suppress(InvalidVersion, InvalidPackageId):
                    identity = PackageIdentity.parse(hit.id, text_of(row.get("version")))
                    count = row.get("downloads")
                    if isinstance(count, int) and 0 < count <= _MOST_DOWNLOADS:
                        versions[identity.lower_version] = count


def _read_leaf(body: bytes, package: PackageIdentity) -> _Stated:
    stated = read_stated_file(body, package)
    document = read_object(body, "catalog leaf")
    dates = (publication_date(text_of(document.get(name))) for name in ("published", "created"))
    return _Stated(stated, next((date for date in dates if date is not None), None))
