"""Solutions: which projects `*.sln`, `*.slnx` and `*.slnf` name.

Source: docs.microsoft.com, visualstudio/extensibility/internals/solution-dot-sln-file.
"""

import posixpath
import re
from typing import Final

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.elements import local_name
from nugetproxy.nuget.projects.markup import place_of, read_xml, value_of
from nugetproxy.nuget.projects.texts import decoded, one_line, read_json

_PROJECT_LINE: Final = re.compile(r'\s*Project\("[^"]*"\)\s*=\s*"[^"]*"\s*,\s*"([^"]*)"', re.IGNORECASE)
_HEADER: Final = "Microsoft Visual Studio Solution File"
_NOT_RESTORED: Final = (".shproj", ".vcxproj", ".sfproj", ".dcproj", ".vdproj")
"""Shared items, C++ and others that have no package references."""


def projects_of_solution(name: str, data: bytes) -> tuple[str, ...]:
    """The paths of its projects, relative to where the solution is named from. Raises InvalidRequest with the file."""
    kind = posixpath.splitext(name)[1].lower()
    folder = posixpath.dirname(name)
    if kind == ".slnf":
        folder, written = _from_filter(name, data)
    elif kind == ".slnx":
        written = _from_xml(name, data)
    else:
        written = _from_text(name, data)
    paths = (posixpath.normpath(posixpath.join(folder, path.replace("\\", "/"))) for path in written)
    return tuple(dict.fromkeys(path for path in paths if is_project(path)))


def is_project(path: str) -> bool:
    """Whether it is a project that restore knows, by its name."""
    extension = posixpath.splitext(path)[1].lower()
    return extension.endswith("proj") and extension not in _NOT_RESTORED


def _from_text(name: str, data: bytes) -> list[str]:
    text = decoded(name, data)
    if _HEADER not in text[:1_000]:
        raise InvalidRequest(f"{name}: not a solution: the line '{_HEADER}' is missing")
    return [match[1] for line in text.splitlines() if (match := _PROJECT_LINE.match(line))]


def _from_xml(name: str, data: bytes) -> list[str]:
    root = read_xml(name, data)
    if local_name(root) != "Solution":
        raise InvalidRequest(f"{place_of(name, root)}: expected <Solution>, found <{one_line(local_name(root))}>")
    return [value_of(each, "Path") or "" for each in root.iter() if local_name(each) == "Project"]


def _from_filter(name: str, data: bytes) -> tuple[str, list[str]]:
    solution = read_json(name, data).get("solution")
    path = solution.get("path") if isinstance(solution, dict) else None
    projects = solution.get("projects") if isinstance(solution, dict) else None
    if not isinstance(path, str) or not isinstance(projects, list) or not all(isinstance(p, str) for p in projects):
        raise InvalidRequest(f"{name}: not a solution filter: expected solution.path and solution.projects")
    return posixpath.join(posixpath.dirname(name), posixpath.dirname(path.replace("\\", "/"))), projects
