"""Read what a repository has, files of many kinds or directories of them, into one `Sources`.

Which kind a file is, `kinds.py` knows. Each kind has a module of its own; `repository.py` brings projects together, and
only `files.py` touches the disk.
"""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.projects.file_based import is_file_based_app
from nugetproxy.nuget.projects.files import Disk, whole
from nugetproxy.nuget.projects.findings import DEFAULT_OPTIONS, Exact, Found, Options, Request, Sources, Unsure
from nugetproxy.nuget.projects.kinds import reader_by_name, reader_in_folder
from nugetproxy.nuget.projects.lists import read_list
from nugetproxy.nuget.projects.repository import Repository
from nugetproxy.nuget.projects.solutions import is_project
from nugetproxy.nuget.projects.texts import one_line

__all__ = ["Exact", "Options", "Request", "Sources", "Unsure", "read_sources"]

_SOLUTIONS: Final = (".sln", ".slnx", ".slnf")


def read_sources(paths: Sequence[Path], options: Options = DEFAULT_OPTIONS, lines: Sequence[str] = ()) -> Sources:
    """Read files and directories, and the projects that those reference. `lines` are lines of a list, given by hand.

    Raises:
        InvalidRequest: a file cannot be read, is damaged, or is of no known kind; with file and line. In a directory,
            files of other kinds are skipped.
    """
    reading = _Reading(Disk(list(paths)), options)
    reading.lines(lines)
    for path in paths:
        reading.source(whole(path))
    return reading.finish()


class _Reading:
    def __init__(self, disk: Disk, options: Options) -> None:
        self._disk = disk
        self._options = options
        self._found = Found()
        self._repository = Repository(disk, options, self._found)

    def lines(self, lines: Sequence[str]) -> None:
        read_list("the command line", "\n".join(lines).encode(), self._options, self._found)

    def source(self, path: str) -> None:
        if self._disk.is_folder(path):
            for inside in self._disk.walk(path):
                self._file(inside, is_named=False)
        elif self._disk.is_file(path):
            self._file(path, is_named=True)
        else:
            raise InvalidRequest(f"{one_line(self._disk.shown(path))}: no such file or directory")

    def finish(self) -> Sources:
        repository = self._repository
        repository.finish()
        outside = tuple(map(self._disk.shown, self._disk.outside))
        return self._found.sources(repository.projects, repository.roots, repository.locked, outside)

    def _file(self, path: str, *, is_named: bool) -> None:
        kind = posixpath.splitext(path)[1].lower()
        if is_project(path):
            self._repository.add_project(path)
        elif kind in _SOLUTIONS:
            # In a directory, the projects of a solution are found anyway, unless they are outside.
            self._repository.add_solution(path, self._content(path))
        elif kind == ".cs":
            self._source_file(path, is_named=is_named)
        else:
            name = self._disk.shown(path)
            reader = reader_by_name(name) if is_named else reader_in_folder(name)
            if reader is not None:
                reader(name, self._content(path), self._options, self._found)

    def _source_file(self, path: str, *, is_named: bool) -> None:
        content = self._content(path) if is_named else self._disk.head(path)
        if is_file_based_app(content):
            self._repository.add_app(path, content)
        elif is_named:
            raise InvalidRequest(
                f"{one_line(self._disk.shown(path))}: not a file-based app: it has no line '#:package'"
            )

    def _content(self, path: str) -> bytes:
        content = self._disk.read(path)
        if content is None:
            raise InvalidRequest(f"{one_line(self._disk.shown(path))}: not a regular file")
        return content
