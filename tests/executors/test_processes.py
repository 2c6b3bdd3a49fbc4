"""Jobs in separate processes: what is returned, what is lost, and that no process is left."""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nugetproxy import errors
from nugetproxy.errors import InvalidPackage, ProcessLost, TooLarge
from nugetproxy.executors.child import HEAD
from nugetproxy.executors.processes import NICENESS, ProcessExecutor
from nugetproxy.hosting.inspection import inspect
from tests.executors.work import end, fail, ignore, imported, refuse, wait_for, where
from tests.project.test_errors import CLASSES


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
async def two() -> AsyncIterator[ProcessExecutor]:
    executor = ProcessExecutor("work", 2)
    yield executor
    await executor.close()


async def test_a_job_is_done_by_a_process_that_gives_way(two: ProcessExecutor) -> None:
    pid, niceness = await two.run(where)
    assert pid != os.getpid()
    assert niceness == min(19, os.nice(0) + NICENESS)
    assert (await two.run(where))[0] == pid  # the second is started while the first is busy
    assert two.jobs == 0


async def test_failures_are_returned_unchanged(two: ProcessExecutor) -> None:
    with pytest.raises(TooLarge, match="the thing is larger than the limit of 5 bytes") as told:
        await two.run(refuse, what="the thing")
    assert (told.value.what, told.value.limit) == ("the thing", 5)
    with pytest.raises(RuntimeError, match=r"(?s)job of work failed.*in fail.*ZeroDivisionError: by nothing"):
        await two.run(fail)
    assert two.jobs == 0


async def test_at_most_so_many_at_once(two: ProcessExecutor, tmp_path: Path) -> None:
    jobs = [asyncio.create_task(two.run(wait_for, tmp_path / "go")) for _ in range(5)]
    await asyncio.sleep(0)
    assert two.jobs == 5
    (tmp_path / "go").touch()
    assert len(set(await asyncio.gather(*jobs))) == 2


async def test_a_process_that_ends_loses_its_job_and_no_other(two: ProcessExecutor) -> None:
    pid, _ = await two.run(where)
    with pytest.raises(ProcessLost, match="the process that did it ended"):
        await two.run(end)
    again, _ = await two.run(where)
    assert again != pid


async def test_a_job_without_end_is_ended(tmp_path: Path) -> None:
    executor = ProcessExecutor("work", 1, longest_job=3)
    pid, _ = await executor.run(where)
    with pytest.raises(ProcessLost, match=r"longer than 3 seconds"):
        await executor.run(wait_for, tmp_path / "never")
    assert not is_there(pid)
    await executor.close()


async def test_a_cancelled_caller_never_gets_another_answer(two: ProcessExecutor, tmp_path: Path) -> None:
    first = asyncio.create_task(two.run(wait_for, tmp_path / "go"))
    await asyncio.sleep(0.2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await two.run(where))[1] >= NICENESS


async def test_one_that_rests_ends() -> None:
    executor = ProcessExecutor("work", 1, idle_seconds=0.05)
    pid, _ = await executor.run(where)
    async with asyncio.timeout(10):
        while is_there(pid):
            await asyncio.sleep(0.01)
    assert (await executor.run(where))[0] != pid
    await executor.close()


async def test_none_is_left_when_it_is_closed() -> None:
    executor = ProcessExecutor("work", 1)
    pid, _ = await executor.run(where)
    await executor.close()
    assert not is_there(pid)


async def test_a_signal_to_all_does_not_end_what_is_under_way(two: ProcessExecutor) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        assert await two.run(ignore, signum) == "still there"


async def test_it_loads_neither_the_server_nor_the_metrics(two: ProcessExecutor, tmp_path: Path) -> None:
    """
    Its memory is that of an interpreter and the package parser; nobody would collect its metrics.
    """
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(InvalidPackage):
        await two.run(inspect, tmp_path / "x", None, None)  # type: ignore[arg-type]
    assert await two.run(imported) & {"aiohttp", "prometheus_client", "pydantic", "diskcache"} == set()


@pytest.mark.parametrize("is_answered", [True, False])
def test_it_ends_quietly_when_its_parent_was_killed(is_answered: bool) -> None:
    """
    With an answer that nobody has read, or in the middle of a job.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-m", "nugetproxy.executors.child", str(theirs.fileno()), "0"],
            pass_fds=(theirs.fileno(),), stderr=subprocess.PIPE,
        )  # fmt: skip
    with ours:
        job = pickle.dumps((where, (), {}))
        ours.sendall(len(job).to_bytes(HEAD, "big") + job)
        if is_answered:
            ours.recv(1)  # and leave the rest
    assert child.communicate(timeout=30)[1] == b""
    assert child.returncode == 0


@pytest.mark.parametrize("kind", sorted(CLASSES, key=str))
def test_every_error_can_be_pickled(kind: type[errors.NugetproxyError]) -> None:
    error = kind.__new__(kind, "told")
    vars(error)["field"] = 5
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, "told", {"field": 5})
