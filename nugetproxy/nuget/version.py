"""NuGetVersion: parse, normalise, compare.

The rules are NuGet's, a superset of SemVer 2: up to four numbers, missing parts, leading zeros and spaces around the
numbers. Ranges are in `version_range.py`.
"""

import re
import struct
from dataclasses import dataclass, field
from functools import lru_cache

from nugetproxy.errors import InvalidVersion

# As .NET's char.IsWhiteSpace; Python's definition also includes the separators \x1c to \x1f.
WHITE_SPACE_CHARACTERS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_SPACES = f"[{WHITE_SPACE_CHARACTERS}]*+"  # possessive: a long run of spaces is tried once
_GRAMMAR = re.compile(
    rf"{_SPACES}([0-9]+){_SPACES}"
    + rf"(?:\.{_SPACES}([0-9]+){_SPACES})?" * 3
    + rf"(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?{_SPACES}"
)
_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1
_INT32_TEXT = re.compile(r"-?[0-9]+")
_LEADING_ZERO = re.compile(r"0[0-9]+")

# The document of a large package has 3,609 versions; those in frequent use should fit. About 600 bytes each.
_REMEMBERED_VERSIONS = 32_768
# nuget.org allows 64 characters. Longer versions are legal, but too rare to keep in memory.
_LONGEST_REMEMBERED = 128

_Key = tuple[int, int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NuGetVersion:
    """One version. Equality, order and hash are NuGet's precedence: metadata and letter case are ignored.

    `str(version)` is the normalised form. Source: docs/concepts/Package-Versioning.
    """

    major: int
    minor: int = 0
    patch: int = 0
    revision: int = 0
    labels: tuple[str, ...] = ()
    metadata: str = ""
    normalized: str = field(init=False)
    """`Major.Minor.Patch`, `.Revision` only if not 0, `-prerelease` in its original casing, no metadata."""
    lower: str = field(init=False)
    """`normalized` in lower case: the form in URLs and file names."""
    _key: _Key = field(init=False)
    _hash: int = field(init=False)

    def __post_init__(self) -> None:
        normalized = f"{self.major}.{self.minor}.{self.patch}"
        if self.revision:
            normalized += f".{self.revision}"
        if self.labels:
            normalized += "-" + ".".join(self.labels)
        key = (
            self.major,
            self.minor,
            self.patch,
            self.revision,
            not self.labels,  # a stable version comes after its prereleases
            tuple(map(_label_key, self.labels)),
        )
        object.__setattr__(self, "normalized", normalized)
        object.__setattr__(self, "lower", normalized.lower())
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "_hash", hash(key))

    @staticmethod
    def parse(text: str) -> "NuGetVersion":
        """Parse a version.

        Raises:
            InvalidVersion: not a version by NuGet's rules.
        """
        return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _parse(text)

    @property
    def full(self) -> str:
        """The normalised form and the metadata."""
        return f"{self.normalized}+{self.metadata}" if self.metadata else self.normalized

    @property
    def sort_key(self) -> tuple[object, ...]:
        """A tuple that sorts as versions do, but compares faster: for sorting thousands of them."""
        return self._key

    @property
    def precedence(self) -> bytes:
        """Bytes that sort as versions do, for a database, for example."""
        *numbers, is_stable, labels = self._key
        return struct.pack(">4I?", *numbers, is_stable) + b"".join(
            b"\x02" + text.encode() + b"\x00" if is_text else struct.pack(">cI", b"\x01", number - _INT32_MIN)
            for is_text, number, text in labels
        )

    @property
    def is_prerelease(self) -> bool:
        return bool(self.labels)

    @property
    def is_semver2(self) -> bool:
        """Whether clients without SemVer 2 cannot read it: a dot in the prerelease part, or metadata."""
        return len(self.labels) > 1 or bool(self.metadata)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, NuGetVersion) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._key < other._key if isinstance(other, NuGetVersion) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._key <= other._key if isinstance(other, NuGetVersion) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._key > other._key if isinstance(other, NuGetVersion) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._key >= other._key if isinstance(other, NuGetVersion) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self.normalized

    def __repr__(self) -> str:
        return f"<NuGetVersion {self.full}>"


def _parse(text: str) -> NuGetVersion:
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise InvalidVersion(text)
    major, minor, patch, revision, release, metadata = match.groups()
    labels = tuple(release.split(".")) if release is not None else ()
    if "" in labels:
        raise InvalidVersion(text, "a prerelease label is empty")
    if any(map(_LEADING_ZERO.fullmatch, labels)):
        raise InvalidVersion(text, "a numeric prerelease label starts with 0")
    if metadata is not None and "" in metadata.split("."):
        raise InvalidVersion(text, "a metadata label is empty")
    return NuGetVersion(
        _number(major, text),
        _number(minor, text) if minor else 0,
        _number(patch, text) if patch else 0,
        _number(revision, text) if revision else 0,
        labels,
        metadata or "",
    )


_remembered = lru_cache(maxsize=_REMEMBERED_VERSIONS)(_parse)


def _number(digits: str, text: str) -> int:
    # Check the length first: Python refuses to parse thousands of digits, or takes very long.
    significant = digits.lstrip("0")
    number = int(significant or "0") if len(significant) <= 10 else _INT32_MAX + 1
    if number > _INT32_MAX:
        raise InvalidVersion(text, f"a number is larger than {_INT32_MAX}")
    return number


def _label_key(label: str) -> tuple[bool, int, str]:
    """Numbers sort before text. As in the official client, a label is a number only if it fits a signed 32-bit integer:
    a date with time compares as text, and `-5` is minus five."""
    if _INT32_TEXT.fullmatch(label):
        digits = label.lstrip("-").lstrip("0")
        if len(digits) <= 10:
            number = int(digits or "0")
            number = -number if label[0] == "-" else number
            if _INT32_MIN <= number <= _INT32_MAX:
                return (False, number, "")
    return (True, 0, label.upper())
