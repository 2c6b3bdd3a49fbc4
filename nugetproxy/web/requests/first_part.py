"""Extracts the first part of a multipart body from its bytes as they arrive: all of the format that a push needs. Pure.

A form from a NuGet client has one part, a file with arbitrary bytes. So nothing is decoded here, the headers of the
part are ignored, and what follows the part is not looked at (RFC 2046 section 5.1; nuget-protocol: push).
"""

from email.message import Message
from enum import Enum, auto
from typing import Final

from nugetproxy.errors import InvalidRequest

LONGEST_BOUNDARY: Final = 200
"""In characters. RFC 2046 allows 70."""

LONGEST_HEAD: Final = 64 * 1024
"""Bytes of preamble and part headers before the file."""


class _Place(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    CONTENT = auto()
    BEHIND = auto()


LONGEST_PARAMETERS: Final = 1_000
"""Characters of a header with parameters, such as a Content-Type."""


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type header names, with or without quotes. Raises InvalidRequest."""
    message = Message()
    # Its parser takes a time that grows with the square of the length.
    message["Content-Type"] = content_type if len(content_type) <= LONGEST_PARAMETERS else ""
    boundary = message.get_boundary("")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii() or not boundary.isprintable():
        raise InvalidRequest("the Content-Type of a multipart body must name its boundary")
    return boundary.encode("ascii")


class FirstPart:
    """Fed with the body, it returns the content of the first part.

    The CR before a delimiter may be missing: nuget.exe 2.8.7 on Mono sends none after its file.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\n--" + boundary
        self._place = _Place.PREAMBLE
        # As if a line had ended before the body, so that its first delimiter looks like all others.
        self._kept = bytearray(b"\n")
        self._searched = 0  # no mark begins before this offset, however small the pieces are that arrive

    @property
    def is_complete(self) -> bool:
        """Whether the delimiter after the part was seen, or there is no part."""
        return self._place is _Place.BEHIND

    def feed(self, data: bytes) -> bytes:
        """The part of the content that is known now. Raises InvalidRequest when no file can follow."""
        if self._place is _Place.BEHIND:
            return b""
        self._kept += data
        if self._place is _Place.PREAMBLE and self._cut(self._delimiter):
            self._place = _Place.HEADERS
        if self._place is _Place.HEADERS:
            if self._kept.startswith(b"--"):
                self._place = _Place.BEHIND
            elif self._cut(b"\r\n\r\n"):
                self._place = _Place.CONTENT
        if self._place is _Place.CONTENT:
            return self._content()
        if len(self._kept) > LONGEST_HEAD:
            raise InvalidRequest(f"no file begins in the first {LONGEST_HEAD} bytes of the form")
        return b""

    def _content(self) -> bytes:
        """Everything that is kept, up to the delimiter or what may be its beginning."""
        end = self._kept.find(self._delimiter)
        if end >= 0:
            self._place = _Place.BEHIND
            given = bytes(self._kept[:end]).removesuffix(b"\r")
            self._kept.clear()
            return given
        # A CR and all of a delimiter except its last byte.
        end = max(0, len(self._kept) - len(self._delimiter))
        given = bytes(self._kept[:end])
        del self._kept[:end]
        return given

    def _cut(self, mark: bytes) -> bool:
        """Drop everything up to the end of `mark`, if it is there."""
        at = self._kept.find(mark, self._searched)
        if at < 0:
            self._searched = max(0, len(self._kept) - len(mark) + 1)
            return False
        del self._kept[: at + len(mark)]
        self._searched = 0
        return True
