"""Writing a bundle: first the manifest, from what is known of the content, then the content, compared with it.

The manifest comes before the content it describes, so it is collected in a temporary file. If content then differs
from it (a damaged file, or one that was removed meanwhile), the rest is still read, to name all such files, and no
bundle comes into being. Memory is constant.

Where content comes from is a `Content`; what it was chosen by, and where the bundle goes, is up to the caller.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from nugetproxy.errors import DamagedContent, NugetproxyError, StorageUnavailable
from nugetproxy.mirroring.bundle.base import Base
from nugetproxy.mirroring.bundle.container import ContainerWriter
from nugetproxy.mirroring.bundle.hashing import hashed, in_base64
from nugetproxy.mirroring.bundle.head import FORMAT, FORMAT_WITH_SYMBOLS, HEAD, Head
from nugetproxy.mirroring.bundle.held import BESIDE, Held
from nugetproxy.mirroring.bundle.manifest import ASSUMED, LONGEST_LINE, MANIFEST, Entry, Kind
from nugetproxy.mirroring.bundle.signature import SIGNATURE, PrivateKey
from nugetproxy.mirroring.bundle.target import Target

REMEDY: Final = (
    "nothing was exported: `nugetproxy mirror verify` fetches damaged packages again, `nugetproxy prewarm` missing ones"
)

_CHUNK: Final = 256 * 1024
_MOST_PROBLEMS: Final = 1000


class Content(Protocol):
    """Files that may be part of a bundle, of kinds whose paths are next to each other."""

    def entries(self, problems: "Problems") -> Iterator[Entry]:
        """By path. Raises StorageUnavailable."""

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of one of them, read now. Raises NugetproxyError, OSError."""


class Problems:
    """What is wrong with kept content, one line each."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        if len(self.lines) < _MOST_PROBLEMS:
            self.lines.append(line)

    def refuse(self) -> None:
        """Raises DamagedContent if there are any."""
        if self.lines:
            raise DamagedContent(self.lines, REMEDY)


@dataclass(frozen=True, slots=True)
class Source:
    """A `Content`, and the kinds that it has."""

    kinds: frozenset[Kind]
    content: Content


class Draft:
    """The manifest of a bundle that is to be written. To be closed: it holds temporary files."""

    def __init__(self, sources: Sequence[Source], base: Base | None) -> None:
        """`sources` in the order of their paths. Raises DamagedContent, InvalidBundle, StorageUnavailable."""
        self._sources = {kind: source.content for source in sources for kind in source.kinds}
        self._stack = ExitStack()
        self._counts: dict[str, int] = {}
        self.format = FORMAT
        """That of the bundle."""
        self.size = 0
        try:
            self._lines = _temporary(self._stack)
            self._assumed = None if base is None else _temporary(self._stack)
            problems = Problems()
            entries = (entry for source in sources for entry in source.content.entries(problems))
            with _temporary_failures():
                for entry in entries if base is None else self._new(entries, base):
                    self._lines.write(self._counted(entry).to_line())
                problems.refuse()
                self._first = self._assumed_entry()
        except BaseException:  # whatever it was, nothing stays open
            self._stack.close()
            raise

    def close(self) -> None:
        self._stack.close()

    @property
    def counts(self) -> dict[str, int]:
        """Files by kind."""
        return dict(self._counts)

    def described(self) -> tuple[int, str]:
        """Size and SHA-512 of the manifest."""
        digest, size = hashlib.sha512(), 0
        for chunk in self._manifest():
            digest.update(chunk)
            size += len(chunk)
        return size, in_base64(digest.digest())

    def write(self, head: Head, key: PrivateKey, target: Target, advanced: Callable[[int], None]) -> None:
        """Write the bundle, without finishing the target. `advanced` is called with the size of each piece of content.

        Raises DamagedContent if content is not as described: what was written is then no bundle. StorageUnavailable.
        """
        writer, content = ContainerWriter(target.write), head.to_bytes()
        for path, small in ((HEAD, content), (SIGNATURE, key.sign(content))):
            writer.add(path, len(small), [small])
        writer.add(MANIFEST, head.manifest_size, self._manifest())
        problems = Problems()
        if self._first is not None and self._assumed is not None:
            writer.add(ASSUMED, self._first.size, _read(self._assumed))
        self._lines.seek(0)
        for line in iter(lambda: self._lines.readline(LONGEST_LINE), b""):
            entry = Entry.from_line(line)
            chunks = _told(self._checked(entry, problems), advanced)
            if problems.lines:
                # The bundle is lost; what else is wrong is found all the same.
                for _ in chunks:
                    pass
                continue
            try:
                writer.add(entry.path, entry.size, chunks)
            except ValueError as error:
                if not problems.lines:
                    problems.add(str(error))
        problems.refuse()
        writer.end()

    def _checked(self, entry: Entry, problems: Problems) -> Iterator[bytes]:
        def compare(sha512: str) -> None:
            if sha512 != entry.sha512:
                problems.add(f"{entry.path} is damaged: it has another SHA-512 than the inventory states")

        try:
            yield from hashed(self._sources[entry.kind].chunks(entry), compare)
        except FileNotFoundError:
            problems.add(f"{entry.path} was removed while it was being exported")
        except OSError as error:
            problems.add(f"{entry.path} cannot be read: {error.strerror}")
        except NugetproxyError as error:
            problems.add(f"{entry.path} cannot be read: {error}")

    def _counted(self, entry: Entry) -> Entry:
        self._note_format(entry)
        self._counts[entry.kind.value] = self._counts.get(entry.kind.value, 0) + 1
        self.size += entry.size
        return entry

    def _note_format(self, entry: Entry) -> None:
        if entry.kind is Kind.SYMBOLS:
            self.format = FORMAT_WITH_SYMBOLS

    def _new(self, entries: Iterable[Entry], base: Base) -> Iterator[Entry]:
        """The entries that the base has not; the others are noted as assumed."""
        assert self._assumed is not None
        held = base.held()
        there = next(held, None)
        is_there = False
        for entry in entries:
            if entry.kind not in BESIDE:
                path, wanted = entry.path.encode(), Held.of(entry)
                while there is not None and there.path.encode() < path:
                    there = next(held, None)
                is_there = there == wanted
                if is_there:
                    self._note_format(entry)
                    self._assumed.write(entry.to_line())
            if not is_there:
                yield entry

    def _assumed_entry(self) -> Entry | None:
        if self._assumed is None:
            return None
        digest, size = hashlib.sha512(), 0
        for chunk in _read(self._assumed):
            digest.update(chunk)
            size += len(chunk)
        return self._counted(Entry(ASSUMED, size, in_base64(digest.digest()), Kind.ASSUMED))

    def _manifest(self) -> Iterator[bytes]:
        if self._first is not None:
            yield self._first.to_line()
        yield from _read(self._lines)


def _told(chunks: Iterable[bytes], advanced: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        advanced(len(chunk))
        yield chunk


def _temporary(stack: ExitStack) -> BinaryIO:
    with _temporary_failures():
        return stack.enter_context(tempfile.TemporaryFile(prefix="nugetproxy-export-"))


@contextmanager
def _temporary_failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"a temporary file cannot be written: {error.strerror}") from error


def _read(file: BinaryIO) -> Iterator[bytes]:
    """All of a temporary file."""
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
