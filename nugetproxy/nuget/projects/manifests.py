"""Small JSON files of a repository: `.config/dotnet-tools.json` and `global.json`.

Sources: dotnet/core/tools/local-tools-how-to-use, dotnet/core/tools/global-json.
"""

from typing import Any

from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersion
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.projects.findings import Exact, Found, Options
from nugetproxy.nuget.projects.texts import one_line, read_json


def read_tools(name: str, data: bytes, _: Options, found: Found) -> None:
    """Local tools. Raises InvalidRequest with file and key."""
    for package_id, fields in _object(read_json(name, data), "tools", name).items():
        place = f"{name}, tools, {one_line(package_id)}"
        version = fields.get("version") if isinstance(fields, dict) else None
        if not isinstance(version, str):
            raise InvalidRequest(f"{place}: version is missing or not a string")
        found.exact(Exact(_identity(package_id, version, place), name))


def read_global_json(name: str, data: bytes, _: Options, found: Found) -> None:
    """The MSBuild SDKs. Raises InvalidRequest with file and key."""
    for package_id, version in msbuild_sdks(name, data).items():
        found.msbuild_sdk(_identity(package_id, version, f"{name}, msbuild-sdks, {one_line(package_id)}"), name)


def msbuild_sdks(name: str, data: bytes) -> dict[str, str]:
    """The versions by id as written. Raises InvalidRequest with file and key."""
    sdks = _object(read_json(name, data), "msbuild-sdks", name)
    for package_id, version in sdks.items():
        if not isinstance(version, str):
            raise InvalidRequest(f"{name}, msbuild-sdks, {one_line(package_id)}: expected a version as a string")
    return sdks


def _object(document: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name}, {key}: expected an object")
    return value


def _identity(package_id: str, version: str, place: str) -> PackageIdentity:
    try:
        return PackageIdentity.parse(package_id, version)
    except (InvalidPackageId, InvalidVersion) as error:
        raise InvalidRequest(f"{place}: {error}") from error
