"""The restores under way: what each client has asked for, what is planned for it, and which frameworks explain that.

Pure: the time is an argument, nothing is fetched from here. A restore is the requests that carry one session id.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from nugetproxy.mirroring.foresight.needs import Need, framework_that_needs, needs, newest_framework
from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.identity import PackageIdentity, lower_invariant
from nugetproxy.nuget.manifest import DependencyGroup
from nugetproxy.nuget.version import NuGetVersion

MOST_PLANNED: Final = 500
"""Dependencies that are planned for one restore; beyond them it is left to itself."""
MOST_FRAMEWORKS: Final = 3
"""Frameworks of one restore: a solution may have several, a wrong guess costs bytes."""

_MOST_MENTIONS: Final = 5_000
_LONGEST_ID: Final = 64
_REMEMBERED: Final = 256
_FORGOTTEN_AFTER: Final = 600.0


class Restore:
    """One restore. `frameworks` are those that explain what it has asked for, the first one is a guess."""

    def __init__(self, client_version: str) -> None:
        self.frameworks: list[Framework] = [newest_framework(client_version)]
        self._highest: dict[str, NuGetVersion] = {}
        self._packages: dict[PackageIdentity, Sequence[DependencyGroup]] = {}
        # By lower id, the dependencies of the first package that names it in any of its groups.
        self._mentions: dict[str, Sequence[DependencyGroup]] = {}
        self._planned: set[tuple[str, str]] = set()
        self._is_cold = False
        self._unread: list[PackageIdentity] = []

    def __repr__(self) -> str:
        names = ", ".join(framework.short for framework in self.frameworks)
        return f"<Restore for {names}: {len(self._packages)} packages, {len(self._planned)} planned>"

    @property
    def is_cold(self) -> bool:
        """Whether something it asked for had to be fetched. Foresight costs a restore nothing while it is warm."""
        return self._is_cold

    def read_later(self, package: PackageIdentity) -> None:
        """Its dependencies matter once the restore is cold."""
        if len(self._unread) < MOST_PLANNED:
            self._unread.append(package)

    def becomes_cold(self) -> list[PackageIdentity]:
        """Something had to be fetched. Returns the packages to read now."""
        self._is_cold = True
        unread, self._unread = self._unread, []
        return unread

    def asked_for(self, package: PackageIdentity) -> None:
        """The client asks for a package."""
        self._raise(package)

    def asked_for_list(self, lower_id: str) -> list[Need]:
        """The client asks for the versions of an id. What that makes known: the needs of a framework not thought of."""
        groups = self._mentions.get(lower_id)
        if groups is None or len(self.frameworks) >= MOST_FRAMEWORKS:
            return []
        framework = framework_that_needs(groups, lower_id, self.frameworks)
        if framework is None:
            return []
        self.frameworks.append(framework)
        return [need for known in self._packages.values() for need in self._unplanned(known)]

    def learn(self, package: PackageIdentity, groups: Sequence[DependencyGroup]) -> list[Need]:
        """A package that the client has, or is going to have, has these dependencies. Returns those to fetch ahead."""
        if package in self._packages or len(self._packages) >= MOST_PLANNED:
            return []
        self._packages[package] = groups
        for group in groups:
            for dependency in group.dependencies:
                if len(self._mentions) < _MOST_MENTIONS:
                    self._mentions.setdefault(lower_invariant(dependency.id), groups)
        return self._unplanned(groups)

    def plan(self, package: PackageIdentity) -> bool:
        """Whether a package is to be fetched ahead: not if the client has, or will have, this version or a higher one.

        Clients take the version nearest to the project, or the highest of those that are equally near.
        """
        known = self._highest.get(package.lower_id)
        if known is not None and known >= package.version:
            return False
        self._raise(package)
        return True

    def _unplanned(self, groups: Sequence[DependencyGroup]) -> list[Need]:
        found = []
        for need in needs(groups, self.frameworks):
            key = (need.id.lower, need.range.normalized)
            known = self._highest.get(need.id.lower)
            is_met = known is not None and (need.range.minimum is None or known >= need.range.minimum)
            if key not in self._planned and not is_met and len(self._planned) < MOST_PLANNED:
                self._planned.add(key)
                found.append(need)
        return found

    def _raise(self, package: PackageIdentity) -> None:
        known = self._highest.get(package.lower_id)
        if (known is None or known < package.version) and len(self._highest) < 2 * MOST_PLANNED:
            self._highest[package.lower_id] = package.version


class Restores:
    """The restores by session id: the most recent ones, for a while."""

    def __init__(self) -> None:
        self._restores: OrderedDict[str, tuple[float, Restore]] = OrderedDict()

    def of(self, session_id: str, client_version: str, now: float) -> Restore | None:
        """The restore to which a request belongs; None when its session id cannot be one. `now` is in seconds."""
        if not 0 < len(session_id) <= _LONGEST_ID:
            return None
        while self._restores and next(iter(self._restores.values()))[0] < now - _FORGOTTEN_AFTER:
            self._restores.popitem(last=False)
        known = self._restores.pop(session_id, None)
        restore = known[1] if known is not None else Restore(client_version)
        self._restores[session_id] = (now, restore)
        if len(self._restores) > _REMEMBERED:
            self._restores.popitem(last=False)
        return restore
