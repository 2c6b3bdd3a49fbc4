"""The output of `package list` and `package info`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nugetproxy.cli.output import iso

if TYPE_CHECKING:
    from nugetproxy.hosting.packages import HostedPackage
    from nugetproxy.hosting.retention import Retirement
    from nugetproxy.hosting.summaries import PackageSummary
    from nugetproxy.nuget.identity import PackageIdentity

SUMMARY_HEADS = ("ID", "OWNERS", "LATEST", "VERSIONS", "BYTES", "DOWNLOADS")
VERSION_HEADS = ("VERSION", "STATE", "PUBLISHED", "BYTES", "DOWNLOADS")


RETIRED_HEADS = ("ID", "VERSION", "ACTION", "RULE", "PUSHED", "BYTES", "DOWNLOADS")


def named(package: "PackageIdentity") -> dict[str, Any]:
    return {"id": package.id.text, "version": package.version.normalized}


def summary(package: "PackageSummary") -> dict[str, Any]:
    """One id, for --json."""
    return {
        "id": package.package_id,
        "owners": list(package.owners),
        "latest": package.latest.normalized if package.latest else None,
        "versions": len(package.listed) + package.unlisted,
        "unlisted": package.unlisted,
        "deprecated": package.deprecated,
        "deleted": package.deleted,
        "bytes": package.size,
        "downloads": package.downloads,
    }


def summary_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """`summary` as a line of a table."""
    counts = (str(row[name]) for name in ("versions", "bytes", "downloads"))
    return (row["id"], " ".join(row["owners"]) or "-", row["latest"] or "-", *counts)


def version(package: "HostedPackage", downloads: int) -> dict[str, Any]:
    """One version, for --json."""
    return {
        **named(package.identity),
        "state": "listed" if package.listed else "unlisted",
        "deprecated": package.deprecation is not None,
        "published": iso(package.published),
        "deleted": None,
        "bytes": package.size,
        "downloads": downloads,
    }


def deleted_version(package: "PackageIdentity", moment: int, downloads: int) -> dict[str, Any]:
    """One version that was deleted at `moment` and cannot be pushed again, for --json."""
    return {
        **named(package),
        "state": "deleted",
        "deprecated": False,
        "published": None,
        "deleted": iso(moment),
        "bytes": None,
        "downloads": downloads,
    }


def version_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A version as a line of a table."""
    state = f"{row['state']}, deprecated" if row["deprecated"] else str(row["state"])
    if row["deleted"]:
        state = f"deleted {row['deleted']}"
    return (row["version"], state, row["published"] or "-", str(row["bytes"] or "-"), str(row["downloads"]))


def details(package: "HostedPackage", downloads: int) -> dict[str, Any]:
    """Everything about one version, for --json: the fields of `version`, and the contents of its nuspec."""
    manifest, deprecation = package.manifest, package.deprecation
    return {
        **version(package, downloads),
        "pushed": iso(package.created),
        "edited": iso(package.last_edited),
        "sha512": package.sha512,
        "title": manifest.title,
        "authors": manifest.authors,
        "description": manifest.description,
        "tags": list(manifest.tags),
        "license": manifest.license_expression or manifest.license_file or manifest.license_url,
        "project": manifest.project_url,
        "repository": manifest.repository_url,
        "types": [each.name for each in manifest.package_types],
        "dependencies": [
            {"framework": group.target_framework, "id": each.id, "range": each.range}
            for group in manifest.dependency_groups
            for each in group.dependencies
        ],
        "deprecation": None if deprecation is None else {
            "reasons": list(deprecation.reasons),
            "message": deprecation.message,
            "alternate": deprecation.alternate_id or None,
            "alternate_range": deprecation.alternate_range if deprecation.alternate_id else None,
        },
    }  # fmt: skip


def fields(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A JSON object as lines for people: empty values are left out."""
    lines = []
    for name, value in row.items():
        if name == "dependencies":
            text = "\n".join(" ".join(filter(None, (each["id"], each["range"], f"({each['framework']})"
                             if each["framework"] else ""))) for each in value)  # fmt: skip
        elif name == "deprecation":
            text = _deprecation(value) if value else ""
        elif isinstance(value, list):
            text = ", ".join(value)
        elif isinstance(value, bool):
            text = "yes" if value else ""
        else:
            text = "" if value is None else str(value)
        if text:
            lines.append((name.replace("_", " ").capitalize(), text))
    return lines


def _deprecation(value: Mapping[str, Any]) -> str:
    text = ", ".join(value["reasons"])
    if value["alternate"]:
        text += f"; use {value['alternate']} {value['alternate_range']}"
    return f"{text}: {value['message']}" if value["message"] else text


def retired(retirement: "Retirement") -> dict[str, Any]:
    """A version that a rule retires, for --json."""
    version, rule = retirement.version, retirement.rule
    return {
        **named(version.identity),
        "action": rule.action.value,
        "rule": rule.name,
        "pushed": iso(version.pushed),
        "bytes": version.size,
        "downloads": version.downloads,
    }


def retired_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """`retired` as a line of a table."""
    return (*(str(row[name]) for name in ("id", "version", "action", "rule", "pushed", "bytes", "downloads")),)
