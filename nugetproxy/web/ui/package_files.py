"""The files inside a package: the list, as a tree, and what of one of them is shown. Blocking: run it in a thread.

Names come from the package and are only compared and shown: nothing is ever written under them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.executors.threads import yielding
from nugetproxy.feeds.base import LocalFile
from nugetproxy.nuget.archive import Entry
from nugetproxy.nuget.archive_contents import read_entry, read_start
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.public_names import public_names
from nugetproxy.nuget.signature import read_package_signature
from nugetproxy.nuget.signature_cms import PackageSignature

MOST_LISTED: Final = 20_000
"""Files of a package that are looked at."""
MOST_IN_TREE: Final = 400
"""Files in a part of the tree that is shown as a whole; of a larger one, the folders are links."""
LONGEST_SHOWN: Final = 48_000
"""Bytes of a file that are shown."""

# Folders inside folders that are shown as such; what is deeper keeps its path in one name.
_DEEPEST: Final = 12
_LONGEST_NAME: Final = 300
_LARGEST_ASSEMBLY: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One file. `crc` is that of the archive, None if only a list of names and sizes is known. Sizes in bytes."""

    path: str
    size: int
    crc: int | None = None


@dataclass(slots=True)
class Folder:
    """Part of a tree. `count` and `size` include everything below."""

    name: str
    path: str
    folders: dict[str, "Folder"] = field(default_factory=dict)
    files: list[tuple[str, PackedFile]] = field(default_factory=list)
    count: int = 0
    size: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all of it is shown at once."""
        return self.count <= MOST_IN_TREE


@dataclass(frozen=True, slots=True)
class FileText:
    """The beginning of a file. `text` is None if it is not text."""

    path: str
    size: int
    text: str | None
    is_whole: bool


def listed(file: LocalFile) -> tuple[PackedFile, ...]:
    """Raises InvalidPackage, OSError."""
    with file.path.open("rb") as opened:
        return tuple(
            PackedFile(entry.name, entry.size, entry.crc)
            for entry in islice(Nupkg(opened).entries, MOST_LISTED)
            if not entry.name.endswith(("/", "\\"))
        )


def stated_signature(file: LocalFile) -> PackageSignature | None:
    """Who signed the package, as its signature states it; None if it is unsigned. Nothing is verified.

    Raises InvalidPackage, OSError.
    """
    with file.path.open("rb") as opened:
        return read_package_signature(opened)


def shown_file(file: LocalFile, path: str) -> FileText | None:
    """The file at exactly this path; None if there is none. Raises InvalidPackage, OSError."""
    with file.path.open("rb") as opened:
        entry: Entry | None = next((each for each in Nupkg(opened).entries if each.name == path), None)
        if entry is None:
            return None
        body = read_start(opened, entry, LONGEST_SHOWN + 1)
    return FileText(path, entry.size, _text_of(body[:LONGEST_SHOWN]), len(body) <= LONGEST_SHOWN)


def names_in(file: LocalFile, paths: Collection[str]) -> dict[str, frozenset[str]]:
    """The public names in these assemblies, as far as they are readable and not too large.

    Raises InvalidPackage, OSError.
    """
    found = {}
    with file.path.open("rb") as opened:
        for entry in Nupkg(opened).entries:
            if entry.name in paths and entry.size <= _LARGEST_ASSEMBLY:
                try:
                    content = read_entry(opened, entry, _LARGEST_ASSEMBLY)
                    found[entry.name] = frozenset(yielding(public_names(content, entry.name)))
                except InvalidPackage:
                    continue
    return found


def tree_of(files: Iterable[PackedFile], below: str = "") -> Folder | None:
    """The tree, or the part of it in the folder `below`; None if there is no such folder."""
    root = Folder("", "")
    for each in files:
        parts = [part for part in each.path.replace("\\", "/").split("/") if part]
        if len(parts) > _DEEPEST:
            parts = [*parts[: _DEEPEST - 1], "/".join(parts[_DEEPEST - 1 :])]
        *above, name = parts or ["(no name)"]
        at = root
        at.count, at.size = at.count + 1, at.size + each.size
        for part in above:
            at = at.folders.setdefault(part, Folder(_short(part), f"{at.path}/{part}" if at.path else part))
            at.count, at.size = at.count + 1, at.size + each.size
        at.files.append((_short(name), each))
    found: Folder | None = root
    for part in filter(None, below.split("/")):
        found = found.folders.get(part) if found is not None else None
    return found


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."


def _text_of(body: bytes) -> str | None:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "replace")
    if b"\x00" in body:
        return None
    for end in range(4):  # the cut may divide a character
        try:
            return body[: len(body) - end].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return body.decode("latin-1") if _is_mostly_printable(body) else None


def _is_mostly_printable(body: bytes) -> bool:
    odd = sum(1 for byte in body[:2000] if byte < 9 or 13 < byte < 32)
    return odd * 50 < max(1, len(body[:2000]))
