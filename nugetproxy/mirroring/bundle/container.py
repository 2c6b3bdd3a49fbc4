"""The container of a bundle: a POSIX tar of plain files, written and read as a stream, in constant memory.

Ordinary tools can list and unpack it. Only one form is ever written, and only that form is read: a header says nothing
but a path and a size, so a reader that knows both (from the manifest) compares the header byte by byte instead of
interpreting it. Links, devices, folders, owners and modes cannot be expressed.

What the files are belongs to `manifest`; which paths are allowed, too. Source: POSIX.1-2017, pax, "ustar Interchange
Format" and "pax Extended Header".
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from nugetproxy.errors import InvalidBundle

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
"""Two blocks of zeros end a tar."""

_CHUNK: Final = 256 * 1024
_HEADER: Final = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12s")
_MODE: Final = b"0000644\0"
_ZERO: Final = b"0000000\0"
# 1980: files from before are reported as implausibly old, and zip archives cannot express them.
_TIME: Final = b"%011o\0" % 315_532_800
_FILE: Final = b"0"
_EXTENDED: Final = b"x"
_EXTENDED_NAME: Final = b"PaxHeaders/next"
_LONGEST_NAME: Final = 100
_LONGEST_PREFIX: Final = 155
_LARGEST_SIZE: Final = 8**11 - 1

Read = Callable[[int], bytes]
"""Up to this many bytes of a stream, empty at its end: the `read` of a file or a pipe."""
Write = Callable[[bytes], object]


def header(path: str, size: int) -> bytes:
    """What precedes the `size` bytes of a file: one block, or more if the path or the size needs a pax header.

    ASCII paths of up to 100 bytes, or with a "/" that splits them into 155 and 100, need none; nor do sizes below
    8 GiB.
    """
    name = path.encode()
    records = b""
    split = _split(name)
    if split is None:
        records += _record("path", path)
        split = b"", b"".join(name.split(b"/")[-1:])[:_LONGEST_NAME]
    if size > _LARGEST_SIZE:
        records += _record("size", str(size))
    extended = b""
    if records:
        extended = _block(b"", _EXTENDED_NAME, len(records), _EXTENDED) + records + padding(len(records))
    return extended + _block(*split, size if size <= _LARGEST_SIZE else 0, _FILE)


def padding(size: int) -> bytes:
    """The zeros that follow `size` bytes up to the next block."""
    return bytes(-size % BLOCK)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """The path as prefix and name of a header; None if it does not fit."""
    if not name.isascii():
        return None
    if len(name) <= _LONGEST_NAME:
        return b"", name
    # The longest prefix that fits.
    at = name.rfind(b"/", 0, _LONGEST_PREFIX + 1)
    if at <= 0 or not 0 < len(name) - at - 1 <= _LONGEST_NAME:
        return None
    return name[:at], name[at + 1 :]


def _record(key: str, value: str) -> bytes:
    """A record of a pax header. It begins with its own length in bytes, these digits included."""
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while length != len(str(length)) + len(rest):
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def _block(prefix: bytes, name: bytes, size: int, kind: bytes) -> bytes:
    fields = [
        name, _MODE, _ZERO, _ZERO, b"%011o\0" % size, _TIME, b" " * 8, kind, b"", b"ustar\0", b"00", b"", b"", _ZERO,
        _ZERO, prefix, b"",
    ]  # fmt: skip
    # The checksum is that of the block with spaces in its place.
    fields[6] = b"%06o\0 " % sum(_HEADER.pack(*fields))
    return _HEADER.pack(*fields)


class ContainerWriter:
    """Writes the files of a container, one after another, to a file or a pipe."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def add(self, path: str, size: int, chunks: Iterable[bytes]) -> None:
        """One file. Raises ValueError if the chunks are not `size` bytes: what was written is then no container."""
        self._write(header(path, size))
        left = size
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            self._write(chunk)
        if left:
            raise ValueError(f"{path} does not have {size} bytes")
        self._write(padding(size))

    def end(self) -> None:
        self._write(END)


class ContainerReader:
    """The files of a container, one after another. `where` is the name of the bundle in errors."""

    def __init__(self, read: Read, where: str) -> None:
        self._read = read
        self._where = where
        self._left = 0
        self._padding = 0
        self._path = ""
        self.position = 0
        """Bytes read so far."""

    def expect(self, path: str, size: int) -> None:
        """Read the header of the next file, which must be this one; the previous one is skipped if it was not read.

        Raises InvalidBundle if it is anything else.
        """
        self.skip()
        expected = header(path, size)
        self._compare(expected, self._exactly(len(expected), f"before {path}"), f"{path} ({size} bytes)")
        self._begin(path, size)

    def expect_small(self, path: str, largest: int) -> bytes:
        """All of the next file, which must have this path and at most `largest` bytes. For paths without a pax header.

        Raises InvalidBundle.
        """
        self.skip()
        block = self._exactly(BLOCK, f"before {path}")
        digits = block[124:135]
        if not all(0x30 <= digit <= 0x37 for digit in digits) or (size := int(digits, 8)) > largest:
            raise InvalidBundle(
                self._where, f"expected {path} of at most {largest} bytes at byte {self.position - BLOCK}"
            )
        self._compare(header(path, size), block, path)
        self._begin(path, size)
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """What was not read yet of the current file. Raises InvalidBundle if the container ends within it."""
        while self._left:
            chunk = self._some(min(self._left, _CHUNK), f"in {self._path}")
            self._left -= len(chunk)
            yield chunk

    def skip(self) -> None:
        """Go to the end of the current file. Raises InvalidBundle as `chunks`, and for padding that is not zeros."""
        for _ in self.chunks():
            pass
        if self._padding:
            count, self._padding = self._padding, 0
            self._compare(bytes(count), self._exactly(count, f"after {self._path}"), "zeros")

    def expect_end(self) -> None:
        """Nothing follows. Raises InvalidBundle."""
        self.skip()
        self._compare(END, self._exactly(len(END), "before its end"), "the end")
        if self._read(1):
            raise InvalidBundle(self._where, f"data follows its end, at byte {self.position}")

    def _begin(self, path: str, size: int) -> None:
        self._path, self._left, self._padding = path, size, len(padding(size))

    def _compare(self, expected: bytes, found: bytes, what: str) -> None:
        if found != expected:
            raise InvalidBundle(self._where, f"expected {what} at byte {self.position - len(found)}")

    def _exactly(self, count: int, place: str) -> bytes:
        parts = []
        while count:
            parts.append(self._some(count, place))
            count -= len(parts[-1])
        return b"".join(parts)

    def _some(self, count: int, place: str) -> bytes:
        try:
            chunk = self._read(count)
        except OSError as error:
            raise InvalidBundle(self._where, f"it cannot be read {place}: {error.strerror}") from error
        if not chunk:
            raise InvalidBundle(self._where, f"it is truncated: it ends at byte {self.position}, {place}")
        self.position += len(chunk)
        return chunk
