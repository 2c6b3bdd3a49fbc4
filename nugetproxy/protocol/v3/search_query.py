"""Requests to search and autocomplete: parameters, their defaults and limits.

Sources: docs/api/search-query-service-resource, docs/api/search-autocomplete-service-resource. Real clients send broken
queries (a `#` in a search term cuts off everything after it), so nothing is refused here: defaults apply.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nugetproxy.errors import InvalidPackageId, InvalidVersion
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration_values import Hive

DEFAULT_TAKE = 20
MOST_TAKEN = 1000
# On nuget.org deeper pages are empty, not an error.
DEEPEST_SKIP = 3000

_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_SEMVER2 = NuGetVersion.parse("2.0.0")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """`text` is in nuget.org's query language; empty means everything. `package_type` None means any type."""

    text: str = ""
    skip: int = 0
    take: int = DEFAULT_TAKE
    prerelease: bool = False
    semver_level2: bool = False
    package_type: str | None = None

    @staticmethod
    def from_params(params: Mapping[str, str]) -> "SearchQuery":
        """The query from a decoded query string; names are case-insensitive."""
        given = _Given(params)
        return SearchQuery(
            text=given.text("q") or "",
            skip=given.skip(),
            take=given.take(),
            prerelease=given.prerelease(),
            semver_level2=given.semver_level2(),
            package_type=given.text("packageType") or None,
        )

    @property
    def hive(self) -> Hive:
        """The hive that results link to."""
        return Hive.GZ_SEMVER2 if self.semver_level2 else Hive.GZ

    @property
    def asks_nothing(self) -> bool:
        """Whether the response is empty in any case: too deep, or a package type that cannot exist."""
        return self.skip > DEEPEST_SKIP or not _may_be_type(self.package_type)

    def params(self) -> list[tuple[str, str]]:
        """The parameters for an upstream, in the official client's order; equal queries give equal lists."""
        return [("q", self.text), ("skip", str(self.skip)), ("take", str(self.take)), *_common_params(self)]


@dataclass(frozen=True, slots=True)
class CompletionQuery:
    """Asks for ids that match `text`, or for the versions of `package_id`."""

    text: str | None = None
    package_id: str | None = None
    skip: int = 0
    take: int = DEFAULT_TAKE
    prerelease: bool = False
    semver_level2: bool = False
    package_type: str | None = None

    @staticmethod
    def from_params(params: Mapping[str, str]) -> "CompletionQuery":
        """As `SearchQuery.from_params`."""
        given = _Given(params)
        return CompletionQuery(
            text=given.text("q"),
            package_id=given.text("id"),
            skip=given.skip(),
            take=given.take(),
            prerelease=given.prerelease(),
            semver_level2=given.semver_level2(),
            package_type=given.text("packageType") or None,
        )

    @property
    def asks_versions(self) -> bool:
        """True if only an id is given; with a text, or with neither, ids are requested."""
        return self.text is None and self.package_id is not None

    @property
    def asks_nothing(self) -> bool:
        """As in `SearchQuery`; also true for an invalid id."""
        if self.asks_versions:
            return not _may_be_id(self.package_id or "")
        return self.skip > DEEPEST_SKIP or not _may_be_type(self.package_type)

    def params(self) -> list[tuple[str, str]]:
        """As `SearchQuery.params`. Versions are not paged."""
        if self.asks_versions:
            return [("id", self.package_id or ""), *_common_params(self)]
        return [("q", self.text or ""), ("skip", str(self.skip)), ("take", str(self.take)), *_common_params(self)]


class _Given:
    """The parameters of one request, read with their defaults."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self._by_name: dict[str, str] = {}
        for name, value in params.items():
            self._by_name.setdefault(name.lower(), value)

    def text(self, name: str) -> str | None:
        return self._by_name.get(name.lower())

    def skip(self) -> int:
        return max(0, self._integer("skip", 0))

    def take(self) -> int:
        take = self._integer("take", DEFAULT_TAKE)
        return take if 0 <= take <= MOST_TAKEN else DEFAULT_TAKE

    def prerelease(self) -> bool:
        return (self.text("prerelease") or "").strip().lower() == "true"

    def semver_level2(self) -> bool:
        try:
            return NuGetVersion.parse(self.text("semVerLevel") or "") >= _SEMVER2
        except InvalidVersion:
            return False

    def _integer(self, name: str, default: int) -> int:
        text = (self.text(name) or "").strip()
        return int(text) if _INTEGER.fullmatch(text) else default


def _common_params(query: SearchQuery | CompletionQuery) -> Iterable[tuple[str, str]]:
    yield "prerelease", "true" if query.prerelease else "false"
    if query.semver_level2:
        yield "semVerLevel", "2.0.0"
    if query.package_type is not None and not (isinstance(query, CompletionQuery) and query.asks_versions):
        yield "packageType", query.package_type


def _may_be_type(package_type: str | None) -> bool:
    return package_type is None or _may_be_id(package_type)


def _may_be_id(text: str) -> bool:
    try:
        PackageId.parse(text)
    except InvalidPackageId:
        return False
    return True
