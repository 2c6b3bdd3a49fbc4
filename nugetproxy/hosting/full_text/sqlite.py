"""SQLite's full-text index (FTS5), a `FullText`: tables `search_words` and `search_names`, one row per document.

FTS5 answers in the order of its row numbers, so a page needs no look at all that is found.
"""

from typing import Final

from nugetproxy.hosting.full_text.base import NAME_COLUMNS, WORD_COLUMNS, AllOf, Condition, Match, Phrase, Texts
from nugetproxy.hosting.search_marks import hidden_mark, hidden_marks
from nugetproxy.storage.database.base import Fetch, Transaction

_LAST_CHARACTER: Final = "\U0010ffff"
_TABLES: Final = ("search_words", "search_names")
_WORDS: Final = ", ".join(WORD_COLUMNS)
_PUT_WORDS: Final = (
    f"INSERT INTO search_words (rowid, {_WORDS}, hidden, owners) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"  # noqa: S608  all constant
    " (SELECT group_concat('_o' || account_id, ' ') FROM package_owners WHERE lower_id = ?))"
)
_PUT_NAMES: Final = f"INSERT INTO search_names (rowid, {', '.join(NAME_COLUMNS)}, hidden) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608


class SqliteFullText:
    """The contract `FullText`. The tables' triggers maintain the owners."""

    def put(self, transaction: Transaction, document: int, texts: Texts, shown_to: int) -> None:
        before = transaction.fetch(f"SELECT {_WORDS} FROM search_words WHERE rowid = ?", (document,))  # noqa: S608  constant
        if before == [texts.words]:
            self.show_to(transaction, document, shown_to)
            return
        if before:
            self.remove(transaction, document)
        transaction.change(_PUT_WORDS, (document, *texts.words, hidden_marks(shown_to), texts.lower_id))
        transaction.change(_PUT_NAMES, (document, *texts.names, hidden_marks(shown_to)))

    def show_to(self, transaction: Transaction, document: int, shown_to: int) -> None:
        for table in _TABLES:
            # An update that changes nothing would cost as much as one that does.
            transaction.change(
                f"UPDATE {table} SET hidden = ?1 WHERE rowid = ?2 AND hidden IS NOT ?1",  # noqa: S608  constant
                (hidden_marks(shown_to), document),
            )

    def renumber(self, transaction: Transaction, document: int, number: int) -> None:
        for table in _TABLES:
            transaction.change(f"UPDATE {table} SET rowid = ? WHERE rowid = ?", (number, document))  # noqa: S608  constant

    def remove(self, transaction: Transaction, document: int) -> None:
        for table in _TABLES:
            transaction.change(f"DELETE FROM {table} WHERE rowid = ?", (document,))  # noqa: S608  constant

    def count_all(self, fetch: Fetch, asked: int) -> int:
        [(count,)] = fetch("SELECT count(*) FROM search_documents WHERE shown_to & ? <> 0", (1 << asked,))
        return int(count)

    def count(self, fetch: Fetch, condition: Condition) -> int:
        table, text = _asked(condition)
        return int(fetch(f"SELECT count(*) FROM {table} WHERE {table} MATCH ?", (text,))[0][0])  # noqa: S608  constant

    def first(self, fetch: Fetch, condition: Condition, limit: int, *, is_broad: bool) -> list[int]:
        table, text = _asked(condition)
        sql = f"SELECT rowid FROM {table} WHERE {table} MATCH ? ORDER BY rowid LIMIT ?"  # noqa: S608  constant
        return [row[0] for row in fetch(sql, (text, limit))]

    def first_beginning(
        self, fetch: Fetch, condition: Condition, beginning: str, limit: int, *, is_broad: bool
    ) -> list[int]:
        table, text = _asked(condition)
        sql = (
            f"SELECT i.rowid FROM {table} AS i CROSS JOIN search_documents AS d ON d.document = i.rowid"  # noqa: S608  constant
            f" WHERE i.{table} MATCH ? AND d.lower_id BETWEEN ? AND ? ORDER BY i.rowid LIMIT ?"
        )
        return [row[0] for row in fetch(sql, (text, beginning, beginning + _LAST_CHARACTER, limit))]


def _asked(condition: Condition) -> tuple[str, str]:
    """The table, and the condition as FTS5 reads it."""
    return f"search_{condition.index}", f'({_written(condition.match)}) NOT "{hidden_mark(condition.asked)}"'


def _written(match: Match) -> str:
    if isinstance(match, Phrase):
        # Tokens contain neither quotes nor spaces (see `search_tokens`), so this is one phrase whatever was typed.
        phrase = f'"{" ".join(match.tokens)}"' + " *" * match.is_prefix
        return f"{{{' '.join(match.columns)}}} : {phrase}" if match.columns else phrase
    operator = " AND " if isinstance(match, AllOf) else " OR "
    return operator.join(f"({_written(part)})" for part in match.parts)
