"""Which full-text index an engine of the main database has."""

from typing import Final

from nugetproxy.hosting.full_text.base import FullText
from nugetproxy.hosting.full_text.postgres import PostgresFullText
from nugetproxy.hosting.full_text.sqlite import SqliteFullText
from nugetproxy.storage.database.base import Dialect

_BY_DIALECT: Final[dict[Dialect, FullText]] = {"sqlite": SqliteFullText(), "postgres": PostgresFullText()}


def full_text(dialect: Dialect) -> FullText:
    return _BY_DIALECT[dialect]
