"""Marks: facts about a document that the index holds beside its words, for exact queries. Pure.

A mark begins with _ and a letter for its kind. No token of a text begins that way (see `search_tokens`), so no typed
text finds a mark, and marks need no column of their own.
"""

from typing import Final

PRERELEASE: Final = 1
SEMVER2: Final = 2
CLASSES: Final = range(4)
"""The kinds of clients: those that ask for neither, for prereleases, for SemVer 2, for both."""


def class_of(*, prerelease: bool, semver_level2: bool) -> int:
    """The class of a client, from its flags."""
    return PRERELEASE * prerelease | SEMVER2 * semver_level2


def hidden_mark(asked: int) -> str:
    """Of documents hidden from a class of clients. They are fewer than those shown."""
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
    """Of a package type. Its name may contain anything, so it is written in hexadecimal digits."""
    return f"_t{lower_name.encode().hex()}"


def owner_mark(account_id: int) -> str:
    """As written by the triggers in the database."""
    return f"_o{account_id}"
