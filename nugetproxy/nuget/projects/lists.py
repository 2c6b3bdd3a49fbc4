"""Plain lists of packages: one per line, as `Id`, `Id Version`, `Id 1.*` or `Id [1.0, 2.0)`; `#` begins a comment."""

from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersion, InvalidVersionRange
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.projects.findings import Exact, Found, Options, Request
from nugetproxy.nuget.projects.texts import decoded, one_line
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange


def read_list(name: str, data: bytes, options: Options, found: Found) -> None:
    """Collect the lines. An exact version means that package alone, unless frameworks are given: then it is resolved
    with its dependencies, like every other line.

    Raises:
        InvalidRequest: with file and line.
    """
    for number, line in enumerate(decoded(name, data).splitlines(), start=1):
        words = line.partition("#")[0].split(maxsplit=1)
        if not words:
            continue
        place = f"{name}, line {number}"
        try:
            package_id = PackageId.parse(words[0])
            version = words[1].strip() if len(words) == 2 else None
            _read_line(package_id, version, place, options, found)
        except (InvalidPackageId, InvalidVersion, InvalidVersionRange) as error:
            raise InvalidRequest(f"{place}: {error}") from error


def _read_line(package_id: PackageId, version: str | None, place: str, options: Options, found: Found) -> None:
    if version is None:
        found.request(Request(package_id, None, place))
        return
    exactly = _exact_version(version, place)
    if exactly is None:
        found.request(Request(package_id, VersionRange.parse(version, floating=True), place))
        return
    identity = PackageIdentity.parse(package_id.text, exactly.full)
    found.exact(Exact(identity, place))
    if options.frameworks:
        found.request(Request(package_id, VersionRange(exactly, True, exactly, True), place))


def _exact_version(text: str, place: str) -> NuGetVersion | None:
    if text.startswith(("[", "(")):
        interval = VersionRange.parse(text, floating=True)
        is_one = interval.minimum is not None and interval.minimum == interval.maximum and interval.includes_minimum
        return interval.minimum if is_one and interval.floating_part is None else None
    if "*" in text:
        return None
    if len(text.split()) > 1:
        raise InvalidRequest(f"{place}: expected an id and a version or range, found {one_line(text)!r}")
    return NuGetVersion.parse(text)
