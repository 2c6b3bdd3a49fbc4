"""What a node's processes know: seen by all of them, and forgotten where it would be another node's."""

import shutil
import subprocess
import sys

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.fleet import standing as module
from nugetproxy.storage.fleet.rules import Position
from nugetproxy.storage.fleet.standing import FILE, Standing

READING = """
import sys
from pathlib import Path
from nugetproxy.storage.fleet.standing import Standing
standing = Standing(Path(sys.argv[1]))
print(standing.may_remember(), standing.session, standing.position.revision)
"""


def accepted(standing: Standing) -> None:
    standing.entered(42)
    standing.reached(Position(7, -8))
    standing.accepted(standing.now(), standing.now() + 60)


@pytest.fixture
def standing(tmp_path):
    opened = Standing(tmp_path)
    yield opened
    opened.close()


def values(standing: Standing) -> tuple[object, ...]:
    return standing.may_remember(), standing.session, standing.beat, standing.position, standing.confirmed is not None


NOTHING = (False, 0, 0, None, False)


def test_at_first_nothing_is_known(standing):
    assert values(standing) == NOTHING


def test_all_processes_see_it(standing, tmp_path):
    accepted(standing)
    told = subprocess.run([sys.executable, "-c", READING, str(tmp_path)], capture_output=True, text=True, check=True)

    assert told.stdout.split() == ["True", "42", "7"]


def test_the_next_process_goes_on(standing, tmp_path):
    accepted(standing)
    again = Standing(tmp_path)

    assert values(again) == (True, 42, 1, Position(7, -8), True)
    again.close()


def test_a_copy_is_another_node(standing, tmp_path):
    """
    Two nodes with one row in the table of nodes would confirm for each other.
    """
    accepted(standing)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / FILE, copy / FILE)
    again = Standing(copy)

    assert values(again) == NOTHING
    assert values(standing) == (True, 42, 1, Position(7, -8), True)
    again.close()


def test_nothing_outlives_a_boot(standing, tmp_path, monkeypatch):
    """
    The clock starts again, and what is in the memory of processes is gone.
    """
    accepted(standing)
    (tmp_path / "boot_id").write_text("another")
    monkeypatch.setattr(module, "_BOOT", tmp_path / "boot_id")
    again = Standing(tmp_path)

    assert values(again) == NOTHING
    again.close()


def test_the_right_ends_by_itself():
    now = [5_000_000_000]
    standing = Standing(None, lambda: now[0])
    standing.accepted(5.0, 9.0)
    now[0] = 8_999_999_999
    before = standing.may_remember()
    now[0] = 9_000_000_000

    assert (before, standing.may_remember()) == (True, False)
    standing.close()


def test_since_when_the_database_is_out_of_reach(standing):
    told = [standing.failing_since]
    for failed in (7.0, 8.0):
        standing.extended(9.0, failed)
        told.append(standing.failing_since)
    standing.accepted(10.0, 14.0)

    assert [*told, standing.failing_since] == [None, 7.0, 7.0, None]


def test_a_directory_that_is_missing_is_reported(tmp_path):
    with pytest.raises(StorageUnavailable, match=FILE):
        Standing(tmp_path / "missing")


@pytest.mark.parametrize(
    ("right", "is_failing", "state"),
    [(60, False, "confirmed"), (60, True, "remembering"), (-1, False, "asking"), (-1, True, "alone")],
)
def test_the_state_that_people_see(standing: Standing, right: float, is_failing: bool, state: str) -> None:
    now = standing.now()
    standing.accepted(now, now + right)
    if is_failing:
        standing.extended(now + right, now)
    assert standing.state == state
