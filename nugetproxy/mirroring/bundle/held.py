"""What a receiver has: the lines of an inventory, which it writes itself, and of `assumed.jsonl`, which lists what a
bundle leaves out.

They are lines as in a manifest, in its order. The hash and the nuspec beside a package have none: they come with it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from nugetproxy.mirroring.bundle.manifest import LONGEST_LINE, Entry, HostedFacts, Kind, SymbolsFacts

INVENTORY_FORMAT: Final = 1
INVENTORY_FORMAT_WITH_SYMBOLS: Final = 2

BESIDE: Final = frozenset({Kind.PACKAGE_HASH, Kind.NUSPEC})
"""Files that come with a package, and follow it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A file that a receiver has: equal ones need not travel again."""

    path: str
    sha512: str
    state: tuple[object, ...] = ()
    """What else has to be equal: owners and listing of a hosted package, for example, but not its downloads;
    and the packages that name a PDB."""

    @classmethod
    def of(cls, entry: Entry) -> "Held":
        facts = entry.facts
        if isinstance(facts, SymbolsFacts):
            return cls(entry.path, entry.sha512, facts.packages)
        if not isinstance(facts, HostedFacts):
            return cls(entry.path, entry.sha512)
        state = (facts.owners, facts.listed, facts.published, facts.created, facts.last_edited, facts.deprecation)
        return cls(entry.path, entry.sha512, state)


def in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, which must be in the order of their paths. Raises ValueError."""
    last = b""
    for entry in entries:
        path = entry.path.encode()
        if path <= last:
            raise ValueError(f"it is not in order at {entry.path}")
        last = path
        yield entry


def read_lines(chunks: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of a file that arrives in pieces. Raises ValueError."""
    begun = b""
    for chunk in chunks:
        *lines, begun = (begun + chunk).split(b"\n")
        for line in lines:
            yield Entry.from_line(line + b"\n")
        if len(begun) > LONGEST_LINE:
            raise ValueError(f"a line has more than {LONGEST_LINE} bytes")
    if begun:
        raise ValueError("its last line is cut off")
