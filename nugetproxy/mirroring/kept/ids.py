"""Which upstream ids are in use: kept in the mirror, or requested. Read from disk, while a server may be running."""

import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nugetproxy.errors import InvalidRequest, StorageUnavailable
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.documents.urls import kept_urls


def ids_in_use(data: Path, stem: str, matches: Callable[[str], bool]) -> dict[str, int]:
    """The number of versions kept of each lower id that begins with `stem` and matches; 0 if only its metadata is kept.

    An id whose versions list or registration is kept was requested by a client and exists upstream. Raises
    StorageUnavailable.
    """
    found: Counter[str] = Counter()
    try:
        for upstream in _folders(data / "mirror"):
            for package in upstream.glob(f"{_escaped(stem)}*"):
                if matches(package.name):
                    found[package.name] += sum(version.is_dir() for version in package.iterdir())
    except OSError as error:
        raise StorageUnavailable(f"{error.filename} cannot be read: {error.strerror}") from error
    for url in kept_urls(data / "documents", f"/{stem}"):
        *_, package_id, document = ["", *urlsplit(url).path.split("/")]
        lower = unquote(package_id).lower()
        if document == "index.json" and lower.startswith(stem) and matches(lower):
            found[lower] += 0
    return dict(found)


def kept_identities(data: Path) -> list[PackageIdentity]:
    """Every package whose file is kept, by id and version. Raises StorageUnavailable."""
    found: set[PackageIdentity] = set()
    try:
        for upstream in _folders(data / "mirror"):
            for file in upstream.glob("*/*/*.nupkg"):
                with contextlib.suppress(InvalidRequest):
                    found.add(PackageIdentity.parse(file.parts[-3], file.parts[-2]))
    except OSError as error:
        raise StorageUnavailable(f"{error.filename} cannot be read: {error.strerror}") from error
    return sorted(found, key=lambda package: (package.lower_id, package.version.sort_key))


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []


def _escaped(text: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)
