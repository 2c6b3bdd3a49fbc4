"""Hosted packages over PostgreSQL: tests of the private feed, run again with that engine."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from nugetproxy.storage.database.postgres import PostgresDatabase
from tests.engines.postgres import PostgresServer
from tests.hosting import test_events, test_publish, test_publish_acts, test_statistics, test_symbols, test_upkeep
from tests.hosting.house import House

# At least one for each statement of `hosting`, and those in which two processes, here two nodes, do the same at once.
_AGAIN: Final[dict[ModuleType, tuple[str, ...]]] = {
    test_events: (
        "test_a_mirror_that_reads_while_others_push_misses_nothing",
        "test_the_index_knows_when_things_last_happened",
    ),
    test_publish: (
        "test_a_push_is_one_event_one_row_one_audit_line",
        "test_two_pushes_of_a_new_id_do_not_share_it",
        "test_a_failing_part_of_the_transaction_undoes_all",
        "test_stamps_grow_when_a_clock_goes_backwards",
        "test_the_log_is_not_rewritten",
    ),
    test_publish_acts: (
        "test_versions_are_deprecated_together_and_each_has_its_event",
        "test_a_deleted_version_can_be_released_now_or_later",
    ),
    test_statistics: ("test_downloads_are_summed_over_processes",),
    test_symbols: (
        "test_a_debugger_finds_the_exact_bytes",
        "test_symbols_are_replaced",
        "test_symbols_are_removed_with_their_version",
    ),
    test_upkeep: ("test_old_garbage_is_removed_and_packages_stay", "test_a_package_without_its_file_is_reported"),
}


@pytest.fixture
def house(tmp_path: Path, postgres: PostgresServer, shared_database: str) -> Iterator[House]:
    opened = House(tmp_path, database=PostgresDatabase(postgres.dsn(shared_database)))
    yield opened
    opened.close()


@pytest.fixture
def other(house: House, tmp_path: Path, postgres: PostgresServer, shared_database: str) -> Iterator[House]:
    """Another node, with the same disk."""
    opened = House(tmp_path, database=PostgresDatabase(postgres.dsn(shared_database)))
    yield opened
    opened.close()


desk = test_symbols.desk
for _module, _names in _AGAIN.items():
    globals().update({name: getattr(_module, name) for name in _names})
