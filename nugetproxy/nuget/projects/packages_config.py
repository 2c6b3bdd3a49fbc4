"""packages.config: the packages of a project from before package references; exact, dependencies included.

Source: docs/reference/packages-config.
"""

from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersion
from nugetproxy.nuget.elements import local_name
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.projects.findings import Exact, Found, Options
from nugetproxy.nuget.projects.markup import named, place_of, read_xml, value_of


def read_packages_config(name: str, data: bytes, _: Options, found: Found) -> None:
    """Raises InvalidRequest with file and line."""
    root = read_xml(name, data)
    if local_name(root) != "packages":
        raise InvalidRequest(f"{place_of(name, root)}: expected <packages>, found <{local_name(root)}>")
    for package in named(root, "package"):
        try:
            identity = PackageIdentity.parse(value_of(package, "id") or "", value_of(package, "version") or "")
        except (InvalidPackageId, InvalidVersion) as error:
            raise InvalidRequest(f"{place_of(name, package)}: {error}") from error
        found.exact(Exact(identity, name))
