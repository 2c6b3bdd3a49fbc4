"""PackageId and PackageIdentity: the names of a package, their lower-case forms, and its file names.

Where these files are stored is not decided here.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from nugetproxy.errors import InvalidPackageId, InvalidVersion
from nugetproxy.nuget.version import NuGetVersion

LONGEST_ID = 100
# The limit of file systems for one name; nuget.org allows 160 characters for id and version together.
LONGEST_FILE_NAME = 255

_ASCII_ID = re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*")
# .NET's \w: letters, combining marks, decimal digits, connectors.
_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Pc"})
_REMEMBERED_IDS = 16_384


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PackageId:
    """The id of a package, in its original casing. Equality and hash ignore case."""

    text: str
    lower: str = field(init=False)
    """The form in URLs and file names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", lower_invariant(self.text))

    @staticmethod
    def parse(text: str) -> "PackageId":
        """Parse an id by the lenient rule for reading: old ids may contain letters of any language.

        Raises:
            InvalidPackageId: not a valid id. Slashes, NUL and names of dots only are rejected, for example.
        """
        if len(text) > LONGEST_ID:
            raise InvalidPackageId(text, f"it has more than {LONGEST_ID} characters")
        return _remembered(text)

    def __eq__(self, other: object) -> bool:
        return self.lower == other.lower if isinstance(other, PackageId) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.lower)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<PackageId {self.text}>"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PackageIdentity:
    """An id and a version. Equal when the lower-case id and normalised version are equal; metadata is ignored."""

    id: PackageId
    version: NuGetVersion

    @staticmethod
    def parse(id_text: str, version_text: str) -> "PackageIdentity":
        """Parse an id and a version.

        Raises:
            InvalidPackageId: the first is not an id.
            InvalidVersion: the second is not a version, or both together are too long for a file name.
        """
        identity = PackageIdentity(PackageId.parse(id_text), NuGetVersion.parse(version_text))
        if len(identity.nupkg_name.encode()) > LONGEST_FILE_NAME:
            raise InvalidVersion(version_text, "id and version together are too long")
        return identity

    @property
    def lower_id(self) -> str:
        return self.id.lower

    @property
    def lower_version(self) -> str:
        return self.version.lower

    @property
    def nupkg_name(self) -> str:
        return f"{self.id.lower}.{self.version.lower}.nupkg"

    @property
    def nuspec_name(self) -> str:
        return f"{self.id.lower}.nuspec"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackageIdentity):
            return NotImplemented
        return self.id.lower == other.id.lower and self.version.lower == other.version.lower

    def __hash__(self) -> int:
        return hash((self.id.lower, self.version.lower))

    def __str__(self) -> str:
        return f"{self.id.text} {self.version.normalized}"

    def __repr__(self) -> str:
        return f"<PackageIdentity {self}>"


def lower_invariant(text: str) -> str:
    """.NET's ToLowerInvariant: each character maps to exactly one, independent of its context."""
    if text.isascii():
        return text.lower()
    return "".join(lowered if len(lowered := c.lower()) == 1 else c for c in text)


@lru_cache(maxsize=_REMEMBERED_IDS)
def _remembered(text: str) -> PackageId:
    if not (_ASCII_ID.fullmatch(text) if text.isascii() else _is_wide_id(text)):
        raise InvalidPackageId(text, "expected letters, digits and '_' in groups joined by single '.' or '-'")
    return PackageId(text)


def _is_wide_id(text: str) -> bool:
    words = text.replace("-", ".").split(".")
    return all(word and all(map(_is_word_character, word)) for word in words)


def _is_word_character(c: str) -> bool:
    # The official rule works on UTF-16, where a character beyond the BMP is two surrogates: no word characters.
    return c <= "\uffff" and unicodedata.category(c) in _WORD_CATEGORIES
