"""The blobs of a Nexus repository manager: what the .properties beside a .bytes say about it. Pure.

A blob store keeps every file as `<uuid>.bytes` with `<uuid>.properties` beside it, in Java's notation: its name in the
repository, the repository, when it was created, and whether it was deleted and only waits to be removed.
"""

import re
from dataclasses import dataclass
from typing import Final

from nugetproxy.feeds.offers import FileKind, plausible_date
from nugetproxy.hosting.moving_in.names import identity, kind_of, stated_by_path
from nugetproxy.nuget.identity import PackageIdentity

CONTENT_SUFFIX: Final = ".bytes"
PROPERTIES_SUFFIX: Final = ".properties"
LARGEST_PROPERTIES: Final = 64 * 1024

_LINE: Final = re.compile(r"\s*((?:[^\\=:\s]|\\.)+)\s*[=:]?\s*(.*)")
_ESCAPED: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob. `created` in unix microseconds, `size` in bytes."""

    repository: str
    name: str
    is_deleted: bool
    created: int | None
    size: int | None

    @property
    def kind(self) -> FileKind | None:
        """None for what is surely no package: a file of another format, by its extension."""
        last = self.name.rpartition("/")[2]
        return kind_of(last) or (FileKind.PACKAGE if self.package is not None else None)

    @property
    def package(self) -> PackageIdentity | None:
        """The package that its name states: `id/version`, as in a V2 repository, or with the file's name after it."""
        segments = [each for each in self.name.split("/") if each]
        if len(segments) == 2:
            return identity(*segments)
        return stated_by_path(segments)


def read_blob(text: str) -> Blob:
    """What the properties say; texts are empty and numbers None where they say nothing."""
    values = dict(_properties(text))
    created, size = values.get("creationTime", ""), values.get("size", "")
    return Blob(
        values.get("@Bucket.repo-name", ""),
        values.get("@BlobStore.blob-name", ""),
        values.get("deleted", "").lower() == "true",
        plausible_date(int(created) * 1000) if _is_number(created) else None,
        int(size) if _is_number(size) else None,
    )


def _properties(text: str) -> list[tuple[str, str]]:
    lines = (line.strip() for line in text.splitlines())
    found = (_LINE.fullmatch(line) for line in lines if line and line[0] not in "#!")
    return [(_plain(match[1]), _plain(match[2])) for match in found if match is not None]


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)) if match[1] else match[2], text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
