"""The processes that use a data directory."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog

from nugetproxy.errors import StorageUnavailable
from nugetproxy.storage.occupants import Occupant, alone, enter

SERVER = Occupant("server", "1.0", 7)
WORKER = Occupant("worker", "1.0", 8)


def test_an_empty_directory_can_be_used_exclusively(tmp_path: Path):
    with alone(tmp_path, "move"):
        pass


def test_an_occupant_is_named(tmp_path: Path):
    """
    The server rather than its workers; processes that have left do not count.
    """
    for who in (WORKER, SERVER):
        enter(tmp_path, who)
    enter(tmp_path, Occupant("server", "0.1", 6)).leave()
    told = f"cannot move while {tmp_path} is used by a server of nugetproxy 1.0 (process 7): stop it first"
    with pytest.raises(StorageUnavailable) as refused, alone(tmp_path, "move"):
        pass
    assert str(refused.value) == told


def test_a_killed_process_has_left(tmp_path: Path):
    code = (
        "import os, pathlib, sys; from nugetproxy.storage.occupants import Occupant, enter;"
        "enter(pathlib.Path(sys.argv[1]), Occupant('server', '1.0', os.getpid())); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    left = list((tmp_path / "locks").glob("in-use.*"))
    assert [json.loads(each.read_text())["what"] for each in left] == ["server"]
    with alone(tmp_path, "move"):
        assert not left[0].exists()


def test_nobody_enters_meanwhile(tmp_path: Path):
    entered = threading.Event()

    def come() -> None:
        enter(tmp_path, WORKER).leave()
        entered.set()

    with alone(tmp_path, "move"):
        coming = threading.Thread(target=come)
        coming.start()
        assert not entered.wait(0.05)
    assert entered.wait(20)
    coming.join()


def test_a_directory_that_cannot_be_written_is_used_unseen_and_never_exclusively(tmp_path: Path):
    (tmp_path / "locks").touch()
    with structlog.testing.capture_logs() as lines:
        enter(tmp_path, WORKER).leave()
    assert [line["event"] for line in lines] == ["data_used_unseen"]
    with pytest.raises(StorageUnavailable, match="door cannot be opened"), alone(tmp_path, "move"):
        pass


def test_an_entry_that_could_not_be_written_still_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    On a full disk there is a file, and its lock, but no content.
    """

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        there = enter(tmp_path, SERVER)
    with (
        pytest.raises(StorageUnavailable, match=r"process of nugetproxy .*unknown.* \(process 7\)"),
        alone(tmp_path, "x"),
    ):
        pass
    there.leave()
