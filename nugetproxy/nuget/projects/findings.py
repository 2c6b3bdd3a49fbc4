"""What the files of a repository say about packages, as values: the result of `read_sources`.

Resolving dependencies is not done here, and neither is fetching.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from nugetproxy.nuget.closure.model import Project, Reference, Target
from nugetproxy.nuget.closure.sdk_facts import SdkFacts
from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version_range import VersionRange

NEWEST_FRAMEWORK: Final = Framework(".NETCoreApp", (10, 0, 0, 0))
"""The framework for which the lines of a list are resolved if none is given."""

_NO_FRAMEWORK: Final = Framework("native")


@dataclass(frozen=True, slots=True)
class Exact:
    """Exactly this version. `by` is the file that names it; `content_hash` the base64 SHA-512 if the file has it."""

    identity: PackageIdentity
    by: str
    content_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A package to resolve with its dependencies. `range` is None for the newest stable version."""

    id: PackageId
    range: VersionRange | None
    by: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """What only MSBuild could know. `place` is file and line; `what` says what is unknown and what was assumed;
    `settled_by` says what would make it certain."""

    place: str
    what: str
    settled_by: str


@dataclass(frozen=True, slots=True)
class Options:
    """How sources are read.

    `frameworks` are those for which lines of a list are resolved; if there are any, exact lines are resolved too.
    `runtimes` are added to those of the projects, as `dotnet restore --runtime` does. `properties` are global MSBuild
    properties, as `-p:Name=Value` gives them: no file can change them. `sdk` are the facts about the SDK that restores;
    without them, nothing that an SDK adds is known.
    """

    frameworks: tuple[Framework, ...] = ()
    runtimes: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    sdk: SdkFacts | None = None


DEFAULT_OPTIONS: Final = Options()


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that was found, without duplicates, in the order of the files.

    `roots` are the projects to resolve, by path; SDKs from packages are among them, each a project of its own. A
    project with a lock file is not among them: `locked` names the file, whose packages are in `exact`. `outside` are
    files that were read although they are outside the given sources (a `Directory.Build.props` further up, an import
    with `..`). `feeds` are the package sources that a nuget.config names: for information, nothing contacts them.
    """

    exact: tuple[Exact, ...] = ()
    requests: tuple[Request, ...] = ()
    projects: Mapping[str, Project] = field(default_factory=dict)
    roots: tuple[str, ...] = ()
    unsure: tuple[Unsure, ...] = ()
    locked: Mapping[str, str] = field(default_factory=dict)
    outside: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing names a package."""
        return not (self.exact or self.requests or self.projects)


class Found:
    """Collects findings. Keeps the first of equal ones; a package that several files name is kept for each of them."""

    def __init__(self) -> None:
        self._exact: dict[tuple[PackageIdentity, str], Exact] = {}
        self._requests: dict[tuple[PackageId, VersionRange | None], Request] = {}
        self._unsure: dict[tuple[str, str], Unsure] = {}
        self._sdks: dict[str, Project] = {}
        self.feeds: dict[str, None] = {}

    def exact(self, found: Exact) -> None:
        key = found.identity, found.by.partition(", line ")[0]  # once for each file
        known = self._exact.get(key)
        if known is None or (known.content_hash is None and found.content_hash is not None):
            self._exact[key] = found

    def msbuild_sdk(self, identity: PackageIdentity, by: str) -> None:
        """An SDK that is a package. MSBuild restores it by itself, as a project that no framework fits: of its
        dependencies, only those for every framework count."""
        self.exact(Exact(identity, by))
        exactly = VersionRange(identity.version, True, identity.version, True)
        name = f"{by.partition(', ')[0]} (SDK {identity})"
        self._sdks.setdefault(name, Project(name, (Target(_NO_FRAMEWORK, (Reference(identity.id, exactly),)),)))

    def request(self, found: Request) -> None:
        self._requests.setdefault((found.id, found.range), found)

    def unsure(self, found: Unsure) -> None:
        self._unsure.setdefault((found.place, found.what), found)

    def sources(
        self,
        projects: Mapping[str, Project],
        roots: tuple[str, ...],
        locked: Mapping[str, str],
        outside: tuple[str, ...],
    ) -> Sources:
        return Sources(
            tuple(self._exact.values()),
            tuple(self._requests.values()),
            {**projects, **self._sdks},
            (*roots, *self._sdks),
            tuple(self._unsure.values()),
            locked,
            outside,
            tuple(self.feeds),
        )
