"""Statements and failures as PostgreSQL wants and gives them."""

import pytest

from nugetproxy.storage.database.postgres_sql import numbered


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("SELECT 1", "SELECT 1"),
        ("VALUES (?, ?, ?)", "VALUES ($1, $2, $3)"),
        ("a = ?2 OR b = ?1 OR c = ?2", "a = $2 OR b = $1 OR c = $2"),
        ("a = ?3 OR b = ?", "a = $3 OR b = $4"),  # as SQLite counts
        ("a = '?' AND b = ?", "a = '?' AND b = $1"),
        ("a = 'it''s ?' AND b = ?", "a = 'it''s ?' AND b = $1"),
        ('"odd?" = ?', '"odd?" = $1'),
        ("a = ? -- really?\nAND b = ?", "a = $1 -- really?\nAND b = $2"),
        ("a = /* ?\n? */ ?", "a = /* ?\n? */ $1"),
    ],
)
def test_parameters_are_numbered(ours: str, theirs: str) -> None:
    assert numbered(ours) == theirs
