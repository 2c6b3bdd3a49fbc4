"""`manifest.jsonl`: one line for each file of a bundle that follows it, in the same order.

A line has exactly one form: what is read must be, byte for byte, what would be written of it. A path follows from what
the line is about, so that nothing in a bundle chooses where it is written. Paths ascend, by bytes: none is there twice.

Reading and writing the container belongs to `container` and `reading`; what precedes the manifest to `head`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

import orjson

from nugetproxy.errors import InvalidRequest
from nugetproxy.mirroring.bundle.json_form import is_sha512, object_of, read_as, values_of
from nugetproxy.nuget.debug_directory import is_pdb_name
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.portable_pdb import CHECKSUM_ALGORITHMS, PORTABLE_AGE
from nugetproxy.protocol.symbol_checksums import read_symbol_checksums

MANIFEST: Final = "manifest.jsonl"
ASSUMED: Final = "assumed.jsonl"

LONGEST_LINE: Final = 64 * 1024
"""Bytes of a line of the manifest, with its line break."""

_MOST_BYTES: Final = 2**62
_PORTABLE_KEY: Final = re.compile("[0-9a-f]{32}ffffffff")


class Kind(StrEnum):
    """What a file in a bundle is."""

    ASSUMED = "assumed"
    """The lines of what the receiver has already, of a bundle that holds only what is new since another."""
    DOCUMENT = "document"
    HOSTED_PACKAGE = "hosted-package"
    HOSTED_SYMBOLS = "hosted-symbols"
    NUSPEC = "nuspec"
    PACKAGE = "package"
    PACKAGE_HASH = "package-hash"
    """`.nupkg.sha512`: clients that use the unpacked folder as a source look for it."""
    SYMBOLS = "symbols"
    """The PDB of mirrored packages, in the layout of a symbol store."""


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """A mirrored package. `version` is in the form of URLs; `content_hash` as in lock files.

    `upstreams` are the names of those it was fetched from, at least one. `committed` is when, in unix seconds.
    `published` and `listed` are what the upstream stated, empty and None if that is not kept. `verdict` is that of the
    sender's policy: empty without rules, "allowed", "withheld: " and the rule, or "unknown".
    """

    id: str
    version: str
    content_hash: str
    upstreams: tuple[str, ...]
    committed: int
    published: str = ""
    listed: bool | None = None
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A document of an upstream, as stored (`httpcache.stored`): the file is its body. Times in unix seconds."""

    url: str
    status: int
    etag: str
    last_modified: str
    content_type: str
    fetched: float
    confirmed: float
    expired: bool


@dataclass(frozen=True, slots=True)
class HostedFacts:
    """A hosted package. `version` as in `PackageFacts`; times in unix microseconds.

    `deprecation` is JSON with `reasons`, `message` and `alternate` (id and range); empty if it is not deprecated.
    """

    id: str
    version: str
    content_hash: str
    owners: tuple[str, ...]
    listed: bool
    published: int
    created: int
    last_edited: int
    downloads: int
    deprecation: str = ""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file that belongs to the package of this id and version, and says nothing more about itself."""

    id: str
    version: str


@dataclass(frozen=True, slots=True)
class SymbolsFacts:
    """A PDB by which debuggers find it: `file` and `key` in lower case, `checksums` as in the header SymbolChecksum.

    `packages` are those of which an assembly names it, in order, each as its id and version in the form of URLs with a
    slash in between.
    """

    file: str
    key: str
    checksums: str
    packages: tuple[str, ...]


Facts: TypeAlias = PackageFacts | DocumentFacts | HostedFacts | FileFacts | SymbolsFacts | None

_FACTS: Final[Mapping[Kind, type[Any] | None]] = {
    Kind.ASSUMED: None,
    Kind.DOCUMENT: DocumentFacts,
    Kind.HOSTED_PACKAGE: HostedFacts,
    Kind.HOSTED_SYMBOLS: FileFacts,
    Kind.NUSPEC: FileFacts,
    Kind.PACKAGE: PackageFacts,
    Kind.PACKAGE_HASH: FileFacts,
    Kind.SYMBOLS: SymbolsFacts,
}

_TUPLES: Final = frozenset({"upstreams", "owners", "packages"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a bundle. `size` in bytes, `sha512` in base64."""

    path: str
    size: int
    sha512: str
    kind: Kind
    facts: Facts = None

    @property
    def identity(self) -> PackageIdentity | None:
        """The package that it is, or belongs to."""
        if self.facts is None or isinstance(self.facts, DocumentFacts | SymbolsFacts):
            return None
        return PackageIdentity.parse(self.facts.id, self.facts.version)

    def to_line(self) -> bytes:
        """Its line in the manifest. Raises ValueError if it is longer than `LONGEST_LINE`."""
        value = {"path": self.path, "size": self.size, "sha512": self.sha512, "kind": self.kind.value}
        line = orjson.dumps(value | values_of(self.facts)) + b"\n"
        if len(line) > LONGEST_LINE:
            raise ValueError(f"its line has {len(line)} bytes")
        return line

    @classmethod
    def from_line(cls, line: bytes) -> "Entry":
        """The inverse of `to_line`. Raises ValueError for anything that it does not write."""
        if len(line) > LONGEST_LINE:
            raise ValueError(f"it has more than {LONGEST_LINE} bytes")
        given = object_of(line)
        path, size, sha512 = given.pop("path", None), given.pop("size", None), given.pop("sha512", None)
        kind = Kind(given.pop("kind", None))
        if not isinstance(path, str) or type(size) is not int or not 0 <= size < _MOST_BYTES:
            raise ValueError("its path is not a text, or its size not a number of bytes")
        if not is_sha512(sha512):
            raise ValueError("its sha512 is not a SHA-512 in base64")
        form = _FACTS[kind]
        entry = cls(path, size, sha512, kind, None if form is None else read_as(form, given))
        if form is None and given:
            raise ValueError("it has other fields")
        if path != path_of(kind, entry.facts):
            raise ValueError(f"its path is not that of a {kind.value}")
        if entry.to_line() != line:
            raise ValueError("it is not written as a manifest is")
        return entry

    @classmethod
    def from_checked_line(cls, line: bytes) -> "Entry":
        """As `from_line`, for a line that it has accepted; takes a tenth of the time."""
        given = orjson.loads(line)
        path, size, sha512, kind = given.pop("path"), given.pop("size"), given.pop("sha512"), Kind(given.pop("kind"))
        form = _FACTS[kind]
        if form is None:
            return cls(path, size, sha512, kind)
        for name in _TUPLES & given.keys():
            given[name] = tuple(given[name])
        return cls(path, size, sha512, kind, form(**given))


def path_of(kind: Kind, facts: Facts) -> str:
    """Where a file is in a bundle. Raises ValueError if the facts name no package."""
    if isinstance(facts, DocumentFacts):
        return f"documents/{hashlib.sha256(facts.url.encode()).hexdigest()}"
    if isinstance(facts, SymbolsFacts):
        return _path_of_symbols(facts)
    if facts is None:
        return ASSUMED
    identity = _identity(facts.id, facts.version)
    folder = f"{identity.lower_id}/{identity.lower_version}"
    match kind:
        case Kind.PACKAGE:
            return f"packages/{folder}/{identity.nupkg_name}"
        case Kind.PACKAGE_HASH:
            return f"packages/{folder}/{identity.nupkg_name}.sha512"
        case Kind.NUSPEC:
            return f"packages/{folder}/{identity.nuspec_name}"
        case Kind.HOSTED_PACKAGE:
            return f"hosted/{folder}/{identity.nupkg_name}"
        case _:
            return f"hosted/{folder}/{identity.lower_id}.{identity.lower_version}.snupkg"


def _identity(package_id: str, version: str) -> PackageIdentity:
    try:
        identity = PackageIdentity.parse(package_id, version)
    except InvalidRequest as error:
        raise ValueError(str(error)) from None
    if identity.lower_version != version:
        raise ValueError(f"its version is not in the form of URLs, {identity.lower_version}")
    return identity


def _path_of_symbols(facts: SymbolsFacts) -> str:
    """In the casing of the conventions of symbol stores. Raises ValueError."""
    if not is_pdb_name(facts.file) or facts.file != facts.file.lower() or not _PORTABLE_KEY.fullmatch(facts.key):
        raise ValueError("its file is not the name of a PDB in lower case, or its key not that of a portable PDB")
    if not read_symbol_checksums(facts.checksums).keys() <= set(CHECKSUM_ALGORITHMS):
        raise ValueError("its checksums have another algorithm")
    if not facts.packages or tuple(sorted(set(facts.packages))) != facts.packages:
        raise ValueError("its packages are not in order")
    for package in facts.packages:
        package_id, _, version = package.partition("/")
        if _identity(package_id, version).lower_id != package_id:
            raise ValueError("the id of a package is not in lower case")
    return f"symbols/{facts.file}/{facts.key[: -len(PORTABLE_AGE)]}{PORTABLE_AGE}/{facts.file}"
