"""What a resolution asks about packages: each question once, and independent ones at the same time.

This is the only module of the pure floors that knows asyncio: it schedules questions and does no I/O itself. How many
run at the same time is bounded by the lookup.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from nugetproxy.errors import NugetproxyError
from nugetproxy.nuget.closure.model import PackageLookup
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.manifest import DependencyGroup
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """The package for a range, with its dependencies; or `why` there is none, and the `nearest` version there is."""

    identity: PackageIdentity | None = None
    groups: tuple[DependencyGroup, ...] = ()
    why: str = ""
    nearest: NuGetVersion | None = None


class Facts:
    """Answers that were given already or are awaited. Use it as a context manager: leaving it ends open questions."""

    def __init__(self, lookup: PackageLookup) -> None:
        self._lookup = lookup
        self._asked: dict[object, asyncio.Task[Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        open_questions = [task for task in self._asked.values() if not task.done()]
        for task in open_questions:
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    def find(self, package_id: PackageId, range_: VersionRange) -> asyncio.Task[Found]:
        """Begin to look for the package that a restore selects for a range. The task raises nothing of its own."""
        return self._once(("find", package_id.lower, range_), lambda: self._find(package_id, range_))

    async def runtime_json(self, identity: PackageIdentity) -> bytes | None:
        """Raises NugetproxyError if it cannot be fetched."""
        return await self._once(("runtime", identity), lambda: self._lookup.runtime_json(identity))

    async def _find(self, package_id: PackageId, range_: VersionRange) -> Found:
        try:
            versions = await self._once(package_id.lower, lambda: self._lookup.versions(package_id))
            version = range_.best_match(versions)
            if version is None:
                return _nothing(package_id, range_, versions)
            identity = PackageIdentity(package_id, version)
            groups = await self._once(identity, lambda: self._lookup.dependency_groups(identity))
        except NugetproxyError as error:
            # The other packages are resolved all the same, so that one report names everything that is missing.
            return Found(why=str(error))
        return Found(identity, groups)

    def _once(self, question: object, ask: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.get_running_loop().create_task(ask())
        return task


async def together(*walks: Coroutine[Any, Any, T]) -> list[T]:
    """Run them at the same time, so that their questions are open at the same time; results in order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(walk) for walk in walks]
    return [task.result() for task in tasks]


def _nothing(package_id: PackageId, range_: VersionRange, versions: tuple[NuGetVersion, ...]) -> Found:
    if not versions:
        return Found(why=f"no version of {package_id} is available")
    inside = [version for version in versions if range_.satisfies(version)]
    if inside and not range_.allows_prereleases:
        return Found(why=f"only prereleases of {package_id} are in {range_}", nearest=max(inside))
    higher = [version for version in versions if range_.minimum is not None and version >= range_.minimum]
    return Found(why=f"no version of {package_id} is in {range_}", nearest=min(higher, default=max(versions)))
