"""Hosted packages as entries of a bundle: `hosting` and `mirroring` do not know each other."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import orjson

from nugetproxy.hosting.carried import CarriedPackage, CarriedPackages
from nugetproxy.mirroring.bundle.manifest import Entry, FileFacts, HostedFacts, Kind, path_of
from nugetproxy.mirroring.bundle.writing import Problems
from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobStore

KINDS: Final = frozenset({Kind.HOSTED_PACKAGE, Kind.HOSTED_SYMBOLS})

_CHUNK: Final = 256 * 1024


class HostedContent:
    """The hosted packages whose ids match one of the globs, as `writing.Content`; of `wanted`, if that is given."""

    def __init__(
        self,
        packages: CarriedPackages,
        blobs: BlobStore,
        globs: Sequence[str],
        wanted: Collection[PackageIdentity] | None,
    ) -> None:
        self._packages = packages
        self._blobs = blobs
        self._globs = globs
        self._wanted = wanted

    def entries(self, problems: Problems) -> Iterator[Entry]:
        """See `Content`."""
        for package in self._chosen():
            found = self._packages.find(package)
            if found is None:
                continue  # deleted a moment ago
            facts = _facts(found)
            for kind, about, stored in (
                (Kind.HOSTED_PACKAGE, facts, found.package),
                (Kind.HOSTED_SYMBOLS, FileFacts(facts.id, facts.version), found.symbols),
            ):
                if stored is None:
                    continue
                kept = self._blobs.stat(stored.blob)
                if kept is None or kept.size != stored.size:
                    problems.add(f"the file of the hosted {package} is missing or damaged: restore it from a backup")
                    continue
                yield Entry(path_of(kind, about), stored.size, stored.sha512, kind, about)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """See `Content`."""
        package = entry.identity
        found = None if package is None else self._packages.find(package)
        stored = None if found is None else found.symbols if entry.kind is Kind.HOSTED_SYMBOLS else found.package
        if stored is None:
            raise FileNotFoundError(entry.path)
        with self._blobs.path(stored.blob).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def _chosen(self) -> Iterator[PackageIdentity]:
        """In the order of paths."""
        folders = {
            f"{lower_id}/{lower_version}/": PackageIdentity.parse(lower_id, lower_version)
            for lower_id, lower_version in self._packages.versions()
            if any_glob_matches(self._globs, lower_id)
        }
        for folder in sorted(folders, key=str.encode):
            if self._wanted is None or folders[folder] in self._wanted:
                yield folders[folder]


def _facts(carried: CarriedPackage) -> HostedFacts:
    package = carried.package
    deprecation = package.deprecation
    return HostedFacts(
        id=package.manifest.id.text,
        version=package.identity.lower_version,
        content_hash=package.content_hash,
        owners=carried.owners,
        listed=package.listed,
        published=package.published,
        created=package.created,
        last_edited=package.last_edited,
        downloads=carried.downloads,
        deprecation="" if deprecation is None else orjson.dumps(deprecation.as_dict()).decode(),
    )
