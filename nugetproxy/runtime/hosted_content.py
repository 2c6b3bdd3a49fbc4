"""Hosted packages as entries of a bundle: `hosting` and `mirroring` do not know each other."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from nugetproxy.hosting.carried import CarriedPackage
from nugetproxy.hosting.packages import StoredContent
from nugetproxy.mirroring.bundle.manifest import Entry, FileFacts, HostedFacts, Kind, path_of
from nugetproxy.mirroring.bundle.writing import Problems
from nugetproxy.nuget.globs import any_glob_matches
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import Blobs

KINDS: Final = frozenset({Kind.HOSTED_PACKAGE, Kind.HOSTED_SYMBOLS})

_CHUNK: Final = 256 * 1024


class HostedContent:
    """The hosted packages whose ids match one of the globs, as `writing.Content`; of `wanted`, if that is given."""

    def __init__(
        self,
        packages: Iterable[CarriedPackage],
        blobs: Blobs,
        globs: Sequence[str],
        wanted: Collection[PackageIdentity] | None,
    ) -> None:
        self._blobs = blobs
        self._packages = sorted(
            (
                each
                for each in packages
                if any_glob_matches(globs, each.lower_id) and (wanted is None or each.identity in wanted)
            ),
            key=lambda each: f"{each.lower_id}/{each.lower_version}/".encode(),  # the order of paths
        )
        self._stored: dict[str, StoredContent] = {}

    def entries(self, problems: Problems) -> Iterator[Entry]:
        """See `Content`."""
        for package in self._packages:
            facts = _facts(package)
            for kind, about, stored in (
                (Kind.HOSTED_PACKAGE, facts, package.package),
                (Kind.HOSTED_SYMBOLS, FileFacts(facts.id, facts.version), package.symbols),
            ):
                if stored is None:
                    continue
                kept = self._blobs.stat(stored.blob)
                if kept is None or kept.size != stored.size:
                    problems.add(
                        f"the file of the hosted {package.identity} is missing or damaged: restore it from a backup"
                    )
                    continue
                path = path_of(kind, about)
                self._stored[path] = stored
                yield Entry(path, stored.size, stored.sha512, kind, about)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """See `Content`."""
        try:
            opened = self._blobs.open(self._stored[entry.path].blob)
        except KeyError as error:
            raise FileNotFoundError(str(error)) from error
        with opened as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _facts(carried: CarriedPackage) -> HostedFacts:
    return HostedFacts(
        id=carried.package_id,
        version=carried.lower_version,
        content_hash=carried.content_hash,
        owners=carried.owners,
        listed=carried.listed,
        published=carried.published,
        created=carried.created,
        last_edited=carried.last_edited,
        downloads=carried.downloads,
        deprecation=carried.deprecation,
    )
