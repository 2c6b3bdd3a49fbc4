"""Named pools: bounded running and waiting jobs, and no code of the product that runs outside of them."""

import asyncio
import contextvars
import os
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import nugetproxy
from nugetproxy.errors import Busy
from nugetproxy.executors import threads
from nugetproxy.executors.threads import ALL, ThreadExecutor

WHERE: contextvars.ContextVar[str] = contextvars.ContextVar("where")


class Gate:
    """Work that holds its thread until it is released."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self._lock = threading.Lock()
        self.running = self.most = self.begun = 0

    def work(self) -> str:
        with self._lock:
            self.begun += 1
            self.running += 1
            self.most = max(self.most, self.running)
        self.open.wait(10)
        with self._lock:
            self.running -= 1
        return threading.current_thread().name

    async def held(self, executor: ThreadExecutor, jobs: int, threads: int) -> "list[asyncio.Task[str]]":
        tasks = [asyncio.create_task(executor.run(self.work)) for _ in range(jobs)]
        async with asyncio.timeout(10):
            while self.running < threads:
                await asyncio.sleep(0.001)
        return tasks


async def test_at_most_so_many_run_at_once():
    gate, executor = Gate(), ThreadExecutor("two", 2, waiting=10)
    tasks = await gate.held(executor, 8, 2)
    assert executor.jobs == 8
    gate.open.set()
    names = await asyncio.gather(*tasks)
    assert gate.most == 2
    assert {name.partition("_")[0] for name in names} == {"two"}
    assert executor.jobs == 0


async def test_a_full_queue_refuses():
    gate, executor = Gate(), ThreadExecutor("one", 1, waiting=2)
    tasks = await gate.held(executor, 3, 1)
    with pytest.raises(Busy, match="one"):
        await executor.run(gate.work)
    gate.open.set()
    await asyncio.gather(*tasks)
    assert gate.begun == 3
    await executor.run(gate.work)  # there is room again


async def test_who_left_takes_back_what_has_not_begun():
    gate, executor = Gate(), ThreadExecutor("one", 1, waiting=1)
    tasks = await gate.held(executor, 2, 1)
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert executor.jobs == 1
    gate.open.set()
    await tasks[0]
    assert gate.begun == 1


async def test_the_work_sees_the_callers_context_and_its_failure_is_the_callers():
    executor = ThreadExecutor("one", 1)
    WHERE.set("here")
    assert await executor.run(WHERE.get) == "here"
    with pytest.raises(ZeroDivisionError):
        await executor.run(lambda: 1 / 0)
    assert executor.jobs == 0


async def test_all_are_named_apart():
    declared = [each for each in vars(threads).values() if isinstance(each, ThreadExecutor)]
    assert list(ALL) == sorted(declared, key=ALL.index)
    assert len({each.name for each in ALL}) == len(ALL)


def test_nothing_runs_in_the_default_pool():
    """
    In asyncio's default pool it would delay name resolution and file sending of the event loop. The supervisor serves
    nobody, and waits for its children there.
    """
    root = Path(nugetproxy.__file__).parent
    found = [
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        if re.search(r"\bto_thread\(|run_in_executor\(\s*None", file.read_text())
    ]
    assert found == ["runtime/spawning.py"]


async def test_only_the_threads_of_a_nice_pool_have_low_priority():
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert await ThreadExecutor("nice", 1, niceness=5).run(niceness) == min(19, niceness() + 5)
    assert await ThreadExecutor("ordinary", 1).run(niceness) == niceness()


def test_a_long_loop_hands_the_interpreter_over_again_and_again(monkeypatch):
    sleeps: list[float] = []
    monkeypatch.setattr(threads, "time", SimpleNamespace(sleep=sleeps.append))

    assert list(threads.yielding(range(1050))) == list(range(1050))
    assert len(sleeps) == 10
    assert min(sleeps) > 0  # 0 would take the lock back
