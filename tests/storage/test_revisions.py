"""The shared counters: visible to all processes immediately, and no count is ever lost."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.revisions import ALL, ANY, FILE, Change, Revisions, group_of

BUMPING = """
import sys
from pathlib import Path
from nugetproxy.storage.revisions import Revisions
revisions = Revisions(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    revisions.bump_accounts()
"""


def test_the_error_says_which_file_cannot_be_opened_and_which_user_can(tmp_path, monkeypatch):
    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)

    with pytest.raises(StorageUnavailable, match=f"{tmp_path / FILE} .* opened: .*; run this as the server's user"):
        Revisions(tmp_path)


@pytest.fixture
def revisions(tmp_path: Path):
    opened = Revisions(tmp_path)
    yield opened
    opened.close()


def bumping(directory: Path, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", BUMPING, str(directory), str(times)])


def test_both_start_at_zero(revisions):
    assert (revisions.accounts, revisions.hosting) == (0, 0)


def test_each_counts_separately(revisions):
    revisions.bump_accounts()
    revisions.bump_hosting()
    revisions.bump_hosting()

    assert (revisions.accounts, revisions.hosting) == (1, 2)


def test_another_instance_sees_it_immediately(revisions, tmp_path):
    other = Revisions(tmp_path)
    other.bump_hosting()

    assert revisions.hosting == 1
    other.close()


def test_another_process_is_seen_immediately(revisions, tmp_path):
    assert bumping(tmp_path, 1).wait(20) == 0
    assert revisions.accounts == 1


def test_they_survive_a_restart(tmp_path):
    """
    A counter that restarted would make outdated data look valid.
    """
    first = Revisions(tmp_path)
    first.bump_accounts()
    first.close()
    second = Revisions(tmp_path)

    assert second.accounts == 1
    second.close()


def test_no_bump_of_two_processes_is_lost(revisions, tmp_path):
    children = [bumping(tmp_path, 2000), bumping(tmp_path, 2000)]

    assert [child.wait(30) for child in children] == [0, 0]
    assert revisions.accounts == 4000


def test_no_bump_of_two_threads_is_lost(revisions):
    def bump() -> None:
        for _ in range(2000):
            revisions.bump_hosting()

    threads = [threading.Thread(target=bump) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert revisions.hosting == 6000


def test_only_its_owner_may_read_the_file(revisions, tmp_path):
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_directory_that_is_missing_is_reported(tmp_path):
    with pytest.raises(StorageUnavailable, match="revisions"):
        Revisions(tmp_path / "missing")


def test_a_file_cut_short_is_filled(tmp_path):
    (tmp_path / FILE).write_bytes(b"abc")
    opened = Revisions(tmp_path)

    assert (opened.accounts, opened.hosting) == (0, 0)
    opened.close()


def test_counters_of_an_earlier_version_go_on(tmp_path):
    (tmp_path / FILE).write_bytes((7).to_bytes(8, sys.byteorder) + (9).to_bytes(8, sys.byteorder))

    revisions = Revisions(tmp_path)

    assert (revisions.accounts, revisions.hosting, revisions.packages[ANY]) == (7, 9, 0)
    revisions.close()


def seen(revisions: Revisions, lower_id: str) -> tuple[int, ...]:
    return tuple(revisions.packages[place] for place in (group_of(lower_id), ANY, ALL))


def test_a_change_of_a_package_concerns_its_group_only(revisions):
    assert group_of("contoso.one") != group_of("contoso.two")

    revisions.bump_hosting("contoso.one")
    revisions.bump_packages(["contoso.one", "contoso.one"])

    assert seen(revisions, "contoso.one") == (2, 2, 0)
    assert seen(revisions, "contoso.two") == (0, 2, 0)
    assert (revisions.accounts, revisions.hosting) == (0, 1)


@pytest.mark.parametrize("bump", ["bump_accounts", "bump_hosting"])
def test_a_change_without_a_package_concerns_all(revisions, bump):
    getattr(revisions, bump)()

    assert seen(revisions, "contoso.one") == (0, 1, 1)


@pytest.mark.parametrize(("newest", "bumped"), [(0, 0), (5, 1)])
def test_a_change_that_nobody_was_told_of_is_caught_up_with(revisions, newest, bumped):
    revisions.catch_up(lambda _: newest, no_rows)

    assert (revisions.accounts, revisions.hosting) == (bumped, bumped)


def test_what_was_told_is_not_told_again_at_the_next_start(revisions, tmp_path):
    log = AuditLines(3)
    revisions.catch_up(log.newest, no_rows)
    log.announce(revisions, log.note(revisions), "a")
    before = (revisions.accounts, revisions.hosting)

    again = Revisions(tmp_path)
    again.catch_up(log.newest, no_rows)
    at_start = (again.accounts, again.hosting)
    log.note(again)  # committed, and killed before the bump
    again.catch_up(log.newest, no_rows)

    assert at_start == before
    assert (again.accounts, again.hosting) == (before[0] + 1, before[1] + 1)
    again.close()


def test_a_change_of_a_killed_process_is_found_though_others_announced_later_ones(revisions, tmp_path):
    log = AuditLines(3)
    revisions.catch_up(log.newest, no_rows)
    log.note(revisions)  # killed before the bump
    for _ in range(40):
        log.announce(revisions, log.note(revisions), "b")
    before = seen(revisions, "a")

    again = Revisions(tmp_path)
    again.catch_up(log.newest, no_rows)
    found = seen(again, "a")
    again.catch_up(log.newest, no_rows)

    assert found == (before[0], before[1] + 1, before[2] + 1)
    assert seen(again, "a") == found
    again.close()


def test_changes_that_are_announced_in_another_order_are_not_announced_again(revisions, tmp_path):
    log = AuditLines(3)
    revisions.catch_up(log.newest, no_rows)
    numbers = [log.note(revisions) for _ in range(4)]
    for number in (numbers[2], numbers[1], numbers[3], numbers[0]):
        log.announce(revisions, number, "a")
    before = revisions.packages[ALL]

    again = Revisions(tmp_path)
    again.catch_up(log.newest, no_rows)

    assert again.packages[ALL] == before
    again.close()


class AuditLines:
    """The audit log, to which each change adds a line."""

    def __init__(self, newest: int) -> None:
        self._newest = newest

    def newest(self, _: object) -> int:
        return self._newest

    def note(self, revisions: Revisions) -> int:
        """A transaction that is committed."""
        self._newest += 1
        return revisions.note(SimpleNamespace(fetch=no_rows), Change())

    def announce(self, revisions: Revisions, number: int, lower_id: str) -> None:
        revisions.committed(number, Change.of_hosting(lower_id))


def no_rows(*_: object) -> list[tuple[object, ...]]:
    return []
