"""A folder as a source: package files in any depth, as another server stored them or as somebody copied them.

Only regular files below the folder are read. Links are not followed, whatever they point to.
"""

import base64
import binascii
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from nugetproxy.errors import EmptyDocument, InvalidPackage, InvalidRequest, TooLarge, UnreadableDocument
from nugetproxy.executors.threads import DISK
from nugetproxy.feeds.offers import FileKind, History, Offer, Unusable, history_of, plausible_date
from nugetproxy.hosting.moving_in.baget import USUAL_NAMES, read_baget
from nugetproxy.hosting.moving_in.names import OLD_SYMBOLS, kind_of, stated_by_path
from nugetproxy.hosting.moving_in.nexus import (
    CONTENT_SUFFIX,
    LARGEST_PROPERTIES,
    PROPERTIES_SUFFIX,
    read_blob,
)
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.protocol.v3.registration_reader import read_index
from nugetproxy.storage.spool import BLOCK, Spool

_REGISTRATIONS: Final = ("registration", "registrations", "registration-gz-semver2")
"""Where a static feed has its registrations, beside the folder of its packages. Sleet uses the first name."""
_LARGEST_REGISTRATION: Final = 64 * 1024 * 1024
_HASH_SUFFIX: Final = ".sha512"
_LONGEST_HASH: Final = 128
_ZIP: Final = b"PK\x03\x04"


class FolderSource:
    """Every package file below a folder."""

    def __init__(self, folder: Path, *, database: Path | None = None, repository: str = "") -> None:
        """`database`: of BaGet, by default that in the folder. `repository`: of Nexus, all of them if empty."""
        self._folder = folder
        self._database = database
        self._repository = repository
        self._paths: dict[str, Path] = {}
        self._leaves: dict[tuple[Path, str], dict[str, Leaf]] = {}

    @property
    def name(self) -> str:
        return str(self._folder)

    async def offers(self) -> AsyncIterator[Offer | Unusable]:
        """Raises InvalidRequest when the folder or the database cannot be read."""
        for offer in await DISK.run(lambda: list(self._found())):
            yield offer

    def local(self, offer: Offer) -> Path | None:
        return self._paths.get(offer.place)

    async def copy(self, offer: Offer, spool: Spool, limit: int) -> None:
        await DISK.run(_copy, self._paths[offer.place], offer, spool, limit)

    # --- in a thread --------------------------------------------------------------------------------------------------

    def _found(self) -> Iterator[Offer | Unusable]:
        if not self._folder.is_dir():
            raise InvalidRequest(f"{self._folder} is not a folder")
        known = self._known()
        missing = set(known)
        for found in self._walk(self._folder):
            if isinstance(found, Unusable):
                yield found
                continue
            offer = self._offer(found)
            if isinstance(offer, Offer) and offer.identity is not None and offer.identity in known:
                missing.discard(offer.identity)
                offer = replace(offer, history=known[offer.identity])
            if offer is not None:
                yield offer
        for package in sorted(missing, key=str):
            yield Unusable(str(package), "the database has it, but there is no file of it below the folder")

    def _known(self) -> dict[PackageIdentity, History]:
        if self._database is not None:
            return read_baget(self._database)
        usual = (self._folder / name for name in USUAL_NAMES)
        return next((read_baget(path) for path in usual if path.is_file() and not path.is_symlink()), {})

    def _walk(self, folder: Path) -> Iterator[Path | Unusable]:
        """Regular files, folder by folder in the order of their names."""
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                yield Unusable(self._place(folder), f"the folder cannot be read: {error.strerror}")
                continue
            for entry in entries:
                path = Path(entry.path)
                if entry.is_symlink():
                    if kind_of(entry.name) is not None or entry.is_dir():
                        yield Unusable(self._place(path), "it is a link; links are not followed")
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif entry.is_file(follow_symlinks=False):
                    yield path
                elif kind_of(entry.name) is not None:
                    yield Unusable(self._place(path), "it is not a regular file")

    def _offer(self, path: Path) -> Offer | Unusable | None:
        """None for a file that is no package."""
        if path.name.lower().endswith(OLD_SYMBOLS):
            why = "symbols in the old form (.symbols.nupkg) are not taken over; only .snupkg is"
            return Unusable(self._place(path), why, is_loss=False)
        if path.name.endswith(CONTENT_SUFFIX):
            return self._blob(path)
        kind = kind_of(path.name)
        if kind is None:
            return None
        package = stated_by_path(path.parts)
        return self._described(path, kind, package, self._history(path, package))

    def _blob(self, path: Path) -> Offer | None:
        properties = path.with_name(path.name.removesuffix(CONTENT_SUFFIX) + PROPERTIES_SUFFIX)
        text = _read_small(properties, LARGEST_PROPERTIES)
        if text is None:
            return None
        blob = read_blob(text.decode("latin-1"))
        wanted = not self._repository or blob.repository == self._repository
        if blob.is_deleted or not wanted or blob.kind is None or not _begins_like_a_zip(path):
            return None
        offer = self._described(path, blob.kind, blob.package, History(blob.created))
        return replace(offer, notes=(f"In the repository {blob.repository}: {blob.name}",))

    def _described(
        self, path: Path, kind: FileKind, package: PackageIdentity | None, history: History
    ) -> Offer:  # fmt: skip
        place = self._place(path)
        self._paths[place] = path
        return Offer(place, kind, package, history, sha512=_stated_hash(path))

    def _history(self, path: Path, package: PackageIdentity | None) -> History:
        if package is not None:
            leaf = self._leaves_beside(path, package.id).get(package.lower_version)
            if leaf is not None:
                return history_of(leaf)
        with suppress(OSError):
            return History(plausible_date(path.stat(follow_symlinks=False).st_mtime_ns // 1000))
        return History()

    def _leaves_beside(self, path: Path, package_id: PackageId) -> dict[str, Leaf]:
        """The leaves of an id by lower version, where the folder is that of a static feed."""
        base = path.parents[2]
        key = base, package_id.lower
        if key not in self._leaves:
            # Files of one id come together: no more than one id's leaves are needed at a time.
            self._leaves = {key: _read_leaves(base.parent, package_id)}
        return self._leaves[key]

    def _place(self, path: Path) -> str:
        """The path below the folder; a name that is not UTF-8 is written with question marks."""
        text = os.fsencode(path.relative_to(self._folder)).decode("utf-8", "replace")
        place, number = text, 1
        while place in self._paths:
            number += 1
            place = f"{text} ({number})"
        return place


def _read_leaves(feed: Path, package_id: PackageId) -> dict[str, Leaf]:
    for name in _REGISTRATIONS:
        body = _read_small(feed / name / package_id.lower / "index.json", _LARGEST_REGISTRATION)
        if body is not None:
            with suppress(UnreadableDocument, EmptyDocument):
                return {leaf.version.lower: leaf for leaf in read_index(body, package_id).loaded_leaves}
    return {}


def _stated_hash(path: Path) -> str:
    """The hash that NuGet's folders have in a file beside the package; empty if there is none."""
    text = _read_small(path.with_name(path.name + _HASH_SUFFIX), _LONGEST_HASH)
    if text is not None:
        with suppress(binascii.Error, ValueError):
            stated = text.decode("ascii").strip()
            if len(base64.b64decode(stated, validate=True)) == 64:
                return stated
    return ""


def _read_small(path: Path, limit: int) -> bytes | None:
    """The bytes of a regular file; None if there is none, or it is larger than `limit`."""
    try:
        with _opened(path) as file:
            body = file.read(limit + 1)
    except OSError:
        return None
    return body if len(body) <= limit else None


def _begins_like_a_zip(path: Path) -> bool:
    try:
        with _opened(path) as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError:
        return False


def _opened(path: Path) -> BinaryIO:
    """A regular file that is not a link. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:  # whatever it was, the descriptor must not leak
        os.close(descriptor)
        raise


def _copy(path: Path, offer: Offer, spool: Spool, limit: int) -> None:
    try:
        file = _opened(path)
    except OSError as error:
        raise InvalidPackage(f"it cannot be read: {error.strerror}") from error
    with file:
        while True:
            try:
                block = file.read(BLOCK)
            except OSError as error:
                raise InvalidPackage(f"it cannot be read: {error.strerror}") from error
            if not block:
                return
            if spool.size + len(block) > limit:
                raise TooLarge(offer.place, limit)
            spool.append(block)
