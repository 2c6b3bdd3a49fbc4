"""Which package a path says a file is. Pure.

A path of the form `id/version/id.version.nupkg` is a statement: BaGet, Sleet, NuGet.Server and NuGet's own folders
write it, from what they read in the package. A file name alone may be anything, except another package's.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from nugetproxy.errors import InvalidPackageId, InvalidVersion
from nugetproxy.feeds.offers import FileKind
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.version import NuGetVersion

_KINDS: Final = {".nupkg": FileKind.PACKAGE, ".snupkg": FileKind.SYMBOLS}
OLD_SYMBOLS: Final = ".symbols.nupkg"


def kind_of(name: str) -> FileKind | None:
    """What a file is by its extension; None for neither kind of package, and for symbols in the old form."""
    lower = name.lower()
    return None if lower.endswith(OLD_SYMBOLS) else next((k for end, k in _KINDS.items() if lower.endswith(end)), None)


def stated_by_path(segments: Sequence[str]) -> PackageIdentity | None:
    """The package that the last three segments name; None if they do not have that form."""
    if len(segments) < 3 or kind_of(segments[-1]) is None:
        return None
    package_id, version, name = segments[-3:]
    package = identity(package_id, version)
    if package is None:
        return None
    stem = _stem(name)
    names = (package.lower_id, f"{package.lower_id}.{version.lower()}", f"{package.lower_id}.{package.lower_version}")
    return package if stem in names else None


def contradicts(name: str, package: PackageIdentity) -> bool:
    """Whether a file's name has the form `id.version`, but for another package.

    The version may be written in any way: `Contoso.1.0.nupkg` is Contoso 1.0.0. A version alone says nothing of the id.
    """
    stem = _stem(name)
    if kind_of(name) is None or not any(map(str.isalpha, stem.partition("-")[0])):
        return False
    if stem.startswith(f"{package.lower_id}."):
        with suppress(InvalidVersion):
            if NuGetVersion.parse(stem[len(package.lower_id) + 1 :]) == package.version:
                return False
    parts = stem.split(".")
    return any(identity(".".join(parts[:at]), ".".join(parts[at:])) is not None for at in range(1, len(parts)))


def identity(package_id: str, version: str) -> PackageIdentity | None:
    """None if they are not an id and a version."""
    with suppress(InvalidPackageId, InvalidVersion):
        return PackageIdentity(PackageId.parse(package_id), NuGetVersion.parse(version))
    return None


def _stem(name: str) -> str:
    return lower_invariant(name).rpartition(".")[0]
