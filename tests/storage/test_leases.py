import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nugetproxy.storage.leases import Lease, Leases, pause_after
from tests.contracts.lease import LeaseContract


class PassedOn:
    """What holds for leases of one machine, besides the contract."""

    def test_one_lease_is_passed_on_from_key_to_key(self, leases, others):
        lease = take(leases, "0")
        for key in ("a", "b", "c"):
            lease = passed_on(leases, lease, key)
            assert others.try_hold(key) is None
        for key in ("0", "a", "b"):
            others.try_hold(key).release()

        lease.release()
        others.try_hold("c").release()

    def test_a_lease_is_released_even_if_the_next_is_in_use(self, leases, others):
        with others.try_hold("b"):
            assert leases.try_next(leases.try_hold("a"), "b") is None
            assert leases.try_next(leases.try_hold("a"), "b") is None
        others.try_hold("a").release()
        leases.try_next(None, "b").release()

    def test_a_lease_that_was_passed_on_cannot_be_released(self, leases, others):
        first = leases.try_hold("a")
        with leases.try_next(first, "b"):
            with others.try_hold("a"):
                first.release()
                assert leases.try_hold("a") is None
            assert others.try_hold("b") is None


class TestFileLeases(LeaseContract, PassedOn):
    @pytest.fixture
    def leases(self, tmp_path):
        return Leases(tmp_path / "leases")

    @pytest.fixture
    def others(self, leases, tmp_path):
        return Leases(tmp_path / "leases")


class TestLeasesOfThisProcessAlone(LeaseContract, PassedOn):
    """Where no file can be created, leases still exclude within one process."""

    @pytest.fixture
    def leases(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        return Leases(tmp_path / "file" / "leases")

    @pytest.fixture
    def others(self, leases):
        return leases

    async def test_another_key_is_another_lease(self, leases, others):
        with leases.try_hold("a"), others.try_hold("b") as lease:
            assert not lease.shared


def take(leases: Leases, key: str) -> Lease:
    lease = leases.try_hold(key)
    assert lease is not None
    return lease


def passed_on(leases: Leases, before: Lease, key: str) -> Lease:
    lease = leases.try_next(before, key)
    assert lease is not None
    return lease


def test_no_files_are_left(tmp_path):
    """
    A lease's file is removed with the lease, or there would be one for every URL ever requested.
    """
    leases = Leases(tmp_path)
    for number in range(50):
        with take(leases, str(number)):
            pass

    assert list(tmp_path.iterdir()) == []


def test_a_lease_that_is_passed_on_keeps_its_file(tmp_path):
    leases = Leases(tmp_path)
    lease = take(leases, "0")
    [file] = tmp_path.iterdir()
    inode = file.stat().st_ino
    for number in range(1, 5):
        lease = passed_on(leases, lease, str(number))
        assert [each.stat().st_ino for each in tmp_path.iterdir()] == [inode]
    lease.release()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", ["hardlink_to", "unlink"])
def test_without_second_names_or_removal_a_lease_is_passed_on_all_the_same(tmp_path, monkeypatch, which):
    leases, others = Leases(tmp_path), Leases(tmp_path)
    lease = take(leases, "a")
    with monkeypatch.context() as patch:

        def refuse(*_):
            raise OSError(errno.EPERM, "Operation not permitted")

        patch.setattr(Path, which, refuse)
        lease = passed_on(leases, lease, "b")
    assert others.try_hold("b") is None
    lease.release()
    for key in ("a", "b"):
        take(others, key).release()


def test_a_removed_directory_does_not_give_a_lease_of_somebody_else(tmp_path):
    folder = tmp_path / "locks"
    leases, others = Leases(folder), Leases(folder)
    lease = take(leases, "a")
    shutil.rmtree(folder)
    with take(others, "a"):
        lease = passed_on(leases, lease, "b")

        assert others.try_hold("b") is None
        lease.release()
        take(others, "b").release()


def test_a_release_after_the_directory_was_removed_leaves_the_lease_of_somebody_else(tmp_path):
    folder = tmp_path / "locks"
    leases, others, third = Leases(folder), Leases(folder), Leases(folder)
    lease = take(leases, "a")
    shutil.rmtree(folder)
    with take(others, "a"):
        lease.release()

        assert third.try_hold("a") is None


def test_files_of_killed_processes_are_swept_at_start(tmp_path):
    held = take(Leases(tmp_path), "held")
    (tmp_path / ("0" * 40)).write_bytes(b"")
    (tmp_path / "stranger").write_bytes(b"")
    (tmp_path / ("1" * 40)).mkdir()
    after = Leases(tmp_path)

    assert not (tmp_path / ("0" * 40)).exists()
    assert after.try_hold("held") is None
    held.release()
    assert {path.name for path in tmp_path.iterdir()} == {"stranger", "1" * 40}


def test_the_directory_is_private(tmp_path):
    Leases(tmp_path / "a" / "leases")

    assert (tmp_path / "a" / "leases").stat().st_mode & 0o777 == 0o700


def test_a_removed_directory_is_recreated(tmp_path):
    """
    Otherwise every process would fetch for itself until a restart.
    """
    ours, others = Leases(tmp_path / "leases"), Leases(tmp_path / "leases")
    (tmp_path / "leases").rmdir()

    with take(ours, "key"):
        assert others.try_hold("key") is None
    assert (tmp_path / "leases").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EDQUOT])
def test_a_disk_that_refuses_does_not_stop_the_work(tmp_path, monkeypatch, number):
    leases = Leases(tmp_path)

    def refuse(*_args, **_more):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("nugetproxy.storage.leases.os.open", refuse)
    with take(leases, "a") as lease:
        assert not lease.shared
        assert leases.try_hold("a") is None


_HOLDER = """
import sys
from pathlib import Path
from nugetproxy.storage.leases import Leases
lease = Leases(Path(sys.argv[1])).try_hold("a")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_killed_holder_blocks_nobody(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        leases = Leases(tmp_path)
        assert leases.try_hold("a") is None
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        with take(leases, "a") as lease:
            assert lease.shared
    finally:
        holder.kill()
        holder.communicate()


def test_removal_and_taking_do_not_race(tmp_path):
    """
    Many takers of one key, each removing the file on release: two never hold it together.
    """
    inside, failures, done = threading.Lock(), [], []

    def work():
        leases = Leases(tmp_path)
        taken = 0
        while taken < 100:
            lease = leases.try_hold("a")
            if lease is None:
                continue
            if inside.acquire(blocking=False):
                time.sleep(0)
                inside.release()
            else:
                failures.append("two inside")
            lease.release()
            taken += 1
        done.append(taken)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert (failures, done) == ([], [100] * 4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("waited", "shortest", "longest"), [(0.0, 0.01, 0.02), (0.1, 0.01, 0.02), (0.4, 0.03, 0.07), (30.0, 0.06, 0.14)]
)
def test_long_waits_check_less_often(waited, shortest, longest):
    """
    Hundreds of documents may wait for a leader that bridges an outage: checking every 15 ms would take half a core.
    """
    assert all(shortest <= pause_after(waited) <= longest for _ in range(100))
