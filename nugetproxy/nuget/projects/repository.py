"""Projects, solutions and file-based apps of the given sources, and the projects that they reference, read together."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace

from nugetproxy.errors import InvalidRequest, NugetproxyError
from nugetproxy.nuget.closure.model import Project
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.projects.file_based import project_of_app, project_path
from nugetproxy.nuget.projects.files import Files
from nugetproxy.nuget.projects.findings import Exact, Found, Options, Unsure
from nugetproxy.nuget.projects.kinds import read_lock_file
from nugetproxy.nuget.projects.manifests import msbuild_sdks
from nugetproxy.nuget.projects.msbuild.evaluation import Documents, SdkUse
from nugetproxy.nuget.projects.msbuild.sdk_parts import BUNDLED
from nugetproxy.nuget.projects.packages_config import read_packages_config
from nugetproxy.nuget.projects.restored import LOCK_FILE, Restored, read_project
from nugetproxy.nuget.projects.solutions import is_project, projects_of_solution


class Repository:
    """Collects projects by absolute path; `finish` evaluates them and what they reference."""

    def __init__(self, files: Files, options: Options, found: Found) -> None:
        self._files = files
        self._options = options
        self._found = found
        self._apps: dict[str, str] = {}
        self._waiting: dict[str, None] = {}
        self._given: dict[str, Mapping[str, str]] = {}
        self.projects: dict[str, Project] = {}
        self.locked: dict[str, str] = {}

    @property
    def roots(self) -> tuple[str, ...]:
        return tuple(path for path in self.projects if path not in self.locked)

    def add_project(self, path: str) -> None:
        self._waiting[path] = None

    def add_app(self, path: str, data: bytes) -> None:
        """A file-based app. Raises InvalidRequest with file and line."""
        self._apps[project_path(path)] = project_of_app(self._files.shown(path), data)
        self._waiting[project_path(path)] = None

    def add_solution(self, path: str, data: bytes) -> None:
        """The projects of a solution; those that do not exist are reported. Raises InvalidRequest with the file."""
        given = _given_by_solution(path)
        for project in projects_of_solution(path, data):
            if self._files.is_file(project):
                self.add_project(project)
                self._given.setdefault(project, given)
            else:
                self._found.unsure(
                    Unsure(
                        self._files.shown(path),
                        f"the project {self._files.shown(project)} does not exist; left out",
                        "a solution whose projects exist",
                    )
                )

    def finish(self) -> None:
        """Evaluate everything. Raises InvalidRequest with file and line."""
        documents = Documents(self._files, self._apps)
        done: set[str] = set()
        while self._waiting:
            path = next(iter(self._waiting))
            del self._waiting[path]
            if path in done:
                continue
            done.add(path)
            given = self._given.get(path, {})
            options = replace(self._options, properties={**given, **self._options.properties})
            restored = read_project(path, documents, options)
            self._take(restored)
            for reference in restored.references:
                self._given.setdefault(reference, given)
                if reference not in done and is_project(reference):
                    self._reference(path, reference)

    def _reference(self, path: str, reference: str) -> None:
        if self._files.is_file(reference):
            self.add_project(reference)
            return
        what = f"the referenced project {self._files.shown(reference)} does not exist; left out"
        self._found.unsure(Unsure(self._files.shown(path), what, LOCK_FILE))

    def _take(self, restored: Restored) -> None:
        for sdk in restored.sdks:
            self._sdk(sdk, restored.path)
        for name in self._existing(restored.packages_configs):
            data = self._files.read(name)
            if data is not None:
                read_packages_config(self._files.shown(name), data, self._options, self._found)
        project = restored.project
        if project is None:
            return
        self.projects[project.path] = project
        lock_file = next(self._existing(restored.lock_files), None)
        data = self._files.read(lock_file) if lock_file is not None else None
        if lock_file is not None and data is not None:
            self.locked[project.path] = self._files.shown(lock_file)
            read_lock_file(self._files.shown(lock_file), data, self._options, self._found)
            for target in project.targets:
                for identity in target.downloads:
                    self._found.exact(Exact(identity, project.path))
            return
        for unsure in restored.unsure:
            self._found.unsure(unsure)

    def _sdk(self, sdk: SdkUse, path: str) -> None:
        """An SDK that comes from a package has a version in the project or in the nearest global.json."""
        if not sdk.name or (sdk.name.lower() in BUNDLED and not sdk.version):
            return
        versions = {name.lower(): version for name, version in self._msbuild_sdks(path).items()}
        version = sdk.version or versions.get(sdk.name.lower(), "")
        if not version:
            what = f"no version of the SDK {sdk.name[:100]} is stated; its package is left out"
            self._found.unsure(Unsure(sdk.place, what, "a version in the project or under msbuild-sdks in global.json"))
            return
        try:
            self._found.msbuild_sdk(PackageIdentity.parse(sdk.name, version), sdk.place)
        except NugetproxyError as error:
            raise InvalidRequest(f"{sdk.place}: {error}") from error

    def _msbuild_sdks(self, path: str) -> Mapping[str, str]:
        name = next(self._existing(f"{folder}/global.json" for folder in _upwards(path)), None)
        data = self._files.read(name) if name is not None else None
        return {} if name is None or data is None else msbuild_sdks(self._files.shown(name), data)

    def _existing(self, names: "Iterator[str] | tuple[str, ...]") -> Iterator[str]:
        return (name for name in names if self._files.is_file(name))


def _given_by_solution(path: str) -> dict[str, str]:
    """The properties that a restore of the solution gives its projects, and those give to what they reference."""
    stem, extension = posixpath.splitext(posixpath.basename(path))
    if extension.lower() == ".slnf":
        return {}  # they are of the solution that it filters
    return {
        "SolutionDir": posixpath.dirname(path) + "/",
        "SolutionExt": extension,
        "SolutionFileName": stem + extension,
        "SolutionName": stem,
        "SolutionPath": path,
        "Configuration": "Debug",
        "Platform": "AnyCPU",
    }


def _upwards(path: str) -> Iterator[str]:
    folder = posixpath.dirname(path)
    while folder not in ("/", ""):
        yield folder
        folder = posixpath.dirname(folder)
