"""Read files and walk directories for the readers of this package: the only module here that touches the disk.

Sizes are bounded, and symbolic links are not followed out of the tree that was given.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from nugetproxy.errors import InvalidRequest

LARGEST_FILE: Final = 64 * 1024 * 1024
"""Bytes. The assets file of a large solution has 20 MB."""

MOST_FILES: Final = 200_000
"""In one directory source: more is a mistake, such as the root of a disk."""

_HEAD: Final = 64 * 1024
_LEFT_OUT: Final = frozenset({"bin", "obj", "node_modules", "packages"})


class Files(Protocol):
    """What readers ask about files. Paths are as the caller writes them; `..` and slashes are normalised here."""

    def read(self, path: str) -> bytes | None:
        """The content; None if there is no such file. Raises InvalidRequest when it cannot or must not be read."""

    def is_file(self, path: str) -> bool: ...

    def is_folder(self, path: str) -> bool: ...

    def matching(self, pattern: str) -> Iterator[str]:
        """The files that a path with `*`, `?` and `**` matches, sorted. Raises InvalidRequest for too many."""

    def shown(self, path: str) -> str:
        """The path for a message: relative to the current directory if it is below it."""


class Disk:
    """The files below some roots, and those outside that a file inside names.

    `outside` lists the latter: a caller says which files it read beyond what it was given.
    """

    def __init__(self, roots: list[Path]) -> None:
        self._roots = [(whole(root), str(root.resolve())) for root in map(_tree_of, roots)]
        self.outside: dict[str, None] = {}

    def read(self, path: str) -> bytes | None:
        if not self.is_file(path):
            return None
        if self._leaves_its_tree(path):
            raise InvalidRequest(
                f"{self.shown(path)}: a symbolic link that leads out of the directory; it is not followed"
            )
        try:
            size = Path(path).stat().st_size
            if size > LARGEST_FILE:
                raise InvalidRequest(
                    f"{self.shown(path)}: it has {size} bytes; files of at most {LARGEST_FILE} bytes are read"
                )
            with Path(path).open("rb") as file:
                content = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise InvalidRequest(f"{self.shown(path)}: it cannot be read: {error.strerror}") from error
        if len(content) > LARGEST_FILE:
            raise InvalidRequest(f"{self.shown(path)}: files of at most {LARGEST_FILE} bytes are read")
        if not any(_is_below(whole(path), root) for root, _ in self._roots):
            self.outside[path] = None
        return content

    def head(self, path: str) -> bytes:
        """The first bytes of a file found by `walk`; empty if it cannot be read."""
        try:
            with Path(path).open("rb") as file:
                return file.read(_HEAD)
        except OSError:
            return b""

    def is_file(self, path: str) -> bool:
        try:
            return Path(path).is_file()
        except (OSError, ValueError):  # a name that is too long, or has a NUL
            return False

    def is_folder(self, path: str) -> bool:
        try:
            return Path(path).is_dir()
        except (OSError, ValueError):
            return False

    def matching(self, pattern: str) -> Iterator[str]:
        parts = pattern.split("/")
        fixed = next(at for at, part in enumerate([*parts, "*"]) if "*" in part or "?" in part)
        folder = "/".join(parts[:fixed]) or "/"
        wanted = _glob(parts[fixed:])
        count = 0
        for place, folders, names in os.walk(folder, onerror=self._refuse, followlinks=False):
            folders.sort()
            if "**" not in parts and place.count("/") - folder.rstrip("/").count("/") >= len(parts) - fixed - 1:
                folders.clear()
            for name in sorted(names):
                count += 1
                if count > MOST_FILES:
                    raise InvalidRequest(f"{pattern}: more than {MOST_FILES} files below {folder}")
                path = posixpath.join(place, name)
                if wanted.fullmatch(posixpath.relpath(path, folder)):
                    yield path

    def shown(self, path: str) -> str:
        here = str(Path.cwd())
        if path.endswith(".cs.csproj") and not self.is_file(path):
            path = path.removesuffix(".csproj")  # the project that the SDK makes of a file-based app
        return posixpath.relpath(path, here) if path.startswith("/") and _is_below(path, here) else path

    def walk(self, folder: str) -> Iterator[str]:
        """All files below, in a stable order, without build output, packages and hidden folders (but `.config`).

        Linked folders are not entered, linked files that lead out of the tree are left out.
        """
        count = 0
        for place, folders, names in os.walk(folder, onerror=self._refuse, followlinks=False):
            folders[:] = sorted(each for each in folders if not _is_left_out(each))
            for name in sorted(names):
                count += 1
                if count > MOST_FILES:
                    raise InvalidRequest(f"{folder}: more than {MOST_FILES} files; name a smaller directory")
                path = Path(place, name)
                if self.is_file(str(path)) and not (path.is_symlink() and self._leaves_its_tree(str(path))):
                    yield str(path)

    def _refuse(self, error: OSError) -> None:
        """A folder that cannot be read may have what is wanted: it is not passed over."""
        if not isinstance(error, FileNotFoundError):
            raise InvalidRequest(f"{self.shown(str(error.filename))}: it cannot be read: {error.strerror}") from error

    def _leaves_its_tree(self, path: str) -> bool:
        given, real = whole(path), str(Path(path).resolve())
        for root, real_root in self._roots:
            if _is_below(given, root):
                return not _is_below(real, real_root)
        return False


def _glob(parts: list[str]) -> re.Pattern[str]:
    text = ""
    for part in parts:
        if part == "**":
            text += "(?:[^/]+/)*"
        else:
            text += "".join({"*": "[^/]*", "?": "[^/]"}.get(c) or re.escape(c) for c in part) + "/"
    return re.compile(text.removesuffix("/"), re.IGNORECASE)


def whole(path: str | Path) -> str:
    """The absolute path without `..`."""
    return posixpath.normpath(Path(path).absolute())


def _tree_of(source: Path) -> Path:
    """The repository around a source: the nearest folder upwards with `.git`; without one, the source's own folder."""
    own = source if source.is_dir() else source.parent
    first = Path(whole(own))
    return next((folder for folder in (first, *first.parents) if (folder / ".git").exists()), own)


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _is_left_out(name: str) -> bool:
    return name.lower() in _LEFT_OUT or (name.startswith(".") and name != ".config")
