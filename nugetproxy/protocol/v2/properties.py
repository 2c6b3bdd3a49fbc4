"""The properties of a V2 entry: their names, their types, and where their values come from.

One table for entries, `$metadata`, filters and orders. Source: nuget.org's `$metadata` of api/v2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Final

from nugetproxy.errors import DocumentTooLarge
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v2.dependencies import dependencies_text
from nugetproxy.protocol.v2.rows import Row

Value = str | bool | int | datetime | NuGetVersion | None

UNLISTED: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""`Published` of an unlisted entry; clients look at the year."""

UNKNOWN_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""For dates that must not be null but are unknown."""

MOST_COUNTED: Final = 2**31 - 1
"""2.x clients read counts as 32-bit integers, and fail on larger ones."""


class Edm(StrEnum):
    """The types on the wire."""

    STRING = "Edm.String"
    BOOLEAN = "Edm.Boolean"
    INT32 = "Edm.Int32"
    INT64 = "Edm.Int64"
    DATE_TIME = "Edm.DateTime"


@dataclass(frozen=True, slots=True)
class Property:
    """`read` returns the value to write; `compared` returns the one for filters and orders, if that differs."""

    name: str
    edm: Edm
    read: Callable[[Row], Value]
    is_nullable: bool = True
    compared: Callable[[Row], Value] | None = None

    @property
    def is_version(self) -> bool:
        """Whether it is compared and sorted as a version, not as text."""
        return self.name in ("Version", "NormalizedVersion")

    def value(self, row: Row) -> Value:
        return (self.compared or self.read)(row)


def _text(field: str) -> Callable[[Row], Value]:
    read = attrgetter(f"package.{field}")
    return lambda row: read(row) or None


def _count(field: str) -> Callable[[Row], Value]:
    read = attrgetter(f"package.{field}")
    return lambda row: min(read(row), MOST_COUNTED)


def _published(row: Row) -> datetime:
    return (row.package.published or UNKNOWN_MOMENT) if row.listed else UNLISTED


def _created(row: Row) -> datetime:
    return row.package.created or UNKNOWN_MOMENT


def _last_updated(row: Row) -> datetime:
    return row.package.last_edited or _created(row)


def _nothing(_: Row) -> None:
    return None


def _dependencies(row: Row) -> str:
    return dependencies_text(row.package.dependency_groups)


def _comparable_dependencies(row: Row) -> str | None:
    """Text too long to be rendered is not searched either: one version must not fail a query over all."""
    try:
        return _dependencies(row)
    except DocumentTooLarge:
        return None


_VERSION = attrgetter("version")

PROPERTIES: Final = (
    Property("Id", Edm.STRING, attrgetter("package_id"), is_nullable=False),
    Property("Version", Edm.STRING, _text("verbatim_version"), is_nullable=False, compared=_VERSION),
    Property("NormalizedVersion", Edm.STRING, attrgetter("version.normalized"), compared=_VERSION),
    Property("Authors", Edm.STRING, _text("authors")),
    Property("Copyright", Edm.STRING, _text("copyright")),
    Property("Created", Edm.DATE_TIME, _created, is_nullable=False),
    Property("Dependencies", Edm.STRING, _dependencies, compared=_comparable_dependencies),
    Property("Description", Edm.STRING, _text("description")),
    Property("DownloadCount", Edm.INT32, _count("downloads"), is_nullable=False),
    Property("GalleryDetailsUrl", Edm.STRING, _nothing),
    Property("IconUrl", Edm.STRING, _text("icon_url")),
    Property("IsLatestVersion", Edm.BOOLEAN, attrgetter("is_latest"), is_nullable=False),
    Property("IsAbsoluteLatestVersion", Edm.BOOLEAN, attrgetter("is_absolute_latest"), is_nullable=False),
    Property("IsPrerelease", Edm.BOOLEAN, attrgetter("version.is_prerelease"), is_nullable=False),
    Property("Language", Edm.STRING, _text("language")),
    Property("LastUpdated", Edm.DATE_TIME, _last_updated, is_nullable=False),
    Property("Published", Edm.DATE_TIME, _published, is_nullable=False),
    Property("PackageHash", Edm.STRING, _text("sha512")),
    Property("PackageHashAlgorithm", Edm.STRING, lambda row: "SHA512" if row.package.sha512 else None),
    Property("PackageSize", Edm.INT64, attrgetter("package.size"), is_nullable=False),
    Property("ProjectUrl", Edm.STRING, _text("project_url")),
    Property("ReportAbuseUrl", Edm.STRING, _nothing),
    Property("ReleaseNotes", Edm.STRING, _text("release_notes")),
    Property(
        "RequireLicenseAcceptance", Edm.BOOLEAN, attrgetter("package.require_license_acceptance"), is_nullable=False
    ),
    Property("Summary", Edm.STRING, _text("summary")),
    Property("Tags", Edm.STRING, lambda row: " ".join(row.package.tags) or None),
    Property("Title", Edm.STRING, _text("title")),
    Property("VersionDownloadCount", Edm.INT32, _count("version_downloads"), is_nullable=False),
    Property("MinClientVersion", Edm.STRING, _text("min_client_version")),
    Property("LastEdited", Edm.DATE_TIME, attrgetter("package.last_edited")),
    Property("LicenseUrl", Edm.STRING, _text("license_url")),
    Property("LicenseNames", Edm.STRING, _nothing),
    Property("LicenseReportUrl", Edm.STRING, _nothing),
)

BY_NAME: Final = {each.name.lower(): each for each in PROPERTIES}

KNOWN_TO_SEARCH: Final = frozenset(
    {
        *("Id", "Version", "NormalizedVersion", "IsLatestVersion", "IsAbsoluteLatestVersion", "IsPrerelease"),
        *("Authors", "Description", "Summary", "Tags", "Title", "DownloadCount", "VersionDownloadCount"),
        *("IconUrl", "LicenseUrl", "ProjectUrl"),
    }
)
"""Properties that a search hit has: filters and orders over these need no registrations."""
