"""Reading the files of `feed.advisories`. When they are read again, and what stays if that fails: `advisory_files`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nugetproxy.config import Config
from nugetproxy.errors import ConfigError, UnreadableDocument
from nugetproxy.protocol.advisories.reading import read_advisories
from nugetproxy.protocol.advisories.values import Advisories, Advisory, merged
from nugetproxy.protocol.v3.vulnerabilities import MOST_ADVISORIES

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of all files together."""

Signature = tuple[tuple[str, int, int, int], ...]
"""Path, time of change in nanoseconds, size and number of each file: differs after any change."""


def check_advisories(config: Config) -> None:
    """Raises ConfigError if `feed.advisories` names something that cannot be read."""
    if config.feed.advisories:
        try:
            read_files(Path(config.feed.advisories))
        except UnreadableDocument as error:
            raise ConfigError([f"feed.advisories: {error.what}: {error.why}"]) from error


def read_files(source: Path) -> Advisories:
    """All advisories of a file, or of every `.json` file in and below a directory. Blocks.

    Raises UnreadableDocument naming the file.
    """
    files = _files(source)
    found: list[dict[str, list[Advisory]]] = []
    newest, size, count = 0.0, 0, 0
    for file in files:
        try:
            newest = max(newest, file.stat().st_mtime)
            body = file.read_bytes()
        except OSError as error:
            raise UnreadableDocument(str(file), f"cannot be read: {error.strerror}") from error
        size += len(body)
        if size > LARGEST:
            raise UnreadableDocument(str(source), f"its files have more than {LARGEST} bytes")
        try:
            advisories = read_advisories(body)
        except UnreadableDocument as error:
            raise UnreadableDocument(str(file), str(error)) from error
        count += sum(map(len, advisories.values()))
        if count > MOST_ADVISORIES:
            raise UnreadableDocument(str(source), f"more than {MOST_ADVISORIES} advisories")
        found.append(advisories)
    return merged(found, f"{datetime.fromtimestamp(newest, UTC):%Y-%m-%dT%H:%M:%SZ}")


def _raised(error: OSError) -> None:
    raise error


def _files(source: Path) -> list[Path]:
    """In order. A directory without files is valid: there are no advisories yet."""
    try:
        if not source.is_dir():
            return [source]
        found = []
        for folder, folders, names in os.walk(source, onerror=_raised):
            # Hidden ones are no advisories: those of Git, and those in which Kubernetes keeps mounted files again.
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(folder, name) for name in names if name.endswith(".json") and not name.startswith(".")]
        return sorted(found)
    except OSError as error:
        raise UnreadableDocument(str(source), f"cannot be read: {error.strerror}") from error


def signature_of(source: Path) -> Signature:
    """The files as they are now. Raises UnreadableDocument. Blocks."""
    found = []
    for file in _files(source):
        try:
            state = file.stat()
        except OSError as error:
            raise UnreadableDocument(str(file), f"cannot be read: {error.strerror}") from error
        found.append((str(file), state.st_mtime_ns, state.st_size, state.st_ino))
    return tuple(found)
