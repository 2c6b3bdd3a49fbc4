"""PackageManifest: the contents of a package's nuspec, as values.

`nuspec.py` reads it from XML. What a feed adds to it (listed, published, size) is not here.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nugetproxy.errors import InvalidVersionRange
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.nuget.version_range import VersionRange


@dataclass(frozen=True, slots=True)
class PackageType:
    """The type of a package. `name` is predefined by NuGet or chosen by the author; `version` may be empty."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Dependency:
    """`range` is as written; empty means any version."""

    id: str
    range: str = ""


@dataclass(frozen=True, slots=True)
class DependencyGroup:
    """Dependencies for one framework, as written in the nuspec; None means every framework."""

    target_framework: str | None = None
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageManifest:
    """Strings are as written, trimmed, and empty when the nuspec has no value. Source: docs/reference/nuspec."""

    id: PackageId
    version: NuGetVersion
    verbatim_version: str
    authors: str = ""
    description: str = ""
    title: str = ""
    summary: str = ""
    owners: str = ""
    release_notes: str = ""
    copyright: str = ""
    language: str = ""
    project_url: str = ""
    icon_url: str = ""
    license_url: str = ""
    license_expression: str = ""
    license_file: str = ""
    icon: str = ""
    readme: str = ""
    min_client_version: str = ""
    repository_type: str = ""
    repository_url: str = ""
    repository_branch: str = ""
    repository_commit: str = ""
    tags: tuple[str, ...] = ()
    require_license_acceptance: bool = False
    development_dependency: bool = False
    package_types: tuple[PackageType, ...] = ()
    dependency_groups: tuple[DependencyGroup, ...] = ()
    is_partial: bool = False
    """Parts of the nuspec exceeded a bound and were left out. Only the identity is reliable."""

    @property
    def identity(self) -> PackageIdentity:
        return PackageIdentity(self.id, self.version)

    @property
    def is_semver2(self) -> bool:
        """Whether to hide it from clients without SemVer 2, because of its version or the bound of a dependency."""
        return self.version.is_semver2 or any(
            _has_semver2_bound(dependency.range)
            for group in self.dependency_groups
            for dependency in group.dependencies
        )

    @staticmethod
    def named(package_id: str, version: str) -> "PackageManifest":
        """A partial manifest with only an identity. Raises InvalidPackageId or InvalidVersion."""
        return PackageManifest(
            id=PackageId.parse(package_id),
            version=NuGetVersion.parse(version),
            verbatim_version=version,
            is_partial=True,
        )

    def as_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON, without empty ones."""
        plain: dict[str, object] = {"id": self.id.text, "version": self.verbatim_version}
        for name in _TEXTS + _FLAGS:
            if value := getattr(self, name):
                plain[name] = value
        if self.tags:
            plain["tags"] = list(self.tags)
        if self.package_types:
            plain["package_types"] = [[kind.name, kind.version] for kind in self.package_types]
        if self.dependency_groups:
            plain["dependency_groups"] = [
                [group.target_framework, [[dependency.id, dependency.range] for dependency in group.dependencies]]
                for group in self.dependency_groups
            ]
        return plain

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> "PackageManifest":
        """The inverse of `as_dict`.

        Raises:
            ValueError: not a result of `as_dict`.
            InvalidPackageId, InvalidVersion: likewise, for id and version.
        """
        try:
            plainly: dict[str, Any] = {name: _text(plain[name]) for name in _TEXTS if name in plain}
            plainly |= {name: plain.get(name) is True for name in _FLAGS}
            return PackageManifest(
                id=PackageId.parse(_text(plain["id"])),
                version=NuGetVersion.parse(_text(plain["version"])),
                verbatim_version=plain["version"],
                tags=tuple(map(_text, plain.get("tags", ()))),
                package_types=tuple(
                    PackageType(_text(name), _text(version)) for name, version in plain.get("package_types", ())
                ),
                dependency_groups=tuple(
                    DependencyGroup(
                        None if framework is None else _text(framework),
                        tuple(Dependency(_text(package_id), _text(wanted)) for package_id, wanted in dependencies),
                    )
                    for framework, dependencies in plain.get("dependency_groups", ())
                ),
                **plainly,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a manifest: {error}") from error


_TEXTS = tuple(f.name for f in dataclasses.fields(PackageManifest) if f.type is str and f.name != "verbatim_version")
_FLAGS = tuple(f.name for f in dataclasses.fields(PackageManifest) if f.type is bool)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _has_semver2_bound(wanted: str) -> bool:
    try:
        return bool(wanted) and VersionRange.parse(wanted).is_semver2
    except InvalidVersionRange:
        return False  # packages that predate the rules have such ranges; clients then take any version
