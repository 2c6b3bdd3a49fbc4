"""FeedLookup: answers the questions of the dependency resolver from a feed.

The nuspec is authoritative for dependencies, as for clients; a feed without a flat container states them in its
registration only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from nugetproxy.errors import InvalidPackage, NugetproxyError, PackageNotFound, PartNotFound, UpstreamNonsense
from nugetproxy.executors.threads import UPKEEP
from nugetproxy.feeds.base import Feed, LocalFile, Part, SmallContent
from nugetproxy.mirroring.prewarm.files import PackageFiles
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import DependencyGroup
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.dependency_groups import read_dependency_groups

T = TypeVar("T")

_RUNTIME_JSON: Final = "runtime.json"
_LARGEST_RUNTIME_JSON: Final = 4 * 1024 * 1024


class FeedLookup:
    """A `PackageLookup`. Each question is asked once, `parallel` at the same time.

    An answer that cannot be fetched is recorded in `failures` by lower id, and then empty, so that one package does not
    stop the others. `without_files`: no package is fetched for its runtime.json; `unread` has those that were not.
    `asked` is called after each answer.
    """

    def __init__(
        self,
        feed: Feed,
        files: PackageFiles,
        patience: Patience,
        *,
        parallel: int = 8,
        without_files: bool = False,
        asked: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.failures: dict[str, NugetproxyError] = {}
        self.unread: set[PackageIdentity] = set()
        self._feed = feed
        self._files = files
        self._patience = patience
        self._places = asyncio.Semaphore(parallel)
        self._without_files = without_files
        self._asked = asked
        self._answers: dict[tuple[str, object], asyncio.Task[Any]] = {}

    async def versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        """All versions, ascending; empty if the id does not exist."""
        return await self._once("versions", package_id, package_id, lambda: self._versions(package_id), ())

    async def listed_versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        """The versions that the feed lists, ascending."""
        return await self._once("listed", package_id, package_id, lambda: self._listed(package_id), ())

    async def dependency_groups(self, identity: PackageIdentity) -> tuple[DependencyGroup, ...]:
        return await self._once("groups", identity, identity.id, lambda: self._groups(identity), ())

    async def runtime_json(self, identity: PackageIdentity) -> bytes | None:
        if self._without_files:
            self.unread.add(identity)
            return None
        return await self._once("runtime", identity, identity.id, lambda: self._runtime_json(identity), None)

    async def _once(
        self, kind: str, key: object, about: PackageId, ask: Callable[[], Coroutine[Any, Any, T]], failed: T
    ) -> T:
        task = self._answers.get((kind, key))
        if task is None:
            task = self._answers[kind, key] = asyncio.create_task(self._answer(about, ask, failed))
        return await asyncio.shield(task)  # cancelling one that waits does not cancel the others

    async def _answer(self, about: PackageId, ask: Callable[[], Awaitable[T]], failed: T) -> T:
        async with self._places:
            try:
                answer = await self._patience.ask(ask)
            except NugetproxyError as error:
                self.failures.setdefault(about.lower, error)
                answer = failed
        self._asked(about.text)
        return answer

    async def _versions(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        try:
            return (await self._feed.versions(package_id)).value
        except PackageNotFound:
            return ()

    async def _listed(self, package_id: PackageId) -> tuple[NuGetVersion, ...]:
        try:
            registration = (await self._feed.complete_registration(package_id)).value
        except PackageNotFound:
            return ()
        return tuple(sorted(leaf.version for leaf in registration.leaves if leaf.listed))

    async def _groups(self, identity: PackageIdentity) -> tuple[DependencyGroup, ...]:
        try:
            content = (await self._feed.content(identity, Part.NUSPEC)).value
        except PartNotFound:
            return read_dependency_groups((await self._feed.leaf(identity)).value.entry.get("dependencyGroups"))
        assert isinstance(content, SmallContent), "a nuspec is a small content"
        try:
            return read_nuspec(content.body).dependency_groups
        except InvalidPackage as error:
            raise UpstreamNonsense(str(identity), str(error)) from error

    async def _runtime_json(self, identity: PackageIdentity) -> bytes | None:
        file = await self._files.file(identity)
        return await UPKEEP.run(_runtime_json_in, file) if file is not None else None


def _runtime_json_in(file: LocalFile) -> bytes | None:
    """Raises InvalidPackage; None if the package has none."""
    with file.path.open("rb") as opened:
        package = Nupkg(opened)
        if package.find(_RUNTIME_JSON) is None:
            return None
        return package.read(_RUNTIME_JSON, _LARGEST_RUNTIME_JSON)
