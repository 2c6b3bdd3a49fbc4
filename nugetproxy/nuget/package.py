"""Package: what a feed knows about one version, in plain types.

Reading it from a registration or search and writing it is left to `protocol`. What depends on other versions of the
id, such as being the latest, is not here.
"""

from dataclasses import dataclass
from datetime import datetime

from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import DependencyGroup
from nugetproxy.nuget.version import NuGetVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Empty strings and None mean that the feed has no value. Times are in UTC; URLs are absolute."""

    id: PackageId
    version: NuGetVersion
    verbatim_version: str
    """As the author wrote it, if known; equal to `version`."""
    listed: bool = True
    title: str = ""
    summary: str = ""
    description: str = ""
    authors: str = ""
    tags: tuple[str, ...] = ()
    copyright: str = ""
    language: str = ""
    release_notes: str = ""
    project_url: str = ""
    icon_url: str = ""
    license_url: str = ""
    min_client_version: str = ""
    require_license_acceptance: bool = False
    dependency_groups: tuple[DependencyGroup, ...] = ()
    published: datetime | None = None
    created: datetime | None = None
    last_edited: datetime | None = None
    size: int = 0
    """Bytes of the package file; 0 if unknown."""
    sha512: str = ""
    """Of the package file, in base64."""
    downloads: int = 0
    version_downloads: int = 0
