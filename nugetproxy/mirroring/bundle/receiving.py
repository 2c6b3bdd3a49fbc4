"""Receiving the files of a bundle: each is verified, and staged if the mirror does not have it.

A package is checked as a download is, and against its line in the manifest. What the mirror has stays: the same content
is not stored again, another content for the same version is refused and reported. Files that only make the unpacked
bundle usable by itself (nuspecs, hashes) are verified and left behind: we derive ours from the package.
"""

import base64
import io
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Final

from nugetproxy.errors import InvalidBundle, StorageUnavailable
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.mirroring.bundle.manifest import (
    DocumentFacts,
    Entry,
    FileFacts,
    HostedFacts,
    Kind,
    PackageFacts,
    SymbolsFacts,
)
from nugetproxy.mirroring.bundle.reading import BundledFile, BundleReader
from nugetproxy.mirroring.bundle.staging import StagedDocument, StagedPackage, Staging, create
from nugetproxy.mirroring.bundle.symbols_arriving import is_lacking, stage_symbols
from nugetproxy.mirroring.downloads.checks import ContentRejectedError, Received, Stated, check_content
from nugetproxy.mirroring.downloads.keys import package_key
from nugetproxy.mirroring.kept.files import FileKey, KeptFiles
from nugetproxy.mirroring.kept.guard import sha512_of
from nugetproxy.mirroring.kept.inventory import KeptPackage, rows_of
from nugetproxy.mirroring.kept.symbols import KeptSymbols
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.blobs.base import BlobStore
from nugetproxy.storage.spool import disk_failures

HOSTED: Final = frozenset({Kind.HOSTED_PACKAGE, Kind.HOSTED_SYMBOLS})

LARGEST_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes. A document is held in memory; that of a package with thousands of versions is a few megabytes."""

# Packages being checked while further ones are read. Each may hold a nuspec of up to 4 MiB.
_AT_ONCE: Final = 16
# Bytes up to which a package is held in memory until a thread writes it.
_SMALL: Final = 128 * 1024
# A file, its nuspec and their folders take this many bytes beside their content.
_OVERHEAD: Final = 16 * 1024


@dataclass
class Contents:
    """What a bundle has that the mirror lacks, and what it has that the mirror has otherwise.

    `packages`, `documents` and `symbols` (PDBs) are new here, `hosted` all files of hosted packages; `had` are packages
    that are kept already. `conflicts` are those kept with another content, `missing` those that the bundle assumes to
    be here; both as text.
    """

    packages: int = 0
    package_bytes: int = 0
    documents: int = 0
    document_bytes: int = 0
    symbols: int = 0
    symbols_bytes: int = 0
    hosted: int = 0
    hosted_bytes: int = 0
    had: int = 0
    conflicts: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def disk_bytes(self) -> int:
        """What staging and committing them takes. Packages are moved, documents and hosted packages are copied."""
        twice = self.documents + self.hosted
        size = self.package_bytes + self.symbols_bytes + 2 * (self.document_bytes + self.hosted_bytes)
        return size + (self.packages + self.symbols + 2 * twice) * _OVERHEAD


@dataclass(frozen=True, slots=True)
class HostedFile:
    """A staged file of a hosted package. `facts` are those of the package, also for its symbols."""

    path: Path
    entry: Entry
    facts: HostedFacts


class _Here(Enum):
    ABSENT = "absent"
    SAME = "same"
    OTHER = "other"


class Receiving:
    """Receives one bundle. `places` are the names of upstreams here, by those of the bundle, which is named `where`."""

    def __init__(
        self,
        files: KeptFiles,
        symbols: KeptSymbols,
        blobs: BlobStore,
        places: Mapping[str, str],
        where: str,
        *,
        hosted: bool = False,
    ) -> None:
        """`hosted`: whether hosted packages are staged, too."""
        self.hosted: list[HostedFile] = []
        """What was staged of them."""
        self._takes_hosted = hosted
        self._files = files
        self._symbols = symbols
        self._blobs = blobs
        self._places = places
        self._where = where

    def look(self, entries: Iterable[Entry]) -> Contents:
        """What of these is new here. Blocks; raises InvalidBundle, StorageUnavailable."""
        found = Contents()
        for entry in entries:
            match entry.facts:
                case PackageFacts() as facts if entry.kind is Kind.PACKAGE:
                    self._look_at_package(entry, facts, found)
                case DocumentFacts():
                    found.documents += 1
                    found.document_bytes += entry.size
                case SymbolsFacts() as facts if self._lacks_symbols(facts):
                    found.symbols += 1
                    found.symbols_bytes += entry.size
                case HostedFacts() | FileFacts() if entry.kind in HOSTED:
                    found.hosted += 1
                    found.hosted_bytes += entry.size if self._takes_hosted else 0
        return found

    def receive(
        self,
        bundle: BundleReader,
        staging: Staging,
        advanced: Callable[[int], None] = lambda _: None,
    ) -> list[str]:
        """Read the files to the end of the bundle, verify each, and stage what is new; `staging` is open.

        `advanced` is called with the size of each piece that was read, and may raise to stop. Returns the packages that
        the bundle assumes to be here and are not. Blocks.

        Raises InvalidBundle, StorageUnavailable.
        """
        there = staging.open()
        missing: list[str] = []
        # One thread beside the one that reads: with more, small packages wait for the interpreter's lock.
        with ThreadPoolExecutor(1, thread_name_prefix="import") as pool:
            pending: deque[Future[StagedPackage]] = deque()
            try:
                for number, file in enumerate(bundle.files(advanced)):
                    while pending and (len(pending) >= _AT_ONCE or pending[0].done()):
                        staging.add(pending.popleft().result())
                    self._receive_file(number, file, staging, there, pool, pending, missing)
                while pending:
                    staging.add(pending.popleft().result())
            except BaseException:  # whatever it is, nothing may write to the area afterwards
                for each in pending:
                    if not each.cancel():
                        with suppress(InvalidBundle, StorageUnavailable):
                            staging.add(each.result())
                raise
        return missing

    def _receive_file(
        self,
        number: int,
        file: BundledFile,
        staging: Staging,
        there: set[int],
        pool: ThreadPoolExecutor,
        pending: "deque[Future[StagedPackage]]",
        missing: list[str],
    ) -> None:
        entry = file.entry
        facts = entry.facts
        if entry.kind is Kind.ASSUMED:
            missing.extend(self._missing(file))
        elif number in there:
            _read_through(file)
        elif isinstance(facts, DocumentFacts):
            staging.add(_stage_document(number, file, facts, self._where, staging))
        elif isinstance(facts, PackageFacts) and (places := self._absent(entry, facts)):
            job = number, entry, facts, places, self._where, staging
            if entry.size <= _SMALL:
                pending.append(pool.submit(_write_and_check, *job, file.read()))
            else:
                modified = _write(staging.path(number), file.chunks())
                pending.append(pool.submit(_check_written, *job, modified))
        elif isinstance(facts, SymbolsFacts) and self._lacks_symbols(facts):
            staging.add(stage_symbols(number, file, facts, self._here, self._where, staging))
        elif self._takes_hosted and entry.kind in HOSTED:
            _write(staging.path(number), file.chunks())
            self._note_hosted(staging.path(number), entry)
        else:
            _read_through(file)

    def _note_hosted(self, path: Path, entry: Entry) -> None:
        facts = entry.facts
        if isinstance(facts, FileFacts) and self.hosted and self.hosted[-1].entry.identity == entry.identity:
            facts = self.hosted[-1].facts  # symbols follow their package
        if not isinstance(facts, HostedFacts):
            raise InvalidBundle(self._where, f"{entry.path} has no package")
        self.hosted.append(HostedFile(path, entry, facts))

    @property
    def _here(self) -> list[str]:
        """Our names of the bundle's upstreams."""
        return sorted(set(self._places.values()))

    def _lacks_symbols(self, facts: SymbolsFacts) -> bool:
        return is_lacking(self._symbols, self._blobs, facts, self._here)

    # --- what is here -------------------------------------------------------------------------------------------------

    def _look_at_package(self, entry: Entry, facts: PackageFacts, found: Contents) -> None:
        states = self._states(entry, facts)
        if _Here.OTHER in states.values():
            found.conflicts.append(f"{facts.id} {facts.version}")
        elif _Here.ABSENT in states.values():
            found.packages += 1
            found.package_bytes += entry.size
        else:
            found.had += 1

    def _absent(self, entry: Entry, facts: PackageFacts) -> list[str]:
        """The upstreams of the mirror that lack the package; none if one has it with another content."""
        states = self._states(entry, facts)
        if _Here.OTHER in states.values():
            return []
        return [place for place, state in states.items() if state is _Here.ABSENT]

    def _states(self, entry: Entry, facts: PackageFacts) -> dict[str, _Here]:
        places = dict.fromkeys(self._places.get(name, "") for name in facts.upstreams)
        if not places or "" in places:
            raise InvalidBundle(self._where, f"{entry.path} is from an upstream that the bundle does not describe")
        _, lower_id, lower_version, _ = entry.path.split("/")
        return {place: self._state((place, lower_id, lower_version), entry.sha512, facts) for place in places}

    def _state(self, key: FileKey, sha512: str, facts: PackageFacts) -> _Here:
        file = package_key(*key)
        if self._blobs.stat(file) is None:
            return _Here.ABSENT
        expected = self._files.expected(key)
        if expected is not None and (expected.sha512 == sha512 or expected.content_hash == facts.content_hash):
            return _Here.SAME
        if expected is not None and expected.content_hash:
            return _Here.OTHER
        with disk_failures("read a kept package"):
            return _Here.SAME if sha512_of(self._blobs.path(file)) == sha512 else _Here.OTHER

    def _missing(self, file: BundledFile) -> list[str]:
        """The packages that the bundle assumes to be here and are not."""
        missing = []
        rest = b""
        for chunk in file.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                try:
                    entry = Entry.from_line(line + b"\n")
                except ValueError as error:
                    raise InvalidBundle(self._where, f"a line of what it assumes cannot be read: {error}") from None
                facts = entry.facts
                if isinstance(facts, PackageFacts) and _Here.ABSENT in self._states(entry, facts).values():
                    missing.append(f"{facts.id} {facts.version}")
        if rest:
            raise InvalidBundle(self._where, "the last line of what it assumes is cut off")
        return missing


def _read_through(file: BundledFile) -> None:
    """Verify a file that is not needed: a bundle that was tampered with anywhere is refused."""
    for _ in file.chunks():
        pass


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    """Returns the time of the file, in nanoseconds."""
    with disk_failures("write to the staging area of an import"), create(path) as out:
        for chunk in chunks:
            out.write(chunk)
        out.flush()
        return os.fstat(out.fileno()).st_mtime_ns


def _write_and_check(
    number: int, entry: Entry, facts: PackageFacts, places: list[str], where: str, staging: Staging, content: bytes
) -> StagedPackage:
    """Several at a time: on a busy disk, each new file waits for what others write."""
    modified = _write(staging.path(number), [content])
    return _check(number, entry, facts, places, where, staging, modified, io.BytesIO(content))


def _check_written(
    number: int, entry: Entry, facts: PackageFacts, places: list[str], where: str, staging: Staging, modified: int
) -> StagedPackage:
    with disk_failures("read the staging area of an import"), staging.path(number).open("rb") as file:
        return _check(number, entry, facts, places, where, staging, modified, file)


def _check(
    number: int, entry: Entry, facts: PackageFacts, places: list[str], where: str, staging: Staging, modified: int,
    file: BinaryIO,
) -> StagedPackage:  # fmt: skip
    """Check a package of which the hash is right, and write its nuspec. Blocks."""
    identity = PackageIdentity.parse(facts.id, facts.version)
    received = Received(file, entry.size, base64.b64decode(entry.sha512), b"")
    try:
        accepted = check_content(received, Stated(entry.size, entry.sha512), identity)
    except ContentRejectedError as error:
        raise InvalidBundle(where, f"{entry.path} is not the package {identity}: {error}") from None
    if accepted.content_hash != facts.content_hash:
        raise InvalidBundle(where, f"{entry.path} has another content hash than the manifest states")
    if accepted.nuspec is not None:
        nuspec = staging.nuspec_path(number)
        _write(nuspec, [accepted.nuspec])
        with disk_failures("write to the staging area of an import"):
            # With the time of the package, which shows later that nobody changed it.
            os.utime(nuspec, ns=(modified, modified))
    now = int(time.time())
    kept = KeptPackage("", accepted.manifest, entry.size, facts.content_hash, now, modified, entry.sha512, 0, now)
    row, file_row = rows_of(kept)
    return StagedPackage(
        number,
        places,
        identity.lower_id,
        identity.lower_version,
        entry.size,
        modified,
        entry.sha512,
        accepted.nuspec is not None,
        row,
        file_row,
    )


def _stage_document(
    number: int, file: BundledFile, facts: DocumentFacts, where: str, staging: Staging
) -> StagedDocument:
    if not facts.url.startswith(("https://", "http://")) or facts.status != 200:
        raise InvalidBundle(where, f"{file.entry.path} is not a document of an upstream")
    if file.entry.size > LARGEST_DOCUMENT:
        raise InvalidBundle(where, f"{file.entry.path} is larger than {LARGEST_DOCUMENT} bytes")
    now = time.time()
    stored = StoredResponse(
        facts.url,
        facts.status,
        file.read(),
        facts.etag,
        facts.last_modified,
        facts.content_type,
        # A sender's clock that is ahead must not make its documents the newest for years.
        fetched=min(facts.fetched, now),
        confirmed=min(facts.confirmed, now),
        # It may have changed since, and whether it did was not followed here: online it is revalidated before use.
        expired=True,
    )
    content = stored.to_bytes()
    modified = _write(staging.path(number), [content])
    return StagedDocument(number, facts.url, len(content), modified)
