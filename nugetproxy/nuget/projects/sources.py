"""Read what a repository has, files of many kinds or directories of them, into one `Sources`.

Which kind a file is, `kinds.py` knows. Each kind has a module of its own; the disk is in `files.py`.
"""

from collections.abc import Sequence
from pathlib import Path

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.projects.files import Disk
from nugetproxy.nuget.projects.findings import DEFAULT_OPTIONS, Exact, Found, Options, Request, Sources, Unsure
from nugetproxy.nuget.projects.kinds import Reader, reader_by_name, reader_in_folder
from nugetproxy.nuget.projects.texts import one_line

__all__ = ["Exact", "Options", "Request", "Sources", "Unsure", "read_sources"]


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
                _read(inside, reader_in_folder(inside), disk, options, found)
        elif disk.is_file(name):
            _read(name, reader_by_name(name), disk, options, found)
        else:
            raise InvalidRequest(f"{one_line(name)}: no such file or directory")
    return found.sources({}, (), {}, tuple(disk.outside))


def _read(path: str, reader: Reader | None, disk: Disk, options: Options, found: Found) -> None:
    content = disk.read(path) if reader is not None else None
    if reader is not None and content is not None:
        reader(path, content, options, found)
