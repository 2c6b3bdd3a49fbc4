"""What packages would cost to fetch, without fetching them: the upstream's catalog states their sizes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from nugetproxy.errors import NugetproxyError
from nugetproxy.feeds.base import Feed
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.nuget.identity import PackageIdentity

_AT_ONCE: Final = 8


class Sizes:
    """`is_kept` says whether a package is here already."""

    def __init__(self, feed: Feed, patience: Patience, is_kept: Callable[[PackageIdentity], Awaitable[bool]]) -> None:
        self._feed = feed
        self._patience = patience
        self._is_kept = is_kept

    async def of_all(self, packages: Iterable[PackageIdentity]) -> dict[PackageIdentity, int | None]:
        """`to_fetch` for each of the packages."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def size(package: PackageIdentity) -> tuple[PackageIdentity, int | None]:
            async with places:
                return package, await self.to_fetch(package)

        return dict(await asyncio.gather(*map(size, packages)))

    async def to_fetch(self, package: PackageIdentity) -> int | None:
        """Bytes: 0 for a package that is kept, None if the size is unknown."""
        if await self._is_kept(package):
            return 0
        try:
            document = (await self._patience.ask(lambda: self._feed.catalog_entry(package))).value.document
        except NugetproxyError:
            return None
        size = document.get("packageSize") if document is not None else None
        return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None
