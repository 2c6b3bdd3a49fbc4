"""PostgreSQL's full-text index, a `FullText`: table `search_words`, one row per document, with a GIN index.

PostgreSQL only stores and finds lexemes: texts are already cut into tokens, so none of its parsers or dictionaries is
used. A lexeme is a letter followed by tokens:

- `a` and a token, in any column. Marks and owners, too.
- the letter of a column and a token in it: `njson`.
- the letter of a short column in upper case, a token and those that follow it: `Ncontoso json schema`. So a phrase is
  the beginning of a lexeme.
- the letter of a long column in upper case and two tokens in a row: `Dreads json`, with positions. So a phrase of two
  tokens is one lexeme. A longer one is a row of overlapping pairs, and documents that have all of them are unpacked to
  compare the positions: this is slow only where thousands of them have the same sentence.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from nugetproxy.hosting.full_text.base import WORD_COLUMNS, AnyOf, Condition, Match, Phrase, Texts
from nugetproxy.hosting.search_marks import id_mark
from nugetproxy.storage.database.base import Fetch, Transaction

_ANYWHERE: Final = "a"
_LETTERS: Final = dict(zip(WORD_COLUMNS, "nwtgdscm", strict=True))
_SHORT: Final = frozenset({"name", "title", "tags", "authors"})
# In this order, should a document have more than fits.
_MOST_IMPORTANT_FIRST: Final = ("marks", "name", "within", "title", "tags", "authors", "summary", "description")

# PostgreSQL allows lexemes of 2,046 bytes, 1 MB of lexemes in a row, and 255 positions of a lexeme.
_LONGEST_LEXEME: Final = 1_200
_LONGEST_ROW: Final = 2_000
_MOST_IN_ROW: Final = 16
_MOST_BYTES: Final = 900_000
_MOST_POSITIONS: Final = 255
_LAST_POSITION: Final = 16_383

# What separates tokens: every ASCII character that no token contains.
_SEPARATORS: Final = re.compile(r"[\x00-,/:-@\[-^`{-\x7f]+")

# Lexemes that stay the same are not written again, nor is the index of them.
_PUT: Final = """
INSERT INTO search_words AS there (document, shown_to, digest, lexemes)
VALUES (?1, ?2, ?3, CAST(CAST(?4 AS TEXT) AS TSVECTOR) || array_to_tsvector(ARRAY(
    SELECT 'a_o' || account_id FROM package_owners WHERE lower_id = ?5)))
ON CONFLICT (document)
DO UPDATE SET shown_to = excluded.shown_to, digest = excluded.digest,
    lexemes = CASE WHEN there.digest = excluded.digest THEN there.lexemes ELSE excluded.lexemes END
WHERE there.digest <> excluded.digest OR there.shown_to <> excluded.shown_to
"""
_COUNT: Final = "SELECT search_count(CAST(CAST(? AS TEXT) AS TSQUERY), ?)"
_FIRST: Final = "SELECT * FROM search_first(CAST(CAST(? AS TEXT) AS TSQUERY), ?, ?, ?)"
# If many documents match, so many times the wanted ones are looked at in their order before the index is asked.
_LOOKED_AT: Final = 4


class PostgresFullText:
    """The contract `FullText`. The triggers of `package_owners` maintain the owners."""

    def put(self, transaction: Transaction, document: int, texts: Texts, shown_to: int) -> None:
        row = (document, shown_to, digest_of(texts), lexemes_of(texts), texts.lower_id)
        transaction.change_later(_PUT, row)

    def show_to(self, transaction: Transaction, document: int, shown_to: int) -> None:
        transaction.change_later(
            "UPDATE search_words SET shown_to = ?1 WHERE document = ?2 AND shown_to <> ?1", (shown_to, document)
        )

    def renumber(self, transaction: Transaction, document: int, number: int) -> None:
        transaction.change("UPDATE search_words SET document = ? WHERE document = ?", (number, document))

    def remove(self, transaction: Transaction, document: int) -> None:
        transaction.change("DELETE FROM search_words WHERE document = ?", (document,))

    def count_all(self, fetch: Fetch, asked: int) -> int:
        [(count,)] = fetch("SELECT documents FROM search_totals WHERE client = ?", (asked,))
        return int(count)

    def count(self, fetch: Fetch, condition: Condition) -> int:
        return int(fetch(_COUNT, (condition_of(condition.match), 1 << condition.asked))[0][0])

    def first(self, fetch: Fetch, condition: Condition, limit: int, *, is_broad: bool) -> list[int]:
        return _first(fetch, condition_of(condition.match), condition.asked, limit, is_broad)

    def first_beginning(
        self, fetch: Fetch, condition: Condition, beginning: str, limit: int, *, is_broad: bool
    ) -> list[int]:
        if not beginning:
            return self.first(fetch, condition, limit, is_broad=is_broad)
        lexeme = _ANYWHERE + id_mark(beginning)
        if len(lexeme.encode()) > _LONGEST_LEXEME:
            return []  # longer than any id
        asked = f"({condition_of(condition.match)}) & {_quoted(lexeme)}:*"
        return _first(fetch, asked, condition.asked, limit, is_broad)


def _first(fetch: Fetch, text: str, asked: int, limit: int, is_broad: bool) -> list[int]:
    return [row[0] for row in fetch(_FIRST, (text, 1 << asked, limit, limit * _LOOKED_AT * is_broad))]


# --- what is stored ---------------------------------------------------------------------------------------------------


def digest_of(texts: Texts) -> bytes:
    """Tells texts from others: those of a document that has not changed are not written again."""
    return hashlib.blake2b("\n".join(texts.words).encode(), digest_size=16).digest()


def lexemes_of(texts: Texts) -> str:
    """The lexemes of a document, with positions, as PostgreSQL reads them. Owners are not among them."""
    columns = {column: _tokens(text) for column, text in zip(WORD_COLUMNS, texts.words, strict=True)}
    lexemes: dict[str, list[int]] = {}
    size = 0
    for lexeme, position in _lexemes(columns):
        positions = lexemes.get(lexeme)
        if positions is None:
            size += len(lexeme.encode()) + 2
            if size > _MOST_BYTES:
                break
            positions = lexemes[lexeme] = []
        if position and len(positions) < _MOST_POSITIONS:
            size += 2
            positions.append(min(position, _LAST_POSITION))
    return "  ".join(f"{_quoted(lexeme)}{_at(positions)}" for lexeme, positions in lexemes.items())


def _lexemes(columns: dict[str, list[str]]) -> Iterable[tuple[str, int]]:
    """Each with its position; 0 for those that need none. Single tokens come first."""
    for column in _MOST_IMPORTANT_FIRST:
        for token in columns[column]:
            yield _lexeme(_ANYWHERE + token), 0
            if column != "marks":
                yield _lexeme(_LETTERS[column] + token), 0
    for column in _MOST_IMPORTANT_FIRST:
        letter, tokens = _LETTERS[column], columns[column]
        if column in _SHORT:
            for place in range(len(tokens) - 1):
                yield _row(letter, tokens[place : place + _MOST_IN_ROW]), 0
        elif column != "marks":
            for place, pair in enumerate(pairwise(tokens), 1):
                yield _lexeme(letter.upper() + " ".join(pair)), place


def _at(positions: list[int]) -> str:
    return f":{','.join(map(str, positions))}" if positions else ""


def _tokens(text: str) -> list[str]:
    return [token for token in _SEPARATORS.split(text) if token]


def _lexeme(text: str) -> str:
    """The text; its beginning and a digest if it is too long. No prefix that is asked for is that long."""
    encoded = text.encode()
    if len(encoded) <= _LONGEST_LEXEME:
        return text
    digest = hashlib.sha256(encoded).hexdigest()
    return f"{encoded[: _LONGEST_LEXEME - 64].decode(errors='ignore')}{digest}"


def _row(letter: str, tokens: Sequence[str]) -> str:
    return f"{letter.upper()}{' '.join(tokens)}".encode()[:_LONGEST_ROW].decode(errors="ignore")


# --- what is asked ----------------------------------------------------------------------------------------------------


def condition_of(match: Match) -> str:
    """The condition as PostgreSQL reads it."""
    if isinstance(match, Phrase):
        return _phrase(match)
    operator = " | " if isinstance(match, AnyOf) else " & "
    return operator.join(f"({condition_of(part)})" for part in match.parts)


def _phrase(phrase: Phrase) -> str:
    tokens = _tokens(" ".join(phrase.tokens))
    if not tokens:
        return _quoted("!")  # no lexeme begins like that
    if len(tokens) == 1:
        letters: Sequence[str] = [_LETTERS[column] for column in phrase.columns] or [_ANYWHERE]
        ways = [_quoted(_lexeme(letter + tokens[0])) + ":*" * phrase.is_prefix for letter in letters]
    else:
        columns = phrase.columns or [column for column in WORD_COLUMNS if column != "marks"]
        ways = [way for column in columns for way in _in_a_row(column, tokens, is_prefix=phrase.is_prefix)]
    return " | ".join(f"({way})" for way in ways)


def _in_a_row(column: str, tokens: list[str], *, is_prefix: bool) -> Iterable[str]:
    """The ways in which at least two tokens may follow each other in a column."""
    letter = _LETTERS[column]
    if column in _SHORT:
        row = _row(letter, tokens[:_MOST_IN_ROW])
        yield _quoted(row) + ":*" * is_prefix
        if not is_prefix:
            yield _quoted(row + " ") + ":*"  # others follow
    else:
        pairs = [_quoted(_lexeme(letter.upper() + " ".join(pair))) for pair in pairwise(tokens)]
        yield " <-> ".join(pairs) + ":*" * is_prefix


def _quoted(lexeme: str) -> str:
    """As a text in quotes, in which nothing is syntax."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
