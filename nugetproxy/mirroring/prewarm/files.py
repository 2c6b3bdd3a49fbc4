"""The package files of a feed, fetched if they are not on our disk yet."""

from collections.abc import Callable

from nugetproxy.feeds.base import Feed, LocalFile, Part, SmallContent
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.nuget.identity import PackageIdentity


class PackageFiles:
    """`fetched` has the size in bytes of each package that was fetched; `received` gets the size of each piece."""

    def __init__(self, feed: Feed, patience: Patience, received: Callable[[int], None] = lambda _: None) -> None:
        self.fetched: dict[PackageIdentity, int] = {}
        self._feed = feed
        self._patience = patience
        self._received = received

    async def file(self, package: PackageIdentity) -> LocalFile | None:
        """The file. None: it was fetched but could not be stored.

        Raises NugetproxyError: it is not here and cannot be fetched.
        """
        content = (await self._feed.content(package, Part.NUPKG)).value
        assert not isinstance(content, SmallContent), "a .nupkg is never a small content"
        if isinstance(content, LocalFile):
            return content
        size = 0
        async for chunk in content.chunks():
            size += len(chunk)
            self._received(len(chunk))
        self.fetched[package] = size
        self._patience.succeeded()
        again = (await self._feed.content(package, Part.NUPKG)).value
        return again if isinstance(again, LocalFile) else None
