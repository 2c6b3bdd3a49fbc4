"""The packages of a mirror as entries of a bundle: the file, its hash and its nuspec, as in a folder of NuGet's.

What the inventory says is believed until the file is read: sizes are compared when entries are made, hashes when
content is copied.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final

from nugetproxy.errors import InvalidPackage, InvalidRequest
from nugetproxy.mirroring.bundle.hashing import file_sha512, sha512_of
from nugetproxy.mirroring.bundle.manifest import Entry, FileFacts, Kind, PackageFacts, path_of
from nugetproxy.mirroring.bundle.writing import Problems
from nugetproxy.mirroring.downloads.keys import package_key
from nugetproxy.mirroring.kept.files import DescribedFile, FileKey, KeptFiles
from nugetproxy.mirroring.kept.parts import is_original
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.signature import content_hash
from nugetproxy.storage.blobs.base import BlobStore

Describe = Callable[[str, PackageIdentity], tuple[str, bool | None, str]]
"""What is known about a package of an upstream: when it was published, whether it is listed, and the verdict."""
KINDS: Final = frozenset({Kind.PACKAGE, Kind.PACKAGE_HASH, Kind.NUSPEC})

_CHUNK: Final = 256 * 1024
# Upstream, id, version, file.
_DEPTH: Final = 4
# The nuspecs of a few packages are larger than those that are held in memory elsewhere.
_LIMITS: Final = ArchiveLimits(max_nuspec_size=256 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class _Kept:
    """One kept package: `keys` are its files, one for each upstream, the first of which is taken."""

    identity: PackageIdentity
    keys: tuple[FileKey, ...]


class KeptPackages:
    """The packages in `blobs`, as `writing.Content`: all, or the wanted ones, of which a missing one is a problem.

    `order` are the names of upstreams: of those that a package was fetched from, the first one counts. Packages of
    others are a problem: a receiver could not serve them.
    """

    def __init__(
        self,
        files: KeptFiles,
        blobs: BlobStore,
        order: Sequence[str],
        wanted: Collection[PackageIdentity] | None,
        describe: Describe,
    ) -> None:
        self._files = files
        self._blobs = blobs
        self._rank = {name: number for number, name in enumerate(order)}
        self._wanted = wanted
        self._describe = describe
        self._upstream = ""
        """That of the last package that was read."""

    def entries(self, problems: Problems) -> Iterator[Entry]:
        """See `Content`."""
        for kept in self._kept(problems):
            yield from self._entries_of(kept, problems)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """See `Content`. The bytes may have changed since `entries`. What is beside a package follows it."""
        _, lower_id, lower_version, name = entry.path.split("/")
        if isinstance(entry.facts, PackageFacts):
            self._upstream = entry.facts.upstreams[0]
        key = self._upstream, lower_id, lower_version
        path = self._path(key)
        if entry.kind is Kind.NUSPEC:
            yield nuspec_of(path, name)
        elif entry.kind is Kind.PACKAGE_HASH:
            row = self._files.described(key)
            yield ((row.sha512 if row is not None else "") or file_sha512(path)).encode()
        else:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk

    def _path(self, key: FileKey) -> Path:
        return self._blobs.path(package_key(*key))

    def _kept(self, problems: Problems) -> Iterator[_Kept]:
        """In the order of paths. Memory is some hundred bytes for each package."""
        unknown: dict[str, set[str]] = defaultdict(set)
        places: set[str] = set()
        for upstream, lower_id, lower_version in self._all() if self._wanted is None else self._of(self._wanted):
            rank = self._rank.get(upstream)
            if rank is None:
                unknown[upstream].add(f"{lower_id} {lower_version}")
            else:
                # Sorts as the paths below the folder, and then by upstream.
                places.add(f"{lower_id}/{lower_version}/{rank:04}")
        for upstream, packages in sorted(unknown.items()):
            problems.add(
                f"{len(packages)} packages are from the upstream {upstream}, whose service index is not known: name it"
                f" in the settings, or remove mirror/{upstream}"
            )
        found = 0
        names = list(self._rank)
        for folder, group in groupby(sorted(places, key=str.encode), key=lambda place: place.rpartition("/")[0]):
            lower_id, _, lower_version = folder.partition("/")
            upstreams = [names[int(place.rpartition("/")[2])] for place in group]
            try:
                identity = PackageIdentity.parse(lower_id, lower_version)
            except InvalidRequest:
                continue  # put there by hand: never served
            if (identity.lower_id, identity.lower_version) == (lower_id, lower_version):
                found += 1
                yield _Kept(identity, tuple((name, lower_id, lower_version) for name in upstreams))
        if self._wanted is not None and found < len(self._wanted):
            self._tell_missing(self._wanted, places, problems)

    def _tell_missing(self, wanted: Collection[PackageIdentity], places: Collection[str], problems: Problems) -> None:
        folders = {place.rpartition("/")[0] for place in places}
        for package in sorted(wanted, key=str):
            if f"{package.lower_id}/{package.lower_version}" not in folders:
                problems.add(f"{package} is not in the mirror")

    def _entries_of(self, kept: _Kept, problems: Problems) -> Iterator[Entry]:
        files = [self._file(key, kept.identity, problems) for key in kept.keys]
        found = [file for file in files if file is not None]
        if len(found) < len(files):
            return
        row = found[0]
        upstreams = tuple(upstream for upstream, _, _ in kept.keys)
        if any(other.sha512 != row.sha512 for other in found):
            problems.add(
                f"{kept.identity} was fetched from {' and '.join(upstreams)}, with different content: evict it with"
                " `nugetproxy mirror evict`"
            )
            return
        try:
            nuspec = nuspec_of(self._path(kept.keys[0]), kept.identity.nuspec_name)
        except (OSError, InvalidPackage) as error:
            problems.add(f"the nuspec of {kept.identity} cannot be read: {error}")
            return
        published, listed, verdict = self._describe(upstreams[0], kept.identity)
        facts = PackageFacts(
            row.package_id, kept.identity.lower_version, row.content_hash, upstreams, row.committed, published, listed,
            verdict,
        )  # fmt: skip
        beside = FileFacts(facts.id, facts.version)
        yield Entry(path_of(Kind.PACKAGE, facts), row.size, row.sha512, Kind.PACKAGE, facts)
        yield _beside(Kind.PACKAGE_HASH, beside, row.sha512.encode())
        yield _beside(Kind.NUSPEC, beside, nuspec)

    def _file(self, key: FileKey, identity: PackageIdentity, problems: Problems) -> DescribedFile | None:
        """What is known of a file, with its SHA-512; None after telling what is wrong with it."""
        kept, path = self._blobs.stat(package_key(*key)), self._path(key)
        row = self._files.described(key)
        try:
            if kept is None:
                problems.add(f"{identity} is in the inventory, but its file is missing")
                return None
            if row is None:  # copied here by hand, or committed a moment ago
                row = _described(path, identity)
            if kept.size != row.size:
                problems.add(f"{identity} has {kept.size} bytes instead of {row.size}")
                return None
            return row if row.sha512 else replace(row, sha512=file_sha512(path))
        except OSError as error:
            problems.add(f"{identity} cannot be read: {error.strerror}")
        except InvalidPackage as error:
            problems.add(f"{identity} is damaged: {error}")
        return None

    def _of(self, wanted: Collection[PackageIdentity]) -> Iterator[FileKey]:
        """The keys of these packages, if the inventory or the disk has them."""
        for package in wanted:
            for upstream in self._rank:
                key = upstream, package.lower_id, package.lower_version
                if self._files.described(key) is not None or self._blobs.stat(package_key(*key)) is not None:
                    yield key

    def _all(self) -> Iterator[FileKey]:
        """Those of the inventory, and those of files, which it may not know: most are named twice."""
        yield from self._files.all_keys()
        for blob in self._blobs.walk():
            if len(blob.key.segments) == _DEPTH:
                upstream, lower_id, lower_version, name = blob.key.segments
                if name == f"{lower_id}.{lower_version}.nupkg":
                    yield upstream, lower_id, lower_version


def _described(path: Path, identity: PackageIdentity) -> DescribedFile:
    """From the package itself. Raises OSError, InvalidPackage."""
    with path.open("rb") as file:
        manifest, status = Nupkg(file).manifest, os.fstat(file.fileno())
        file.seek(0)
        digest = content_hash(file)
    if manifest.identity != identity:
        raise InvalidPackage(f"it is {manifest.identity}")
    return DescribedFile(manifest.id.text, digest, int(status.st_mtime), status.st_size, "")


def nuspec_of(package: Path, name: str) -> bytes:
    """The nuspec of a kept package: the one beside it, or the one in it. Raises OSError, InvalidPackage."""
    nuspec = package.with_name(name)
    try:
        if is_original(nuspec, package):
            return nuspec.read_bytes()
    except FileNotFoundError:
        pass
    with package.open("rb") as file:
        return Nupkg(file, _LIMITS).nuspec


def _beside(kind: Kind, facts: FileFacts, content: bytes) -> Entry:
    return Entry(path_of(kind, facts), len(content), sha512_of(content), kind, facts)
