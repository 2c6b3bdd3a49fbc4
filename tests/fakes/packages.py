"""Packages as the fake gallery keeps them, read without the product's own code."""

import base64
import hashlib
import io
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.builders import make_nupkg


@dataclass(frozen=True)
class GalleryPackage:
    """One version; `metadata` holds the texts of the nuspec's metadata elements."""

    nupkg: bytes
    nuspec: bytes
    metadata: dict[str, str]
    dependencies: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    listed: bool = True
    published: str = "2020-01-02T03:04:05.678+00:00"
    deprecation: dict[str, Any] | None = None
    vulnerabilities: tuple[dict[str, Any], ...] = ()
    licence: str = ""

    @property
    def id(self) -> str:
        return self.metadata["id"]

    @property
    def lid(self) -> str:
        return self.id.lower()

    @property
    def version(self) -> str:
        return normalized(self.metadata["version"])

    @property
    def lver(self) -> str:
        return self.version.lower()

    @property
    def full_version(self) -> str:
        build = self.metadata["version"].partition("+")[2]
        return f"{self.version}+{build}" if build else self.version

    @property
    def is_prerelease(self) -> bool:
        return "-" in self.version

    @property
    def is_semver2(self) -> bool:
        ranges = (text for _, group in self.dependencies for _, text in group)
        return _looks_semver2(self.metadata["version"]) or any(
            _looks_semver2(bound) for text in ranges for bound in text.strip("[]()").split(",")
        )

    @cached_property
    def md5(self) -> str:
        """As Content-MD5 states it. Cached, like the other, because stampedes ask often for large packages."""
        return base64.b64encode(hashlib.md5(self.nupkg).digest()).decode()

    @cached_property
    def sha512(self) -> str:
        """As the catalog and x-ms-meta-SHA512 state it."""
        return base64.b64encode(hashlib.sha512(self.nupkg).digest()).decode()

    def entry(self, name: str) -> bytes | None:
        with zipfile.ZipFile(io.BytesIO(self.nupkg)) as archive:
            wanted = name.replace("\\", "/").lower()
            return next((archive.read(n) for n in archive.namelist() if n.lower() == wanted), None)


def build_package(
    package_id: str, version: str, dependencies: Sequence[tuple[str, str]] = (), padding: int = 0
) -> bytes:
    """A small, valid package with readme and icon; `padding` adds so many incompressible bytes."""
    return make_nupkg(
        package_id,
        version,
        dependencies={"net8.0": dependencies} if dependencies else (),
        readme=f"# {package_id} {version}\n",
        icon=b"\x89PNG\r\n\x1a\n" + hashlib.sha256(package_id.encode()).digest(),
        payload=hashlib.shake_128(f"{package_id} {version}".encode()).digest(padding),
    )


def read_package(nupkg: bytes) -> GalleryPackage:
    """The package in `nupkg`, as the gallery keeps it."""
    with zipfile.ZipFile(io.BytesIO(nupkg)) as archive:
        nuspec = archive.read(next(n for n in archive.namelist() if "/" not in n and n.lower().endswith(".nuspec")))
    root = ET.fromstring(nuspec)
    metadata = next(e for e in root.iter() if _local(e) == "metadata")
    texts = {_local(e): (e.text or "").strip() for e in metadata if not len(e)}
    found = next((e for e in metadata if _local(e) == "dependencies"), None)
    elements = list(found) if found is not None else []
    groups = [e for e in elements if _local(e) == "group"] or ([found] if elements and found is not None else [])
    dependencies = tuple(
        (
            group.get("targetFramework", ""),
            tuple((d.attrib["id"], d.get("version", "")) for d in group if _local(d) == "dependency"),
        )
        for group in groups
    )
    return GalleryPackage(nupkg, nuspec, texts, dependencies)


def normalized(version: str) -> str:
    numbers, dash, labels = version.partition("+")[0].partition("-")
    parts = [str(int(n)) for n in numbers.split(".")]
    parts += ["0"] * (3 - len(parts))
    return ".".join(parts[:3] if parts[3:] == ["0"] else parts) + dash + labels


def precedence(version: str) -> tuple[object, ...]:
    numbers, _, labels = version.partition("-")
    parts = [int(n) for n in numbers.split(".")]
    keys = tuple((0, int(w), "") if w.isdigit() else (1, 0, w.lower()) for w in labels.split(".")) if labels else ()
    return (*parts, *[0] * (4 - len(parts)), not labels, keys)


def _looks_semver2(version: str) -> bool:
    head, plus, _ = version.strip().partition("+")
    return bool(plus) or "." in head.partition("-")[2]


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
