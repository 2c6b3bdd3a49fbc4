"""What a receiver has: one line for each file, with the path that it has in bundles, in the order of paths.

The lines of an inventory, which a receiver writes, and of `assumed.jsonl`, by which a bundle says what it leaves out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from nugetproxy.mirroring.bundle.json_form import is_sha512
from nugetproxy.mirroring.bundle.manifest import LONGEST_LINE

INVENTORY_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Held:
    """A file that a receiver has: its path in a bundle, and its SHA-512 in base64."""

    path: str
    sha512: str

    def to_line(self) -> bytes:
        return orjson.dumps({"path": self.path, "sha512": self.sha512}) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Held":
        """From such a line, or that of a manifest, which says more. Raises ValueError."""
        fields = orjson.loads(line)
        path, sha512 = (fields.get("path"), fields.get("sha512")) if isinstance(fields, dict) else (None, None)
        if not isinstance(path, str) or not path.isprintable() or not is_sha512(sha512):
            raise ValueError("it has no path, or no SHA-512 in base64")
        return cls(path, str(sha512))


def read_held(lines: Iterable[bytes]) -> Iterator[Held]:
    """The lines, which must be in order. Raises ValueError."""
    last = b""
    for line in lines:
        held = Held.from_line(line)
        path = held.path.encode()
        if path <= last:
            raise ValueError(f"it is not in order at {held.path}")
        last = path
        yield held


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file that arrives in pieces. Raises ValueError for one longer than `LONGEST_LINE`."""
    begun = b""
    for chunk in chunks:
        *lines, begun = (begun + chunk).split(b"\n")
        yield from lines
        if len(begun) > LONGEST_LINE:
            raise ValueError(f"a line has more than {LONGEST_LINE} bytes")
    if begun:
        yield begun
