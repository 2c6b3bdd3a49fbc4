"""Read what a repository has, files of many kinds or directories of them, into one `Sources`.

Which kind a file is, is decided by its name. Each kind has a module of its own; the disk is in `files.py`.
"""

import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.lock_files import read_wanted
from nugetproxy.nuget.projects.files import Disk
from nugetproxy.nuget.projects.findings import DEFAULT_OPTIONS, Exact, Found, Options, Request, Sources, Unsure
from nugetproxy.nuget.projects.lists import read_list
from nugetproxy.nuget.projects.texts import one_line

__all__ = ["Exact", "Options", "Request", "Sources", "Unsure", "read_sources"]

_Reader = Callable[[str, bytes, Options, Found], None]

_KINDS: Final = "packages.lock.json, project.assets.json, a list of packages (.txt)"


def read_sources(paths: Sequence[Path], options: Options = DEFAULT_OPTIONS) -> Sources:
    """Read files and directories.

    Raises:
        InvalidRequest: a file cannot be read, is damaged, or is of no known kind; with file and line. In a directory,
            files of other kinds are skipped.
    """
    found = Found()
    disk = Disk(list(paths))
    for path in paths:
        name = str(path)
        if disk.is_folder(name):
            for inside in disk.walk(name):
                _read(inside, _reader_in_folder(inside), disk, options, found)
        elif disk.is_file(name):
            _read(name, _reader_by_name(name), disk, options, found)
        else:
            raise InvalidRequest(f"{one_line(name)}: no such file or directory")
    return found.sources({}, (), {}, tuple(disk.outside))


def _read(path: str, reader: _Reader | None, disk: Disk, options: Options, found: Found) -> None:
    content = disk.read(path) if reader is not None else None
    if reader is not None and content is not None:
        reader(path, content, options, found)


def _reader_in_folder(path: str) -> _Reader | None:
    return _read_lock_file if _is_lock_file(posixpath.basename(path).lower()) else None


def _reader_by_name(path: str) -> _Reader:
    name = posixpath.basename(path).lower()
    if _is_lock_file(name) or name.endswith(".json"):
        return _read_lock_file
    if name.endswith((".txt", ".list")) or "." not in name:
        return read_list
    raise InvalidRequest(f"{one_line(path)}: an unknown kind of file; known are: {_KINDS}")


def _is_lock_file(name: str) -> bool:
    return name.startswith("packages.") and name.endswith("lock.json")


def _read_lock_file(path: str, data: bytes, _: Options, found: Found) -> None:
    for wanted in read_wanted(path, data):
        found.exact(Exact(wanted.identity, path, wanted.content_hash))
