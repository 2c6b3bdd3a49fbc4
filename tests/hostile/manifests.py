"""Hostile manifests and metadata, by name. Each is built on demand, because some are large.

`MANIFESTS` are contents of a nuspec, `ENTRIES` the fields of a catalogEntry as an upstream may send them. `LEGAL` is
the most that nuget.org accepts, which must be preserved.
"""

from collections.abc import Callable, Iterable
from typing import Any

from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import Dependency, DependencyGroup, PackageManifest, PackageType
from nugetproxy.nuget.version import NuGetVersion

MANY = 100_000
LONG = 3_000_000


def manifest(package_id: str = "Contoso.Hostile", version: str = "1.0.0", **said: Any) -> PackageManifest:
    return PackageManifest(
        id=PackageId.parse(package_id), version=NuGetVersion.parse(version), verbatim_version=version, **said
    )


def dependencies(count: int, name: str = "Some.Dependency{}", wanted: str = "1.0.0") -> tuple[Dependency, ...]:
    return tuple(Dependency(name.format(number), wanted) for number in range(count))


MANIFESTS: dict[str, Callable[[], PackageManifest]] = {
    "groups": lambda: manifest(dependency_groups=(DependencyGroup(),) * MANY),
    "frameworks": lambda: manifest(dependency_groups=tuple(DependencyGroup(f"net{each}") for each in range(MANY))),
    "dependencies": lambda: manifest(dependency_groups=(DependencyGroup(None, dependencies(MANY)),)),
    "a framework as long as a book": lambda: manifest(
        dependency_groups=(DependencyGroup("n" * LONG, dependencies(2)),)
    ),
    "dependencies on a framework of 2,000 letters": lambda: manifest(
        dependency_groups=(DependencyGroup("n" * 2_000, dependencies(4_000)),)
    ),
    "description": lambda: manifest(description="long " * (LONG // 5)),
    "control characters": lambda: manifest(description="\x01" * 60_000, summary="\x02" * 60_000, title="\x03" * 60_000),
    "quotes and angle brackets": lambda: manifest(description='"<&>' * 30_000, authors='"' * 60_000),
    "emoji": lambda: manifest(description="\U0001f600" * 100_000, title="\U0001f600" * 100_000),
    "release notes": lambda: manifest(release_notes="note " * (LONG // 5), copyright="c" * LONG),
    "tags": lambda: manifest(tags=tuple(f"tag{each}" for each in range(MANY))),
    "package types": lambda: manifest(package_types=tuple(PackageType(f"Type{each}") for each in range(MANY))),
    "addresses": lambda: manifest(
        project_url="https://example.com/" + "p" * LONG, icon_url="https://example.com/" + "i" * LONG
    ),
    "small texts everywhere": lambda: manifest(language="l" * LONG, min_client_version="1" * LONG, icon="i" * LONG),
}

LEGAL: dict[str, Callable[[], PackageManifest]] = {
    "dependencies of one letter": lambda: manifest(
        dependency_groups=(DependencyGroup(None, tuple(Dependency(chr(ord("A") + n % 26)) for n in range(8_191))),)
    ),
    "dependencies of the usual length": lambda: manifest(
        dependency_groups=tuple(
            DependencyGroup(framework, dependencies(240, "Microsoft.Extensions.Something{}", "8.0.0"))
            for framework in ("net8.0", "net9.0", "netstandard2.0")
        )
    ),
    "texts": lambda: manifest(
        description="字" * 4_000, summary="字" * 4_000, authors="字" * 4_000, title="字" * 256, tags=("字" * 3_999,)
    ),
}


def _nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = {"@id": "#x", "inner": [value]}
    return value


def groups(count: int, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"dependencyGroups": [{"dependencies": list(rows)} if rows else {}] * count}


def _rows(count: int, **row: Any) -> Iterable[dict[str, Any]]:
    return [row] * count


ENTRIES: dict[str, Callable[[], dict[str, Any]]] = {
    "groups": lambda: groups(MANY),
    "dependencies": lambda: groups(1, *_rows(MANY, id="Other", range="[1.0.0, )")),
    "dependencies with identifiers": lambda: groups(
        1, *_rows(3_000, **{"@id": "#d", "@type": "PackageDependency", "id": "Other", "range": "[1.0.0, )", "x": "y"})
    ),
    "identifiers": lambda: {"unknown": [{"@id": ""}] * 4_000},
    "more identifiers": lambda: {"unknown": [{"@id": ""}] * MANY},
    "contents": lambda: {"unknown": [{"packageContent": ""}] * 4_000},
    "registrations": lambda: {"unknown": [{"registration": "", "id": "é" * 90}] * 4_000},
    "deep": lambda: {"unknown": _nested(15)},
    "deep many times": lambda: {"unknown": [_nested(15)] * 5_000},
    "fields": lambda: {f"unknown{number}": number for number in range(MANY)},
    "a number of many digits": lambda: {"unknown": 2**63},
    "description": lambda: {"description": "long " * (LONG // 5)},
    "unknown text": lambda: {"unknown": "u" * LONG},
    "authors": lambda: {"authors": ["Somebody"] * MANY},
    "tags": lambda: {"tags": ["tag"] * MANY, "packageTypes": [{"name": "T"}] * MANY},
    "lists in lists": lambda: {"tags": [["tag"] * 10] * 20_000},
    "vulnerabilities": lambda: {"vulnerabilities": [{"advisoryUrl": "https://example.com", "severity": "1"}] * MANY},
    "long vulnerabilities": lambda: {"vulnerabilities": [{"advisoryUrl": "https://e.com/" + "a" * LONG}]},
    "reasons": lambda: {"deprecation": {"reasons": ["Legacy"] * MANY}},
    "message": lambda: {"deprecation": {"reasons": ["Legacy"], "message": "m" * LONG}},
    "dates": lambda: {"published": "2020" + "0" * LONG},
}
