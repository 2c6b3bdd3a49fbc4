"""Many workers on one set of sockets: start, watch, replace, reload, stop.

Rule 1: a worker is stopped only after its replacement serves; if a worker cannot start, the start is aborted. Rule 2:
nothing here serves a request, and neither aiohttp nor the metrics are imported: this process stays small, and its
code keeps running while everything else is upgraded.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import nugetproxy
from nugetproxy import logs
from nugetproxy.logs import logger
from nugetproxy.runtime import listening
from nugetproxy.runtime.metrics_directory import MetricsDirectory
from nugetproxy.runtime.notify import Notify
from nugetproxy.runtime.spawning import CannotStart, Worker
from nugetproxy.runtime.watchdog import Watchdog, watchdog_seconds
from nugetproxy.runtime.watching import when_changed
from nugetproxy.storage import occupants
from nugetproxy.storage.occupants import Occupancy, Occupant

T = TypeVar("T")

# Seconds after which a silent worker is assumed never to serve. Loading takes half a second on an idle machine.
START_TIMEOUT = 60.0
# Seconds that systemd is told a migration may take: a large database needs minutes.
MIGRATION_SECONDS = 3600
# Seconds beyond its own timeout that a worker may take to close its files.
KILL_AFTER = 5.0
# Seconds between two attempts to replace a worker that keeps dying.
LONGEST_BACKOFF = 30.0
# When a worker could not be replaced for so many seconds, the others report that they are not ready. Without others
# we exit: clients would wait in the queue of a socket that nobody serves.
GIVE_UP_AFTER = 60.0

_log = logger()


@dataclass(frozen=True)
class Plan:
    """What the supervisor knows of the settings, sent by the first worker of a start, which has read them.

    `begin` is what to print at start if nobody can push yet; otherwise it is empty. `watched` is for `when_changed`.
    """

    settings: str
    host: str
    port: int
    public_url: str
    tls: bool
    workers: int
    stop_timeout: float
    data: str
    log_format: logs.Format
    log_level: logs.Level
    begin: str
    watched: str

    @classmethod
    def from_words(cls, words: Mapping[str, Any]) -> "Plan":
        """Newer code may send more fields than we know."""
        return cls(**{field.name: words[field.name] for field in fields(cls)})


@dataclass
class Generation:
    """Workers that run the same settings on the same sockets."""

    plan: Plan
    sockets: list[socket.socket]
    workers: list[Worker]


class Supervisor:
    """One `nugetproxy serve`.

    `source` is where workers read the settings from. `first` is a worker that was started and told to read them
    before this module was loaded, which saves its loading time. `announce` is called once, when requests are
    answered.
    """

    def __init__(
        self,
        source: Mapping[str, Any],
        first: Worker,
        *,
        spawn: Callable[[], Worker],
        environ: Mapping[str, str],
        announce: Callable[[Plan, list[tuple[str, int]]], None],
    ) -> None:
        self._source = source
        self._first = first
        self._spawn = spawn
        self._announce = announce
        self._given = _opened(lambda: listening.inherited(environ))
        self._notify = Notify(environ)
        self._patience = watchdog_seconds(environ)
        self._metrics = MetricsDirectory()
        self._serving: Generation | None = None
        self._watchers: set[asyncio.Task[None]] = set()
        self._retirements: set[asyncio.Task[None]] = set()
        self._occupied: tuple[str, Occupancy] | None = None
        # Why workers cannot be replaced, keyed by the worker that died.
        self._missing: dict[int, str] = {}
        self._gave_up: list[str] = []
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> int:
        """Run until told to stop; return the exit status.

        Raises CannotStart if the first start fails, or if no worker is left and none can be started.
        """
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        try:
            self._serving = await self._unless_stopped(self._start(self._first))
            if self._serving is None:
                return 0
            self._watch_all(self._serving)
            self._announce(self._serving.plan, listening.addresses(self._serving.sockets))
            self._notify.ready()
            _keep(self._watchers, Watchdog(self._notify, self._patience, self._workers).run())
            _keep(
                self._watchers,
                when_changed(lambda: self._serving.plan.watched if self._serving else "", self._reload.set),
            )
            while not self._stop.is_set():
                if await self._unless_stopped(self._reload.wait()):
                    self._reload.clear()
                    await self._unless_stopped(self._renew(self._serving))
            code = await self._end(self._serving)
            if self._gave_up:
                raise CannotStart(self._gave_up)
            return code
        finally:
            await _cancelled(self._watchers)
            await _cancelled(self._retirements)
            self._metrics.remove()
            if self._occupied is not None:
                self._occupied[1].leave()

    # --- starting ---

    async def _start(self, first: Worker, running: Generation | None = None) -> Generation:
        """Start a generation that serves, perhaps on the sockets of `running`. Raises CannotStart, leaving nothing."""
        sockets: list[socket.socket] = []
        started = [first]
        try:
            plan = Plan.from_words(await self._answer(first, "understood"))
            self._occupy(plan.data)
            if running is not None and (running.plan.host, running.plan.port) == (plan.host, plan.port):
                sockets = running.sockets
            else:
                sockets = self._given or _opened(lambda: listening.listen_on(plan.host, plan.port))
            directory = self._metrics_for(plan)
            first.tell("serve", {"metrics": directory}, sockets)
            logs.set_up(plan.log_format, plan.log_level)
            for _ in range(plan.workers - 1):
                started.append(self._spawn())
                started[-1].tell("use", plan.settings)
            for worker in started[1:]:
                await self._answer(worker, "understood")
                worker.tell("serve", {"metrics": directory}, sockets)
            for worker in started:
                await self._answer(worker, "ready")
        except BaseException:  # also if cancelled: unsupervised workers would run forever
            await asyncio.gather(*(self._kill(worker) for worker in started))
            if (running is None or sockets is not running.sockets) and sockets is not self._given:
                listening.close(sockets)
            raise
        return Generation(plan, sockets, started)

    async def _answer(self, worker: Worker, word: str) -> Any:
        """The answer of a starting worker that should say `word`. Raises CannotStart for any other answer."""
        try:
            async with asyncio.timeout(START_TIMEOUT):
                message = await worker.hear()
        except TimeoutError:
            raise CannotStart([f"worker {worker.pid} was not {word} within {START_TIMEOUT:.0f} s"]) from None
        if message is not None and "migrating" in message:
            self._notify.starting_for(MIGRATION_SECONDS)
            message = await worker.hear()  # as long as it takes
        if message is None:
            code = await worker.ended()
            raise CannotStart([f"worker {worker.pid} ended {_how(code)} before it could serve"], max(code, 1))
        if "refused" in message:
            raise CannotStart(message["refused"], code=78)
        if word not in message:
            raise CannotStart([str(message.get("failed", message))])
        return message[word]

    def _metrics_for(self, plan: Plan) -> str:
        try:
            return self._metrics.prepare(plan.data)
        except OSError as failed:
            why = f"the data directory {plan.data} cannot be used: {failed.strerror}; choose one this user can write to"
            raise CannotStart([why]) from None

    def _occupy(self, data: str) -> None:
        """Be visible to commands that need exclusive use of the data directory, even while no worker is left."""
        if self._occupied is None or self._occupied[0] != data:
            before = self._occupied
            occupancy = occupants.enter(Path(data), Occupant("server", nugetproxy.__version__, os.getpid()))
            self._occupied = (data, occupancy)
            if before is not None:
                before[1].leave()

    # --- while serving ---

    def _workers(self) -> Sequence[Worker]:
        return self._serving.workers if self._serving is not None else ()

    def _watch_all(self, generation: Generation) -> None:
        for worker in generation.workers:
            _keep(self._watchers, self._watch(generation, worker))

    async def _watch(self, generation: Generation, worker: Worker) -> None:
        """Wait for a worker to end; if it was not asked to, replace it."""
        loop = asyncio.get_running_loop()
        backoff = 0.0
        while True:
            since = loop.time()
            code = await worker.ended()
            self._metrics.forget(worker.pid)
            if worker in generation.workers:
                generation.workers.remove(worker)
            if not self._is_wanted(generation):
                return
            _log.error("worker_died", worker=worker.pid, how=_how(code))
            if loop.time() - since > LONGEST_BACKOFF:
                backoff = 0.0
            try:
                replacement, backoff = await self._replacement(generation, worker.pid, backoff)
            finally:
                self._missing.pop(worker.pid, None)
            self._say_who_is_missing(generation)
            if replacement is None:
                return
            worker = replacement

    async def _replacement(self, generation: Generation, dead: int, backoff: float) -> tuple[Worker | None, float]:
        """A new worker that serves, and how long to wait before the next; None if it is no longer needed."""
        loop = asyncio.get_running_loop()
        since, why = loop.time(), ""
        while True:
            if why and loop.time() - since >= GIVE_UP_AFTER:
                self._give_up_on(generation, dead, why)
            await asyncio.sleep(backoff)
            backoff = min(LONGEST_BACKOFF, max(0.5, backoff * 2))
            if not self._is_wanted(generation):
                return None, backoff
            worker = self._spawn()
            try:
                worker.tell("use", generation.plan.settings)
                await self._answer(worker, "understood")
                directory = self._metrics_for(generation.plan)
                worker.tell("serve", {"metrics": directory}, generation.sockets)
                await self._answer(worker, "ready")
            except CannotStart as failed:
                await self._kill(worker)
                if str(failed) != why:  # otherwise it was logged before
                    why = str(failed)
                    _log.error("worker_not_replaced", why=why, again_in=backoff)
                continue
            except BaseException:  # also if cancelled, as above
                await self._kill(worker)
                raise
            if self._is_wanted(generation):
                generation.workers.append(worker)
                _log.info("worker_replaced", worker=worker.pid)
                return worker, backoff
            self._retire(worker, generation.plan.stop_timeout)
            return None, backoff

    def _give_up_on(self, generation: Generation, dead: int, why: str) -> None:
        if self._missing.get(dead) != why:
            self._missing[dead] = why
            _log.error("worker_missing", why=why, left=len(generation.workers))
            self._say_who_is_missing(generation)
        if not generation.workers and not self._stop.is_set():
            self._gave_up = [f"no worker is left, and none could be started for {GIVE_UP_AFTER:.0f} s: {why}"]
            self._stop.set()

    def _say_who_is_missing(self, generation: Generation) -> None:
        """The remaining workers report it in their readiness."""
        for worker in generation.workers:
            worker.tell("trouble", "; ".join(f"a worker cannot be replaced: {why}" for why in self._missing.values()))

    def _is_wanted(self, generation: Generation) -> bool:
        return generation is self._serving and not self._stop.is_set()

    async def _renew(self, running: Generation) -> None:
        """Replace all workers with new ones that read the settings again; keep the old ones if that fails."""
        self._notify.reloading()
        _log.info("reloading")
        try:
            first = self._spawn()
            first.tell("read", self._source)
            self._serving = await self._start(first, running)
        except CannotStart as failed:
            for problem in failed.problems:
                _log.error("reload_refused", problem=problem)
        else:
            self._watch_all(self._serving)
            for worker in running.workers:
                self._retire(worker, running.plan.stop_timeout)
            if running.sockets is not self._serving.sockets:
                listening.close(running.sockets)
            _log.info("reloaded", workers=len(self._serving.workers))
        self._notify.ready()

    # --- stopping ---

    def _asked_to_stop(self) -> None:
        (self._stop_now if self._stop.is_set() else self._stop).set()

    async def _end(self, generation: Generation) -> int:
        self._notify.stopping()
        _log.info("stopping", hint="running requests are finished first; press Ctrl-C again to stop immediately")
        listening.close(generation.sockets)
        await _cancelled(self._watchers)
        for worker in generation.workers:
            self._retire(worker, generation.plan.stop_timeout)
        # Workers of an earlier generation may still be finishing too.
        await asyncio.gather(*self._retirements)
        _log.info("stopped")
        return 0

    def _retire(self, worker: Worker, patience: float) -> None:
        _keep(self._retirements, self._see_off(worker, patience))

    async def _see_off(self, worker: Worker, patience: float) -> None:
        """Stop gracefully within `patience` seconds; after that, or if asked to stop a second time, kill."""
        worker.stop()
        ended = asyncio.ensure_future(worker.ended())
        impatient = asyncio.ensure_future(self._stop_now.wait())
        limit = patience + KILL_AFTER
        try:
            await asyncio.wait({ended, impatient}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                _log.warning("worker_killed", worker=worker.pid)
        finally:
            impatient.cancel()
            await self._kill(worker)

    async def _kill(self, worker: Worker) -> None:
        worker.kill()
        await worker.ended()
        self._metrics.forget(worker.pid)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of the work, or None if we are asked to stop first: then it is cancelled."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await _cancelled({stopping})
        if working.done():
            return working.result()
        await _cancelled({working})
        return None


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _cancelled(tasks: set[asyncio.Task[T]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def _opened(how: Callable[[], list[socket.socket]]) -> list[socket.socket]:
    try:
        return how()
    except listening.CannotListen as failed:
        raise CannotStart([str(failed)]) from None


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit status {code}"
    with contextlib.suppress(ValueError):
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}"
