"""Copying the rows of a main database into another, of the same engine or not. Numbers and times stay the same.

What is copied is one snapshot of the source. Rows that are about one storage or one fleet stay behind, and so do those
that follow from others: who owns them rebuilds them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from nugetproxy.errors import ConstraintViolated, StorageUnavailable
from nugetproxy.storage.database.base import Database, Dialect, Fetch, Rows, Transaction

T = TypeVar("T")
Told = Callable[[str, int], None]
"""Called with a table and a number of rows that were copied."""


@dataclass(frozen=True, slots=True)
class Table:
    """`key` is the primary key, in whose order rows are read, `batch` at a time.

    `grows`: rows are added and never changed or removed, and the key is a number. `numbers`: the engine gives out the
    key. `later` is a column that refers to other rows of the table.
    """

    name: str
    key: tuple[str, ...]
    grows: bool = False
    numbers: bool = False
    later: str = ""
    batch: int = 1000


_VERSION: Final = ("lower_id", "lower_version")

# What a row refers to comes before it.
COPIED: Final = (
    Table("accounts", ("account_id",), numbers=True),
    Table("members", ("organization_id", "user_id")),
    Table("api_keys", ("key_id",), later="replaced_by"),
    Table("publishing_policies", ("policy_id",), numbers=True),
    Table("publishing_tokens", ("digest",)),
    Table("package_owners", ("lower_id", "account_id")),
    Table("reservations", ("lower_pattern",)),
    Table("reservation_owners", ("lower_pattern", "account_id")),
    Table("audit_log", ("number",), grows=True, numbers=True),
    Table("hosted_pushes", ("push",), grows=True, numbers=True, batch=200),
    Table("hosted_events", ("sequence",), grows=True),
    Table("hosted_packages", _VERSION),
    Table("burnt_versions", _VERSION),
    Table("hosted_times", ("only_row",)),
    Table("hosted_downloads", _VERSION),
    Table("symbol_packages", ("push",)),
    Table("symbol_files", ("push", "path")),
    Table("policy_exceptions", _VERSION),
    Table("policy_seen", _VERSION),
    Table("policy_files", _VERSION),
    Table("policy_pins", _VERSION),
    Table("search_state", ("only_row",)),
    Table("search_versions", ("lower_id", "precedence", "lower_version")),
    Table("search_documents", ("document",)),
    Table("search_hits", ("document",)),
)
REBUILT: Final[dict[Dialect, tuple[str, ...]]] = {
    "sqlite": ("search_words", "search_names"),
    "postgres": ("search_words",),
}
"""Emptied by a copy. `hosting.search_index` fills them again."""
LEFT: Final = frozenset(
    {
        "storage_state",
        "applied_migrations",
        "unclaimed_blobs",  # about the files of one storage
        "search_totals",  # counted by triggers
        # Browsers and command lines sign in again.
        *("sessions", "device_grants"),
        "write_turns",
        # What is mirrored.
        "mirrored_documents",
        "mirrored_pins",
        *("shared_absences", "shared_packages", "shared_pdbs", "shared_unclaimed"),
        *("fleet_turn", "fleet_changes", "fleet_nodes", "fleet_leases"),
    }
)
"""Not copied."""

_GROWING: Final = tuple(table for table in COPIED if table.grows)
_OTHERS: Final = tuple(table for table in COPIED if not table.grows)


def is_empty(fetch: Fetch) -> bool:
    """Whether nobody has done anything in this database yet."""
    [found] = fetch(
        "SELECT EXISTS (SELECT 1 FROM accounts), EXISTS (SELECT 1 FROM audit_log),"
        " EXISTS (SELECT 1 FROM hosted_pushes)",
        (),
    )
    return not any(found)


def copy_growing(fetch: Fetch, target: Database, told: Told) -> None:
    """Add the rows that the target lacks in the tables that only grow. `fetch` reads one snapshot of the source.

    Blocks. Repeating it costs little. Raises StorageUnavailable, also when the target has rows that the source lacks.
    """
    for table in _GROWING:
        columns = _columns(table, fetch, target)
        there, here = _counts(table, fetch), _done(target, partial(_counts_in, table))
        for place in here:
            if here[place] > there.get(place, 0):
                raise StorageUnavailable(f"the target has rows of {table.name} that the source lacks")
        for place in sorted(there):
            if here.get(place, 0) < there[place]:
                told(table.name, _add_missing(table, columns, place, fetch, target))


def copy_others(fetch: Fetch, target: Database, told: Told) -> None:
    """Make all other tables equal to the source. Until it has ended, the target is of no use to anybody. Blocks.

    Call `copy_growing` with the same snapshot first. Raises StorageUnavailable.
    """
    _done(target, _clear)
    for table in _OTHERS:
        columns, later = _columns(table, fetch, target), list[tuple[object, object]]()
        place = columns.index(table.later) if table.later else -1
        after: tuple[object, ...] = ()
        while rows := _page(table, columns, fetch, after):
            after = rows[-1][: len(table.key)]
            if table.later:
                later += [(row[place], row[0]) for row in rows if row[place] is not None]
                rows = [(*row[:place], None, *row[place + 1 :]) for row in rows]
            _done(target, partial(_insert, table, columns, rows))
            told(table.name, len(rows))
        if later:
            _done(target, partial(_refer, table, later))
    if target.dialect == "postgres":
        _done(target, _go_on_counting)


def counts(fetch: Fetch) -> dict[str, int]:
    """The number of rows of each table that is copied."""
    return {table.name: fetch(f"SELECT count(*) FROM {table.name}", ())[0][0] for table in COPIED}  # noqa: S608


def _counts(table: Table, fetch: Fetch) -> dict[int, int]:
    """How many rows there are in each range of `batch` numbers."""
    [key] = table.key
    return dict(fetch(f"SELECT {key} / {table.batch}, count(*) FROM {table.name} GROUP BY 1", ()))  # noqa: S608


def _counts_in(table: Table, transaction: Transaction) -> dict[int, int]:
    return _counts(table, transaction.fetch)


def _add_missing(table: Table, columns: Sequence[str], place: int, fetch: Fetch, target: Database) -> int:
    [key] = table.key
    between = f"FROM {table.name} WHERE {key} BETWEEN ? AND ?"
    numbers = (place * table.batch, (place + 1) * table.batch - 1)
    rows = fetch(f"SELECT {', '.join(columns)} {between} ORDER BY {key}", numbers)

    def add(transaction: Transaction) -> int:
        known = {row[0] for row in transaction.fetch(f"SELECT {key} {between}", numbers)}
        missing = [row for row in rows if row[0] not in known]
        _insert(table, columns, missing, transaction)
        return len(missing)

    return _done(target, add)


def _page(table: Table, columns: Sequence[str], fetch: Fetch, after: tuple[object, ...]) -> Rows:
    keys = ", ".join(table.key)
    where = f" WHERE ({keys}) > ({', '.join('?' * len(after))})" if after else ""
    return fetch(
        f"SELECT {', '.join(columns)} FROM {table.name}{where} ORDER BY {keys} LIMIT {table.batch}",  # noqa: S608
        after,
    )


def _insert(table: Table, columns: Sequence[str], rows: Rows, transaction: Transaction) -> None:
    values = ", ".join("?" * len(columns))
    transaction.change_many(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({values})", rows)  # noqa: S608


def _refer(table: Table, values: Sequence[tuple[object, object]], transaction: Transaction) -> None:
    transaction.change_many(f"UPDATE {table.name} SET {table.later} = ? WHERE {table.key[0]} = ?", values)  # noqa: S608


def _clear(transaction: Transaction) -> None:
    for name in (*REBUILT[transaction.dialect], *(table.name for table in reversed(_OTHERS))):
        transaction.change(f"DELETE FROM {name}")  # noqa: S608


def _go_on_counting(transaction: Transaction) -> None:
    """The engine gives out the numbers after those that were copied."""
    for table in COPIED:
        if table.numbers:
            [key] = table.key
            transaction.fetch(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{key}'),"  # noqa: S608
                f" (SELECT coalesce(max({key}), 0) + 1 FROM {table.name}), false)"
            )


def _columns(table: Table, fetch: Fetch, target: Database) -> tuple[str, ...]:
    """Those of the key first."""
    names = _done(target, partial(_names_of, table))
    assert set(table.key) <= names, f"{table.name} has another key"
    return (*table.key, *sorted(names - set(table.key)))


def _names_of(table: Table, transaction: Transaction) -> set[str]:
    rows = transaction.fetch(_COLUMNS[transaction.dialect], (table.name,))
    return {row[0] for row in rows}


_COLUMNS: Final[dict[Dialect, str]] = {
    "sqlite": "SELECT name FROM pragma_table_info(?)",
    "postgres": "SELECT column_name::TEXT FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND table_name = ?",
}


def _done(target: Database, work: Callable[[Transaction], T]) -> T:
    try:
        return target.submit(work).result()
    except ConstraintViolated as error:
        raise StorageUnavailable(f"a row cannot be copied: {error}") from error
