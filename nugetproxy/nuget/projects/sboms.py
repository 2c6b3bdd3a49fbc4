"""Bills of materials in JSON: CycloneDX, SPDX 2 (also as GitHub exports it) and SPDX 3. Only `pkg:nuget/` URLs count.

Their hashes are not used: tools disagree on whether they are of the file or of its content without the signature.
Sources: CycloneDX 1.6 and SPDX 2.3 and 3.0 (JSON), package-url/purl-spec.
"""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from nugetproxy.errors import InvalidPackageId, InvalidVersion
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.projects.findings import Exact, Found, Options, Unsure
from nugetproxy.nuget.projects.texts import one_line, read_json

_NUGET: Final = "pkg:nuget/"


def is_sbom(document: dict[str, Any]) -> bool:
    return any(key in document for key in ("bomFormat", "spdxVersion", "@graph", "sbom"))


def read_sbom(name: str, data: bytes, _: Options, found: Found) -> None:
    """Collect its packages. One without a version is reported as unsure.

    Raises:
        InvalidRequest: not JSON.
    """
    for url in _package_urls(read_json(name, data)):
        bare = url.partition("#")[0].partition("?")[0]
        if not bare.lower().startswith(_NUGET):
            continue
        package_id, _separator, version = bare[len(_NUGET) :].strip("/").rpartition("@")
        try:
            found.exact(Exact(PackageIdentity.parse(unquote(package_id), unquote(version)), name))
        except (InvalidPackageId, InvalidVersion) as error:
            found.unsure(
                Unsure(name, f"{one_line(url)} names no exact package ({error}); left out", "an SBOM with versions")
            )


def _package_urls(document: dict[str, Any]) -> Iterator[str]:
    yield from _cyclonedx(document.get("components"))
    spdx = document["sbom"] if isinstance(document.get("sbom"), dict) else document
    for package in _objects(spdx.get("packages")):
        for reference in _objects(package.get("externalRefs")):
            yield from _texts(reference.get("referenceLocator"))
    for element in _objects(document.get("@graph")):
        yield from _texts(element.get("software_packageUrl"))
        for identifier in _objects(element.get("externalIdentifier")):
            yield from _texts(identifier.get("identifier"))


def _cyclonedx(components: object) -> Iterator[str]:
    waiting = list(_objects(components))
    at = 0
    while at < len(waiting):
        yield from _texts(waiting[at].get("purl"))
        waiting.extend(_objects(waiting[at].get("components")))
        at += 1


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
