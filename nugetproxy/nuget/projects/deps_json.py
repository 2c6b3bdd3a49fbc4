"""`<app>.deps.json`: the packages that a built application contains, and the runtime packs of a self-contained one.

Source: dotnet/sdk, documentation/specs/runtime-configuration-file.
"""

from typing import Final

from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersion
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.lock_files import sha512_of
from nugetproxy.nuget.projects.findings import Exact, Found, Options
from nugetproxy.nuget.projects.texts import one_line, read_json

_RUNTIME_PACK: Final = "runtimepack."


def read_deps_json(name: str, data: bytes, _: Options, found: Found) -> None:
    """Raises InvalidRequest with file and key."""
    libraries = read_json(name, data).get("libraries", {})
    if not isinstance(libraries, dict):
        raise InvalidRequest(f"{name}, libraries: expected an object")
    for key, fields in libraries.items():
        place = f"{name}, libraries, {one_line(key)}"
        if not isinstance(fields, dict):
            raise InvalidRequest(f"{place}: expected an object")
        kind = str(fields.get("type", "")).lower()
        if kind not in ("package", "runtimepack"):
            continue
        package_id, _separator, version = key.partition("/")
        package_id = package_id.removeprefix(_RUNTIME_PACK) if kind == "runtimepack" else package_id
        try:
            identity = PackageIdentity.parse(package_id, version)
        except (InvalidPackageId, InvalidVersion) as error:
            raise InvalidRequest(f"{place}: {error}") from error
        sha512 = str(fields.get("sha512") or "").removeprefix("sha512-")
        found.exact(Exact(identity, name, sha512_of(sha512, f"{place}: sha512") if sha512 else None))
