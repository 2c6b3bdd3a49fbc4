"""Which kind a file is: by its name, and JSON with a free name by its keys."""

import posixpath
import re
from collections.abc import Callable
from typing import Final

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.lock_files import read_wanted
from nugetproxy.nuget.projects.deps_json import read_deps_json
from nugetproxy.nuget.projects.findings import Exact, Found, Options
from nugetproxy.nuget.projects.lists import read_list
from nugetproxy.nuget.projects.manifests import read_global_json, read_tools
from nugetproxy.nuget.projects.nuget_config import read_nuget_config
from nugetproxy.nuget.projects.packages_config import read_packages_config
from nugetproxy.nuget.projects.sboms import is_sbom, read_sbom
from nugetproxy.nuget.projects.texts import one_line, read_json

Reader = Callable[[str, bytes, Options, Found], None]

KNOWN: Final = (
    "*.csproj, *.fsproj, *.vbproj and other MSBuild projects; *.sln, *.slnx, *.slnf; packages.lock.json; "
    "project.assets.json; packages.config; *.deps.json; SBOMs (CycloneDX or SPDX in JSON); global.json; "
    "dotnet-tools.json; nuget.config; file-based apps (*.cs); lists of packages (*.txt)"
)

_LOCK_FILE: Final = re.compile(r"packages\.(?:.+\.)?lock\.json")
_PACKAGES_CONFIG: Final = re.compile(r"packages\.(?:.+\.)?config")
_SBOM: Final = re.compile(r"bom\.json|sbom\.json|.+\.(?:cdx|spdx|bom|sbom)\.json")


def is_lock_file(path: str) -> bool:
    return _LOCK_FILE.fullmatch(_name(path)) is not None


def reader_in_folder(path: str) -> Reader | None:
    """How to read a file found in a directory; None to skip it. Lists are skipped: any text may be called so."""
    name = _name(path)
    if is_lock_file(path):
        return read_lock_file
    if _PACKAGES_CONFIG.fullmatch(name):
        return read_packages_config
    if _SBOM.fullmatch(name):
        return read_any_json
    if name.endswith(".deps.json"):
        return read_deps_json
    return _BY_NAME.get(name)


def reader_by_name(path: str) -> Reader:
    """How to read a file that was named. Raises InvalidRequest, with the known kinds."""
    name = _name(path)
    reader = reader_in_folder(path)
    if reader is not None:
        return reader
    if name.endswith(".json"):
        return read_any_json
    if name.endswith((".txt", ".list", ".lst")) or "." not in name:
        return read_list
    raise InvalidRequest(f"{one_line(path)}: unknown kind of file. Known are: {KNOWN}")


def read_lock_file(path: str, data: bytes, _: Options, found: Found) -> None:
    """`packages.lock.json` or `project.assets.json`. Raises InvalidRequest with file and key."""
    for wanted in read_wanted(path, data):
        found.exact(Exact(wanted.identity, path, wanted.content_hash))


def read_any_json(path: str, data: bytes, options: Options, found: Found) -> None:
    """JSON whose kind only its keys tell. Raises InvalidRequest, with the known kinds."""
    document = read_json(path, data)
    if is_sbom(document):
        read_sbom(path, data, options, found)
    elif "runtimeTarget" in document:
        read_deps_json(path, data, options, found)
    elif "libraries" in document or "dependencies" in document:
        read_lock_file(path, data, options, found)
    elif "tools" in document:
        read_tools(path, data, options, found)
    elif "msbuild-sdks" in document:
        read_global_json(path, data, options, found)
    else:
        raise InvalidRequest(f"{one_line(path)}: unknown kind of JSON file. Known are: {KNOWN}")


_BY_NAME: Final[dict[str, Reader]] = {
    "global.json": read_global_json,
    "dotnet-tools.json": read_tools,
    "nuget.config": read_nuget_config,
}


def _name(path: str) -> str:
    return posixpath.basename(path).lower()
