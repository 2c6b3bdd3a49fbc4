"""`bundle.json`, the first file of a bundle: what it holds, who made it, and the hash of its manifest.

It has exactly one form: what is read must be, byte for byte, what would be written of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from nugetproxy.mirroring.bundle.json_form import is_sha512, object_of, read_as, values_of

FORMAT: Final = 1
FORMAT_WITH_SYMBOLS: Final = 2
"""Of a bundle that holds symbols, or assumes some: a reader of format 1 does not know them."""
HEAD: Final = "bundle.json"
LARGEST_HEAD: Final = 1024 * 1024

_BUNDLE_ID: Final = re.compile(r"[0-9a-f]{32}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Since:
    """What a bundle builds on: the receiver has it. `kind` is "bundle", "inventory" or "manifest"; `id` is that of the
    bundle or inventory, or the SHA-512 of a manifest."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Holds:
    """What a bundle was made of. `what` is "everything", "sources" or "pinned", and `names` are those of the sources or
    pins. `hosted` are the patterns of hosted packages, none if these do not travel."""

    what: str
    names: tuple[str, ...] = ()
    hosted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """`bundle.json`, of which everything else follows: it is signed, and states the hash of the manifest.

    `bundle` is a random id; `source` is that of a data directory, of which each bundle has a larger `sequence`.
    `key` is the fingerprint of the key that signs. `upstreams` are service indexes by name. `counts` are files by kind,
    `size` is the sum of their bytes. `manifest_size` in bytes, `manifest_sha512` in base64.
    """

    bundle: str
    created: str
    tool: str
    source: str
    key: str
    sequence: int
    since: Since | None
    holds: Holds
    upstreams: Mapping[str, str]
    counts: Mapping[str, int]
    size: int
    manifest_size: int
    manifest_sha512: str
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """The content of `bundle.json`."""
        value = {"format": self.format, **{name: text for name, text in values_of(self).items() if name != "format"}}
        return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> "Head":
        """The inverse of `to_bytes`. Raises ValueError for anything that it does not write, saying what is wrong."""
        given = object_of(content)
        number = given.get("format")
        if type(number) is int and number > FORMAT_WITH_SYMBOLS:
            raise ValueError(
                f"it has format {number}, and this nugetproxy reads up to {FORMAT_WITH_SYMBOLS}: use a newer one"
            )
        since, holds = given.pop("since", None), given.pop("holds", None)
        if not isinstance(holds, dict) or not (since is None or isinstance(since, dict)):
            raise ValueError("its since or holds is not an object")
        parts = {"since": None if since is None else read_as(Since, since), "holds": read_as(Holds, holds)}
        head: Head = read_as(cls, given, parts)
        head._check()
        if head.to_bytes() != content:
            raise ValueError("it is not written as a bundle.json is")
        return head

    def _check(self) -> None:
        if self.format not in (FORMAT, FORMAT_WITH_SYMBOLS):
            raise ValueError(f"it has format {self.format}")
        if self.format == FORMAT and "symbols" in self.counts:
            raise ValueError(f"it has format {FORMAT}, and holds symbols")
        if not is_bundle_id(self.bundle) or not is_bundle_id(self.source):
            raise ValueError("its id or that of its source is not 32 hex digits")
        if not _TIME.fullmatch(self.created):
            raise ValueError("its time of creation is not one in UTC")
        if not is_sha512(self.manifest_sha512) or min(self.manifest_size, self.size, self.sequence) < 0:
            raise ValueError("its manifest_sha512 is not a SHA-512 in base64, or a number is negative")
        if self.since is not None and self.since.kind not in ("bundle", "inventory", "manifest"):
            raise ValueError("it is the difference to something unknown")
        if self.holds.what not in ("everything", "sources", "pinned"):
            raise ValueError("what it holds is unknown")


def is_bundle_id(text: object) -> bool:
    """Whether it has the form of the random ids of bundles, inventories and data directories."""
    return isinstance(text, str) and _BUNDLE_ID.fullmatch(text) is not None
