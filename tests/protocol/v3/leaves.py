"""Builders of registrations in the shape that an upstream sends."""

import json
from typing import Any

from nugetproxy.nuget.identity import PackageId
from nugetproxy.protocol.v3 import registration
from nugetproxy.protocol.v3.registration import Page, Registration

UP = "https://up.example"


def leaf(version: str, package_id: str = "Contoso.Utils", **entry: Any) -> dict[str, Any]:
    lid, lower = package_id.lower(), version.partition("+")[0].lower()
    content = f"{UP}/flat/{lid}/{lower}/{lid}.{lower}.nupkg"
    return {
        "@id": f"{UP}/reg/{lid}/{lower}.json",
        "@type": "Package",
        "commitId": f"commit-of-{version}",
        "commitTimeStamp": "2020-01-01T00:00:00Z",
        "catalogEntry": {
            "@id": f"{UP}/catalog/2020/{lid}.{lower}.json",
            "@type": "PackageDetails",
            "id": package_id,
            "version": version,
            "packageContent": content,
            **entry,
        },
        "packageContent": content,
        "registration": f"{UP}/reg/{lid}/index.json",
    }


def depending_on(wanted: str) -> dict[str, Any]:
    """The dependency's part of a catalogEntry."""
    dependency = {"@id": "#dependencygroup/other", "@type": "PackageDependency", "id": "Other", "range": wanted}
    return {"dependencyGroups": [{"@type": "PackageDependencyGroup", "dependencies": [dependency]}]}


def page(
    leaves: list[dict[str, Any]], *, lid: str = "contoso.utils", loaded: bool = True, **more: Any
) -> dict[str, Any]:
    lower, upper = (leaves[at]["catalogEntry"]["version"] for at in (0, -1))
    document = {
        "@id": f"{UP}/reg/{lid}/page/{lower}/{upper}.json",
        "@type": "catalog:CatalogPage",
        "commitId": f"commit-of-page-{lower}",
        "commitTimeStamp": "2021-01-01T00:00:00Z",
        "count": len(leaves),
        "lower": lower,
        "upper": upper,
        **more,
    }
    return {**document, "items": leaves} if loaded else document


def index(*pages: dict[str, Any], lid: str = "contoso.utils", **more: Any) -> bytes:
    document = {
        "@id": f"{UP}/reg/{lid}/index.json",
        "@type": ["catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"],
        "commitId": "commit-of-index",
        "commitTimeStamp": "2022-01-01T00:00:00Z",
        "count": len(pages),
        "items": list(pages),
        **more,
    }
    return json.dumps(document).encode()


def body(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def read_index(document: bytes, package_id: str = "Contoso.Utils") -> Registration:
    """The reader, for the id of the leaves that `leaf` builds."""
    return registration.read_index(document, PackageId.parse(package_id))


def read_page(document: bytes, package_id: str = "Contoso.Utils") -> Page:
    """As `read_index`, for a page."""
    return registration.read_page(document, PackageId.parse(package_id))
