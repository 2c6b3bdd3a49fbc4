"""Every document the fake upstream has about its packages, in the shapes that nuget.org sends.

Written by hand from the protocol's documentation and without the product's own writers, so that the two can disagree.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote

from tests.fakes.packages import GalleryPackage, normalized, precedence

PAGE_SIZE = 64
MOST_INLINED = 127
UNLISTED = "1900-01-01T00:00:00+00:00"
HIVES = {"registration5-semver1": False, "registration5-gz-semver1": False, "registration5-gz-semver2": True}
"""The hives' folders, and whether they contain SemVer 2 packages."""


@dataclass(frozen=True)
class Document:
    """The body and the headers of one answer."""

    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Gallery:
    """Packages by id and version, and the document at each path below `base`."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.packages: dict[str, dict[str, GalleryPackage]] = {}
        self.states_sha512 = False
        """Whether package answers carry x-ms-meta-SHA512."""
        self.resources: list[tuple[str, str]] = self._default_resources()
        """The service index: (@type, @id). Tests may move a resource to another server or take it out."""
        self.advisories: dict[str, list[dict[str, Any]]] = {}
        self.vulnerability_updates: dict[str, list[dict[str, Any]]] = {}
        self.certificates: list[bytes] = [b"not really a certificate, but bytes of one"]
        self.all_repository_signed = False
        self.owners: dict[str, list[str]] = {}
        """The owners that searches state, by lowercase id."""
        self.extra: dict[str, Document] = {}
        """Further documents by path; they take precedence."""

    def add(self, package: GalleryPackage) -> None:
        self.packages.setdefault(package.lid, {})[package.lver] = package

    def remove(self, package_id: str, version: str) -> None:
        kept = self.packages[package_id.lower()]
        del kept[normalized(version).lower()]
        if not kept:
            del self.packages[package_id.lower()]

    def change(self, package_id: str, version: str, **changes: Any) -> None:
        """As `change("A", "1.0.0", listed=False)`."""
        kept = self.packages[package_id.lower()]
        kept[normalized(version).lower()] = replace(kept[normalized(version).lower()], **changes)

    def versions(self, lid: str) -> list[GalleryPackage]:
        return sorted(self.packages.get(lid, {}).values(), key=lambda p: precedence(p.version))

    def find(self, path: str, query: str = "") -> Document | None:
        if path in self.extra:
            return self.extra[path]
        match path.strip("/").split("/"):
            case ["v3", "index.json"]:
                return self._service_index()
            case ["v3-flatcontainer", lid, "index.json"]:
                found = self.versions(lid)
                return _json({"versions": [p.lver for p in found]}) if found else None
            case ["v3-flatcontainer", lid, lver, name]:
                package = self.packages.get(lid, {}).get(lver)
                return self._part(package, name) if package else None
            case ["v3", hive, lid, *rest] if hive in HIVES:
                return self._registration(hive, lid, rest)
            case ["v3", "catalog0", "data", _, name]:
                leaf = {f"{p.lid}.{p.lver}.json": p for kept in self.packages.values() for p in kept.values()}.get(name)
                return _json(self._catalog_leaf(leaf)) if leaf else None
            case ["query"]:
                return _json(self._search(dict(parse_qsl(query))))
            case ["autocomplete"]:
                return _json(self._complete(dict(parse_qsl(query))))
            case ["v3", "vulnerabilities", "index.json"]:
                return self._vulnerability_index()
            case ["v3-vulnerabilities", "2024.01.01", "vulnerability.base.json"]:
                return _json(self.advisories)
            case ["v3-vulnerabilities", "2024.01.01", "vulnerability.update.json"]:
                return _json(self.vulnerability_updates)
            case ["v3-index", "repository-signatures", _, "index.json"]:
                return self._repository_signatures()
            case ["v3-index", "repository-signatures", "certificates", name]:
                found_certificate = {f"{_sha256(c)}.crt": c for c in self.certificates}.get(name)
                return Document(found_certificate, "application/pkix-cert") if found_certificate else None
        return None

    # --- the service index ---

    def _default_resources(self) -> list[tuple[str, str]]:
        base = self.base
        search = [f"SearchQueryService{v}" for v in ("", "/3.0.0-rc", "/3.5.0", "/3.0.0-beta")]
        complete = [f"SearchAutocompleteService{v}" for v in ("", "/3.0.0-rc", "/3.5.0", "/3.0.0-beta")]
        plain = [f"RegistrationsBaseUrl{v}" for v in ("", "/3.0.0-rc", "/3.0.0-beta")]
        return [
            *((kind, f"{base}/query") for kind in search),
            *((kind, f"{base}/autocomplete") for kind in complete),
            *((kind, f"{base}/v3/registration5-semver1/") for kind in plain),
            ("RegistrationsBaseUrl/3.4.0", f"{base}/v3/registration5-gz-semver1/"),
            ("RegistrationsBaseUrl/3.6.0", f"{base}/v3/registration5-gz-semver2/"),
            ("RegistrationsBaseUrl/Versioned", f"{base}/v3/registration5-gz-semver2/"),
            ("PackageBaseAddress/3.0.0", f"{base}/v3-flatcontainer/"),
            ("LegacyGallery/2.0.0", f"{base}/api/v2"),
            ("PackagePublish/2.0.0", f"{base}/api/v2/package"),
            ("RepositorySignatures/4.7.0", f"{base}/v3-index/repository-signatures/4.7.0/index.json"),
            ("RepositorySignatures/5.0.0", f"{base}/v3-index/repository-signatures/5.0.0/index.json"),
            ("VulnerabilityInfo/6.7.0", f"{base}/v3/vulnerabilities/index.json"),
            ("Catalog/3.0.0", f"{base}/v3/catalog0/index.json"),
            ("ReadmeUriTemplate/6.13.0", f"{base}/v3-flatcontainer/{{lower_id}}/{{lower_version}}/readme"),
        ]

    def _service_index(self) -> Document:
        resources = [
            {"@id": url, "@type": kind} | ({"clientVersion": "4.3.0-alpha"} if kind.endswith("/Versioned") else {})
            for kind, url in self.resources
        ]
        return _json({"version": "3.0.0", "resources": resources, "@context": {"@vocab": "http://schema.nuget.org/"}})

    # --- the flat container ---

    def _part(self, package: GalleryPackage, name: str) -> Document | None:
        if name == f"{package.lid}.{package.lver}.nupkg":
            stated = {"x-ms-meta-SHA512": package.sha512} if self.states_sha512 else {}
            return Document(package.nupkg, "application/octet-stream", {"Content-MD5": package.md5, **stated})
        if name == f"{package.lid}.nuspec":
            return Document(package.nuspec, "text/xml")
        if name in ("readme", "icon", "license"):
            entry = package.metadata.get(name, "")
            body = package.entry(entry) if entry else None
            kind = "image/png" if name == "icon" else "text/markdown" if name == "readme" else "text/plain"
            return Document(body, kind) if body is not None else None
        return None

    def content_url(self, package: GalleryPackage) -> str:
        lid = quote(package.lid)
        return f"{self.base}/v3-flatcontainer/{lid}/{package.lver}/{lid}.{package.lver}.nupkg"

    # --- registrations ---

    def _registration(self, hive: str, lid: str, rest: list[str]) -> Document | None:
        shown = [p for p in self.versions(lid) if HIVES[hive] or not p.is_semver2]
        if not shown:
            return None
        url = f"{self.base}/v3/{hive}/{quote(lid)}/index.json"
        pages = [shown[i : i + PAGE_SIZE] for i in range(0, len(shown), PAGE_SIZE)]
        inline = len(shown) <= MOST_INLINED
        if rest == ["index.json"]:
            return _json(
                {
                    "@id": url,
                    "@type": ["catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"],
                    "count": len(pages),
                    "items": [self._page(hive, url, page, inline=inline) for page in pages],
                    "@context": {"@vocab": "http://schema.nuget.org/schema#"},
                }
            )
        if rest[0] == "page" and len(rest) == 3 and not inline:
            page = next((p for p in pages if [p[0].lver, f"{p[-1].lver}.json"] == rest[1:]), None)
            if page is None:
                return None
            return _json(self._page(hive, url, page, inline=True) | {"@id": self._page_url(hive, page)})
        leaf = next((p for p in shown if rest == [f"{p.lver}.json"]), None)
        return _json(self._leaf(hive, leaf) | {"catalogEntry": self._catalog_url(leaf)}) if leaf else None

    def _page_url(self, hive: str, page: list[GalleryPackage]) -> str:
        return f"{self.base}/v3/{hive}/{quote(page[0].lid)}/page/{page[0].lver}/{page[-1].lver}.json"

    def _page(self, hive: str, index: str, page: list[GalleryPackage], *, inline: bool) -> dict[str, Any]:
        head = {
            "@id": f"{index}#page/{page[0].lver}/{page[-1].lver}" if inline else self._page_url(hive, page),
            "@type": "catalog:CatalogPage",
            "count": len(page),
            "lower": page[0].version,
            "upper": page[-1].version,
        }
        return head | {"parent": index, "items": [self._leaf(hive, p) for p in page]} if inline else head

    def _leaf(self, hive: str, p: GalleryPackage) -> dict[str, Any]:
        registration = f"{self.base}/v3/{hive}/{quote(p.lid)}"
        return {
            "@id": f"{registration}/{p.lver}.json",
            "@type": "Package",
            "catalogEntry": self._catalog_entry(hive, p),
            "packageContent": self.content_url(p),
            "registration": f"{registration}/index.json",
        }

    def _catalog_url(self, p: GalleryPackage) -> str:
        return f"{self.base}/v3/catalog0/data/2020.01.02.03.04.05/{quote(p.lid)}.{p.lver}.json"

    def _catalog_entry(self, hive: str, p: GalleryPackage) -> dict[str, Any]:
        url = self._catalog_url(p)
        groups = [
            {
                "@id": f"{url}#dependencygroup/{framework.lower()}",
                "@type": "PackageDependencyGroup",
                **({"targetFramework": framework} if framework else {}),
                "dependencies": [
                    {
                        "@id": f"{url}#dependencygroup/{framework.lower()}/{i.lower()}",
                        "@type": "PackageDependency",
                        "id": i,
                        "range": f"[{r}, )" if r and r[0] not in "[(" else r,
                        "registration": f"{self.base}/v3/{hive}/{quote(i.lower())}/index.json",
                    }
                    for i, r in group
                ],
            }
            for framework, group in p.dependencies
        ]
        return {
            "@id": url,
            "@type": "PackageDetails",
            "authors": p.metadata.get("authors", ""),
            **({"dependencyGroups": groups} if groups else {}),
            **({"deprecation": p.deprecation} if p.deprecation and HIVES[hive] else {}),
            **({"vulnerabilities": list(p.vulnerabilities)} if p.vulnerabilities and HIVES[hive] else {}),
            "description": p.metadata.get("description", ""),
            "iconUrl": f"{self.base}/v3-flatcontainer/{quote(p.lid)}/{p.lver}/icon" if "icon" in p.metadata else "",
            "id": p.id,
            "language": "",
            **({"licenseExpression": p.licence} if p.licence else {}),
            "licenseUrl": f"https://www.nuget.org/packages/{quote(p.id)}/{p.version}/license",
            "listed": p.listed,
            "packageContent": self.content_url(p),
            "projectUrl": p.metadata.get("projectUrl", ""),
            "published": p.published if p.listed else UNLISTED,
            "requireLicenseAcceptance": False,
            "summary": p.metadata.get("summary", ""),
            "tags": p.metadata.get("tags", "").split(" "),
            "title": p.metadata.get("title", ""),
            "version": p.full_version,
        }

    def _catalog_leaf(self, p: GalleryPackage) -> dict[str, Any]:
        return self._catalog_entry("registration5-gz-semver2", p) | {
            "@type": ["PackageDetails", "catalog:Permalink"],
            "created": p.published,
            "isPrerelease": p.is_prerelease,
            "packageHash": p.sha512,
            "packageHashAlgorithm": "SHA512",
            "packageSize": len(p.nupkg),
            "verbatimVersion": p.metadata["version"],
        }

    # --- search ---

    def _visible(self, lid: str, params: dict[str, str]) -> list[GalleryPackage]:
        pre, semver2 = params.get("prerelease", "").lower() == "true", params.get("semVerLevel", "") >= "2"
        return [
            p for p in self.versions(lid) if p.listed and (pre or not p.is_prerelease) and (semver2 or not p.is_semver2)
        ]

    def _search(self, params: dict[str, str]) -> dict[str, Any]:
        asked = params.get("q", "").lower()
        exact = asked.removeprefix("packageid:") if asked.startswith("packageid:") else None
        ids = [lid for lid in sorted(self.packages) if (asked in lid if exact is None else exact == lid)]
        found = [v for lid in ids if (v := self._visible(lid, params))]
        skip, take = int(params.get("skip", 0)), int(params.get("take", 20))
        return {"@context": {}, "totalHits": len(found), "data": [self._hit(v) for v in found[skip : skip + take]]}

    def _hit(self, versions: list[GalleryPackage]) -> dict[str, Any]:
        latest = versions[-1]
        registration = f"{self.base}/v3/registration5-gz-semver2/{quote(latest.lid)}"
        entry = self._catalog_entry("registration5-gz-semver2", latest)
        return {
            "@id": f"{registration}/index.json",
            "@type": "Package",
            "registration": f"{registration}/index.json",
            "id": latest.id,
            "version": latest.full_version,
            **{k: entry[k] for k in ("description", "summary", "title", "iconUrl", "licenseUrl", "projectUrl", "tags")},
            "authors": [entry["authors"]],
            "totalDownloads": 1000,
            "verified": False,
            "packageTypes": [{"name": "Dependency"}],
            **({"owners": self.owners[latest.lid]} if latest.lid in self.owners else {}),
            "versions": [
                {"version": p.full_version, "downloads": 10, "@id": f"{registration}/{p.lver}.json"} for p in versions
            ],
            "vulnerabilities": [],
        }

    def _complete(self, params: dict[str, str]) -> dict[str, Any]:
        if "id" in params and "q" not in params:
            return {"data": [p.full_version for p in self._visible(params["id"].lower(), params)]}
        asked = params.get("q", "").lower()
        ids = [v[-1].id for lid in sorted(self.packages) if lid.startswith(asked) and (v := self._visible(lid, params))]
        skip, take = int(params.get("skip", 0)), int(params.get("take", 20))
        return {"totalHits": len(ids), "data": ids[skip : skip + take]}

    # --- vulnerabilities and signatures ---

    def _vulnerability_index(self) -> Document:
        folder = f"{self.base}/v3-vulnerabilities/2024.01.01"
        return _json(
            [
                {
                    "@name": name,
                    "@id": f"{folder}/vulnerability.{name}.json",
                    "@updated": "2024-01-01T00:00:00.0000000Z",
                    "comment": f"The {name} data.",
                }
                for name in ("base", "update")
            ]
        )

    def _repository_signatures(self) -> Document:
        folder = f"{self.base}/v3-index/repository-signatures/certificates"
        return _json(
            {
                "allRepositorySigned": self.all_repository_signed,
                "signingCertificates": [
                    {
                        "fingerprints": {"2.16.840.1.101.3.4.2.1": _sha256(certificate)},
                        "subject": "CN=Fake",
                        "issuer": "CN=Fake",
                        "notBefore": "2018-04-10T00:00:00.0000000Z",
                        "notAfter": "2031-04-10T00:00:00.0000000Z",
                        "contentUrl": f"{folder}/{_sha256(certificate)}.crt",
                    }
                    for certificate in self.certificates
                ],
            }
        )


def _json(value: object) -> Document:
    return Document(json.dumps(value, separators=(",", ":")).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
