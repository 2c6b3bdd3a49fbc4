"""Marks: what the index holds of a document beside its words, to be asked for exactly. Pure.

A mark begins with _ and a letter for its kind. No token of a text begins so (see `search_tokens`), so nobody finds a
mark by typing it, and a mark needs no column to be told from words.
"""

from typing import Final

PRERELEASE: Final = 1
SEMVER2: Final = 2
CLASSES: Final = range(4)
"""The kinds of clients: those that ask for neither, for prereleases, for SemVer 2, for both."""


def class_of(*, prerelease: bool, semver_level2: bool) -> int:
    """What kind of client asks."""
    return PRERELEASE * prerelease | SEMVER2 * semver_level2


def hidden_mark(asked: int) -> str:
    """Of documents that are not for clients of a class. They are fewer than those that are."""
    return f"_h{asked}"


def hidden_marks(shown_to: int) -> str:
    """`shown_to` has a bit for each class that sees the document."""
    return " ".join(hidden_mark(asked) for asked in CLASSES if not shown_to & 1 << asked)


def id_mark(lower_id: str) -> str:
    return f"_i{lower_id}"


def version_mark(lower_version: str) -> str:
    """`lower_version` is normalised, without build metadata."""
    return f"_v{lower_version}"


def type_mark(lower_name: str) -> str:
    """Of a package type. Its name may hold anything: it is written in hexadecimal digits."""
    return f"_t{lower_name.encode().hex()}"


def owner_mark(account_id: int) -> str:
    """As the triggers in the database write it."""
    return f"_o{account_id}"
