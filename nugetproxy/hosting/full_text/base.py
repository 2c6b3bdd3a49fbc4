"""FullText: the contract of a full-text index of search documents, and the conditions it is asked about.

Every engine of the main database has its own (`sqlite`, `postgres`); all of them find the same documents in the same
order. What a text means belongs to `search_match`, which documents exist to `search_index`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from nugetproxy.storage.database.base import Fetch, Transaction

WORD_COLUMNS: Final = ("name", "within", "title", "tags", "description", "summary", "authors", "marks")
NAME_COLUMNS: Final = ("name", "title", "tags", "marks")


class Index(StrEnum):
    """The parts of an index. Conditions about id, title and tags only may use either; the smaller one is faster."""

    WORDS = "words"
    NAMES = "names"


@dataclass(frozen=True, slots=True)
class Phrase:
    """These tokens in a row, the last one as a prefix if `is_prefix`; in one of the columns, or in any.

    A single token may be a mark (see `search_marks`): those of the document, or of an account that owns the id.
    """

    tokens: tuple[str, ...]
    is_prefix: bool = False
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part is true; there is at least one."""

    parts: tuple["Match", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part is true; there is at least one."""

    parts: tuple["Match", ...]


Match = Phrase | AllOf | AnyOf

NEVER: Final = Phrase(("_",))
"""No document has this token."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The tokens of a document, separated by spaces in each column of WORD_COLUMNS and of NAME_COLUMNS."""

    lower_id: str
    words: tuple[str, ...] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is asked: the match, among the documents that are shown to clients of the class `asked`."""

    index: Index
    match: Match
    asked: int


class FullText(Protocol):
    """The index. A document is known by its number; the lower numbers come first.

    Writing is part of the caller's transaction. The marks of the owners of an id are not written here: the index
    follows the table of owners by itself.
    """

    def put(self, transaction: Transaction, document: int, texts: Texts, shown_to: int) -> None:
        """The document is new or has changed. `shown_to` has a bit for each class of clients that sees it.

        Where texts are the same as before, the index is not written.
        """

    def show_to(self, transaction: Transaction, document: int, shown_to: int) -> None:
        """Change who sees it."""

    def renumber(self, transaction: Transaction, document: int, number: int) -> None:
        """Change the number of a document to one that is free."""

    def remove(self, transaction: Transaction, document: int) -> None: ...

    def count_all(self, fetch: Fetch, asked: int) -> int:
        """The number of documents that are shown to clients of this class."""

    def count(self, fetch: Fetch, condition: Condition) -> int:
        """The number of all matches."""

    def first(self, fetch: Fetch, condition: Condition, limit: int, *, is_broad: bool) -> list[int]:
        """The first matches, by number. `is_broad`, a hint: there may be tens of thousands."""

    def first_beginning(
        self, fetch: Fetch, condition: Condition, beginning: str, limit: int, *, is_broad: bool
    ) -> list[int]:
        """As `first`, of the documents whose lower id begins with this."""
