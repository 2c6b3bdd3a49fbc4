"""What a package that another server accepted must be like to be hosted here.

Less than for a push, because old packages cannot be fixed: a missing description is only a remark. What clients could
not read, or what our documents could not state, is refused.
"""

from typing import Final

from nugetproxy.errors import InvalidPackage, InvalidPackageId, InvalidVersion
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules import PushLimits, check_accepted
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import leaf_from_manifest

_ANY_TIME: Final = "2000-01-01T00:00:00+00:00"


def check_import(nupkg: Nupkg, limits: PushLimits = PushLimits()) -> tuple[str, ...]:  # noqa: B008 - frozen
    """Remarks for the report, one line each. Raises InvalidPackage."""
    notes = check_accepted(nupkg, limits)
    _check_stated(nupkg.manifest)
    return notes


def _check_stated(manifest: PackageManifest) -> None:
    """Raises InvalidPackage for a manifest that would make documents about the id unreadable or incomplete."""
    for group in manifest.dependency_groups:
        for dependency in group.dependencies:
            try:
                PackageId.parse(dependency.id)
            except InvalidPackageId as error:
                raise InvalidPackage(f"it has a dependency without a valid id: {error}") from error
    if manifest.min_client_version:
        try:
            NuGetVersion.parse(manifest.min_client_version)
        except InvalidVersion as error:
            raise InvalidPackage(f"its minClientVersion cannot be read: {error}") from error
    if not leaf_from_manifest(manifest, published=_ANY_TIME).fits:
        raise InvalidPackage("its version or its dependencies are too long for the documents that clients read")
