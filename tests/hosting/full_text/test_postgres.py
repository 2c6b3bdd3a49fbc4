"""What PostgreSQL is given: lexemes, and conditions in which nothing that was typed is syntax."""

from typing import Any

import pytest

from nugetproxy.hosting.full_text.base import AllOf, AnyOf, Match, Phrase, Texts
from nugetproxy.hosting.full_text.postgres import condition_of, lexemes_of
from tests.engines.postgres import PostgresServer

_EMPTY = ("",) * 8


def test_a_document_is_stored_as_lexemes() -> None:
    texts = Texts("json.net", ("json net", "son", "", "", "", "", "", "_ijson.net"), ())
    assert set(lexemes_of(texts).split("  ")) == {
        "'a_ijson.net'", "'ajson'", "'njson'", "'anet'", "'nnet'", "'Njson net'", "'ason'", "'wson'"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        (Phrase(("json",)), "('ajson')"),
        (Phrase(("js",), True), "('ajs':*)"),
        (Phrase(("js",), True, ("name", "tags")), "('njs':*) | ('gjs':*)"),
        (Phrase(("a", "b"), False, ("title",)), "('Ta b') | ('Ta b ':*)"),
        (Phrase(("a", "b", "c"), True, ("title",)), "('Ta b c':*)"),
        (Phrase(("a", "b"), False, ("summary",)), "('Sa b')"),
        (Phrase(("a", "b", "c"), True, ("summary",)), "('Sa b' <-> 'Sb c':*)"),
        (AllOf((Phrase(("x",)), AnyOf((Phrase(("y",)), Phrase(("z",)))))), "(('ax')) & ((('ay')) | (('az')))"),
        (Phrase((" ' \\ ",)), "'!'"),
        (Phrase(("a'b|c:*",), True, ("name",)), "('Na b c':*)"),
    ],
)
def test_conditions(match: Match, wanted: str) -> None:
    assert condition_of(match) == wanted


def test_texts_that_are_too_long_keep_what_matters_most() -> None:
    wide = " ".join(chr(0x4E00 + number) for number in range(16_000))
    texts = Texts("a", ("a", *_EMPTY[:2], wide, wide[::-1], wide[9:], wide, "_ia"), ())
    lexemes = lexemes_of(texts)
    assert len(lexemes.encode()) < 1_500_000
    single = ["'a_ia'", "'na'", *(f"'{letter}{wide[-1]}'" for letter in "agdsc")]
    assert [lexeme for lexeme in single if lexeme not in lexemes] == []


def test_a_token_that_is_too_long_is_found_whole_and_by_its_beginning() -> None:
    token = "w" * 5_000
    [anywhere, _] = lexemes_of(Texts("a", (token, *_EMPTY[1:]), ())).split("  ")
    assert len(anywhere.encode()) <= 1_202
    assert condition_of(Phrase((token,))) == f"({anywhere})"
    assert anywhere.startswith(condition_of(Phrase((token[:128],), True))[1:-4])
    assert condition_of(Phrase((token + "w",))) != f"({anywhere})"


def test_no_search_reads_all_documents(postgres: PostgresServer, shared_database: str) -> None:
    """Even where the planner, left alone, would: unpacking the lexemes of every document takes seconds."""
    alone = "SELECT count(*) FROM search_words WHERE lexemes @@ 'ajson'::tsquery"

    async def scans_of(connection: Any, sql: str) -> int:
        scans = []
        for each in ("SELECT 1", sql):
            await connection.fetch(each)
            await connection.fetch("SELECT pg_stat_force_next_flush()")
            await connection.fetch("SELECT pg_stat_clear_snapshot()")
            scans.append(
                await connection.fetchval("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'search_words'")
            )
        return int(scans[1] - scans[0])

    async def ask(connection: Any) -> list[int]:
        await connection.execute(
            "INSERT INTO search_words SELECT n, 1, '', array_to_tsvector(ARRAY['ajson', 'a' || n])"
            " FROM generate_series(1, 500) AS n; ANALYZE search_words"
        )
        searches = ("SELECT search_count('ajson', 1)", "SELECT search_first('ajson', 1, 9, 0)",
                    "SELECT search_first('a7', 1, 9, 36)")  # fmt: skip
        return [await scans_of(connection, sql) for sql in (alone, *searches)]

    assert postgres.asking(shared_database, ask) == [1, 0, 0, 0]
