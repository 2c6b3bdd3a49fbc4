"""A project as restore sees it: target frameworks, references, central versions, from evaluations.

One evaluation for each target framework, as restore does. What the SDK adds comes from `nuget/closure/sdk.py`.
Source: NuGet.targets of the .NET SDK 10, compared with its dependency graph files in tests/clients.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersionRange
from nugetproxy.nuget.closure.model import Project, ProjectReference, Reference, Target
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.projects.findings import Options, Unsure
from nugetproxy.nuget.projects.implied import with_implied
from nugetproxy.nuget.projects.msbuild import sdk_parts
from nugetproxy.nuget.projects.msbuild.evaluation import Documents, Evaluation, SdkUse, evaluate
from nugetproxy.nuget.projects.msbuild.functions import parsed_version, version_text
from nugetproxy.nuget.projects.msbuild.values import Item, listed, union
from nugetproxy.nuget.projects.texts import one_line
from nugetproxy.nuget.version_range import ANY_VERSION, VersionRange

LOCK_FILE: Final = (
    "a lock file: set RestorePackagesWithLockFile to true, restore once, commit packages.lock.json, and name it here"
)
"""What settles every doubt about the packages of a project."""

_A_RUNTIME: Final = "--rid, or RuntimeIdentifier in the project"
_WEB_ASSEMBLY: Final = "--package 'Microsoft.NET.Sdk.WebAssembly.Pack VERSION', and so on, as a restore reports them"
_NET_CORE: Final = ".NETCoreApp"
_OWN_PLATFORM: Final = 5


@dataclass(slots=True)
class Restored:
    """`project` is None if restore does nothing for it but a packages.config. Paths are absolute."""

    path: str
    project: Project | None = None
    references: tuple[str, ...] = ()
    sdks: tuple[SdkUse, ...] = ()
    lock_files: tuple[str, ...] = ()
    packages_configs: tuple[str, ...] = ()
    unsure: list[Unsure] = field(default_factory=list)


def read_project(path: str, documents: Documents, options: Options) -> Restored:
    """Evaluate a project as restore does.

    Raises:
        InvalidRequest: it, or a file that it imports, cannot be read; with file and line.
    """
    return _Reading(path, documents, options).run()


class _Reading:
    def __init__(self, path: str, documents: Documents, options: Options) -> None:
        self._path = path
        self._documents = documents
        self._options = options
        self._shown = documents.files.shown
        self._restored = Restored(path)
        self._prunes_by_default = False
        self._is_blazor = False

    def run(self) -> Restored:
        given = dict(self._options.properties)
        if self._options.runtimes:
            given.setdefault("NETCoreSdkPortableRuntimeIdentifier", self._options.runtimes[0])
        outer = evaluate(self._path, self._documents, given)
        written = listed(outer.text("TargetFrameworks"))
        self._doubt_about(outer, "TargetFrameworks", "TargetFramework")
        inner = [
            evaluate(self._path, self._documents, {**given, "TargetFramework": each}) for each in dict.fromkeys(written)
        ] or [outer]
        evaluations = [outer, *(each for each in inner if each is not outer)]
        for evaluation in evaluations:
            for place, what in evaluation.unsure:
                self._unsure(place, what)
        folder, name = posixpath.dirname(self._path), posixpath.splitext(posixpath.basename(self._path))[0]
        self._restored.sdks = tuple(dict.fromkeys(sdk for each in evaluations for sdk in each.sdks))
        self._restored.lock_files = self._lock_files(outer, folder, name)
        self._restored.packages_configs = (f"{folder}/packages.{name}.config", f"{folder}/packages.config")
        runtimes = self._runtimes(evaluations)
        names = {sdk.name.lower() for sdk in self._restored.sdks}
        if names & sdk_parts.ASP_NET_SDKS and self._options.sdk is not None:
            self._is_blazor = any(True for _ in self._documents.files.matching(f"{folder}/**/*.razor"))
        if names & sdk_parts.WEB_ASSEMBLY_SDKS:
            what = "which WebAssembly packs and runtime the SDK downloads is not known; left out"
            self._unsure(self._shown(self._path), what, _WEB_ASSEMBLY)
        self._prunes_by_default = any(each.is_true("_PrunesByDefault") for each in inner)
        targets = [target for each in inner if (target := self._target(each, runtimes)) is not None]
        is_package_style = outer.text("RestoreProjectStyle").lower() == "packagereference" or any(
            each.items.get("packagereference") for each in inner
        )
        self._restored.references = tuple(
            dict.fromkeys(item.spec for each in inner for item in each.items.get("projectreference", ()))
        )
        if is_package_style:
            self._restored.packages_configs = ()
            name = outer.text("PackageId") or outer.text("AssemblyName")
            self._restored.project = Project(self._shown(self._path), tuple(targets), name)
        return self._restored

    def _lock_files(self, outer: Evaluation, folder: str, name: str) -> tuple[str, ...]:
        """Where its lock file may be, the first that exists counts."""
        if outer.text("RestorePackagesWithLockFile").lower() == "false":
            return ()
        if stated := outer.text("NuGetLockFilePath"):
            return (posixpath.normpath(posixpath.join(folder, stated.replace("\\", "/"))),)
        return (f"{folder}/packages.{name.replace(' ', '_')}.lock.json", f"{folder}/packages.lock.json")

    def _runtimes(self, evaluations: list[Evaluation]) -> tuple[str, ...]:
        """Those of any target framework: restore resolves each framework for all of them."""
        found: dict[str, None] = {}
        for each in evaluations:
            self._doubt_about(each, "RuntimeIdentifiers", "RuntimeIdentifier", settled_by=_A_RUNTIME)
            found.update(dict.fromkeys(listed(f"{each.text('RuntimeIdentifiers')};{each.text('RuntimeIdentifier')}")))
        return tuple(dict.fromkeys([*found, *self._options.runtimes]))

    def _target(self, evaluation: Evaluation, runtimes: tuple[str, ...]) -> Target | None:
        framework = self._framework(evaluation)
        if framework is None:
            return None
        is_central = evaluation.is_true("_CentralPackageVersionsEnabled")
        references: dict[str, Reference] = {}
        for each in self._references(evaluation, is_central):
            references.setdefault(each.id.lower, each)  # NU1504: the first counts
        target = Target(
            framework,
            tuple(references.values()),
            tuple(self._projects(evaluation)),
            tuple(dict.fromkeys(self._downloads(evaluation))),
            _fallbacks(evaluation),
            runtimes,
            dict(reversed([*self._central(evaluation)])) if is_central else {},  # NU1506: the first counts
            is_central and evaluation.is_true("CentralPackageTransitivePinningEnabled"),
        )
        return with_implied(
            target,
            evaluation,
            self._options.sdk,
            also_for=self._options.runtimes,
            is_blazor=self._is_blazor,
            prunes_by_default=self._prunes_by_default,
            unknown=lambda what: self._unsure(self._shown(self._path), what),
        )

    def _framework(self, evaluation: Evaluation) -> Framework | None:
        identifier, version = evaluation.text("TargetFrameworkIdentifier"), evaluation.text("TargetFrameworkVersion")
        if not identifier and not version and not evaluation.text("TargetFramework"):
            return None
        identifier, version = identifier or ".NETFramework", version or "v4.0"
        profile = evaluation.text("TargetFrameworkProfile")
        found = find_framework(f"{identifier},Version={version}" + (f",Profile={profile}" if profile else ""))
        if found is None:
            self._unsure(
                self._shown(self._path),
                f"the target framework {one_line(evaluation.text('TargetFramework') or identifier)} is not known; "
                "left out",
            )
            return None
        platform = evaluation.text("TargetPlatformIdentifier").lower()
        if not platform or found.identifier != _NET_CORE or found.version[0] < _OWN_PLATFORM:
            return found
        return Framework(found.identifier, found.version, platform + _platform_version(evaluation))

    def _references(self, evaluation: Evaluation, is_central: bool) -> Iterator[Reference]:
        known: set[str] = set()
        items = evaluation.items.get("packagereference", ())
        for item in (*items, *evaluation.alternatives.get("packagereference", ())):
            self._doubt(item, "version", "versionoverride")
            if not item.spec.strip() or (item.spec.lower() in known and item not in items):
                continue
            known.add(item.spec.lower())
            is_implicit = item.text("IsImplicitlyDefined").lower() == "true"
            written: str | None = item.text("Version")
            if is_central and not is_implicit:
                may_override = evaluation.text("CentralPackageVersionOverrideEnabled").lower() != "false"
                # A version of its own is an error for restore (NU1008); the graph has it all the same.
                written = (item.text("VersionOverride") if may_override else "") or written or None
            yield Reference(
                self._id(item),
                None if written is None else self._range(item, written),
                is_private="all" in _assets(item, "PrivateAssets"),
                is_implicit=is_implicit,
                excludes_all="all" in _assets(item, "ExcludeAssets") or "none" in _assets(item, "IncludeAssets"),
            )

    def _projects(self, evaluation: Evaluation) -> Iterator[ProjectReference]:
        for item in evaluation.items.get("projectreference", ()):
            self._doubt(item)
            if item.text("ReferenceOutputAssembly").lower() != "false":
                yield ProjectReference(self._shown(item.spec), is_private="all" in _assets(item, "PrivateAssets"))

    def _downloads(self, evaluation: Evaluation) -> Iterator[PackageIdentity]:
        items = (*evaluation.items.get("packagedownload", ()), *evaluation.alternatives.get("packagedownload", ()))
        known: set[str] = set()
        for item in items:
            if item.spec.strip().lower() in known:
                continue  # NU1505: the first counts
            known.add(item.spec.strip().lower())
            self._doubt(item, "version")
            for text in listed(item.text("Version")):
                exactly = self._range(item, text)
                if exactly.minimum is None or exactly.minimum != exactly.maximum:
                    raise InvalidRequest(f"{item.place}: PackageDownload needs exact versions, such as [1.0.0]")
                yield PackageIdentity(self._id(item), exactly.minimum)

    def _central(self, evaluation: Evaluation) -> Iterator[tuple[str, VersionRange]]:
        for item in evaluation.items.get("packageversion", ()):
            self._doubt(item, "version")
            if item.text("Version"):
                yield self._id(item).lower, self._range(item, item.text("Version"))

    def _id(self, item: Item) -> PackageId:
        try:
            return PackageId.parse(item.spec.strip())
        except InvalidPackageId as error:
            raise InvalidRequest(f"{item.place}: {error}") from error

    def _range(self, item: Item, text: str) -> VersionRange:
        try:
            return VersionRange.parse(text, floating=True) if text else ANY_VERSION
        except InvalidVersionRange as error:
            raise InvalidRequest(f"{item.place}: {error}") from error

    def _doubt(self, item: Item, *metadata: str) -> None:
        found = (item.metadata[name].doubts for name in metadata if name in item.metadata)
        for doubt in union(item.doubts, *found):
            self._unsure(item.place, f"{item.spec or 'a package'}: {doubt}")

    def _doubt_about(self, evaluation: Evaluation, *properties: str, settled_by: str = LOCK_FILE) -> None:
        for name in properties:
            for doubt in evaluation.doubts(name):
                self._unsure(self._shown(self._path), f"{name}: {doubt}", settled_by)

    def _unsure(self, place: str, what: str, settled_by: str = LOCK_FILE) -> None:
        found = Unsure(place, what, settled_by)
        if found not in self._restored.unsure:
            self._restored.unsure.append(found)


def _platform_version(evaluation: Evaluation) -> str:
    try:
        return version_text(parsed_version(evaluation.text("TargetPlatformVersion") or "0.0"), 2).removeprefix("0.0")
    except ValueError:
        return ""


def _fallbacks(evaluation: Evaluation) -> tuple[Framework, ...]:
    written = listed(f"{evaluation.text('PackageTargetFallback')};{evaluation.text('AssetTargetFallback')}")
    return tuple(dict.fromkeys(found for each in written if (found := find_framework(each)) is not None))


def _assets(item: Item, name: str) -> set[str]:
    return {each.lower() for part in item.text(name).split(",") for each in listed(part)}
