"""Serving in a worker: the lane in front of the application in front of the assembled parts, on the given sockets.

Importing this module binds the metrics to their directory; only a worker that knows the directory may import it.
"""

import asyncio
import gc
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

import nugetproxy
from nugetproxy.config import Config, ServerSettings
from nugetproxy.errors import ConfigError, StorageUnavailable
from nugetproxy.logs import logger
from nugetproxy.runtime.assembly import USER_AGENT, assemble
from nugetproxy.runtime.first_contacts import tell_first_contacts
from nugetproxy.runtime.listening import tls_context
from nugetproxy.runtime.loop_lag import LoopLag
from nugetproxy.runtime.trouble import Trouble
from nugetproxy.services import Services
from nugetproxy.storage.data_directory import ANSWERS
from nugetproxy.storage.reserve import Reserve
from nugetproxy.web.answers.responses import counting
from nugetproxy.web.application import make_application
from nugetproxy.web.hot.answer_file import AnswerFile
from nugetproxy.web.hot.guarded import GuardedHotTable
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.aiohttp_connection import handler_options
from nugetproxy.web.http.compression import FORM
from nugetproxy.web.lane.server import LaneServer
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.requests.keys import ACCESS, GATE

Ready = Callable[[], Awaitable[tuple[bool, str]]]

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")

_log = logger()


async def serve(
    config: Config, sockets: list[socket.socket], ready: Callable[[], None], stopping: asyncio.Event, trouble: Trouble
) -> None:
    """Serve until `stopping` is set, then finish running answers within `server.stop_timeout`."""
    settings = config.server
    tls = _tls(settings)
    async with LoopLag(), assemble(config, os.environ) as assembled:
        services = replace(assembled, ready=_unless(trouble, assembled.ready))
        hot = _hot_table(config, services) if settings.lane else None
        application = make_application(services, hot)
        # `drain` waited for running answers; what is left now works for clients that are gone.
        runner = web.AppRunner(application, shutdown_timeout=0.1, **handler_options(settings.idle_timeout))
        await runner.setup()
        try:
            if runner.server is None:
                raise RuntimeError("the runner was set up and has no server")
            gate = application[GATE]
            learned = gate.learned if gate is not None else None
            lanes = LaneServer(LaneShared(runner.server, hot, settings, application[ACCESS], learned), tls)
            # They start running when `_serve` first waits, which is after `ready`.
            tasks = [asyncio.create_task(tell_first_contacts(config, USER_AGENT, os.environ))]
            if hot is not None:
                tasks.append(asyncio.create_task(hot.files.run()))
            try:
                await _serve(lanes, sockets, settings, ready, stopping)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            if hot is not None:
                await hot.close()
            await runner.cleanup()


async def _serve(
    lanes: LaneServer,
    sockets: list[socket.socket],
    settings: ServerSettings,
    ready: Callable[[], None],
    stopping: asyncio.Event,
) -> None:
    listeners = [lanes.listen(each) for each in sockets]
    # Everything loaded so far is permanent. The collector would walk through it repeatedly, 50 ms each time, during
    # which no request is answered.
    gc.collect()
    gc.freeze()
    # Full collections walk through every hot answer and parsed document: run them a fifth as often. Nearly all
    # cyclic garbage is young.
    gc.set_threshold(700, 10, 50)
    ready()
    await stopping.wait()
    for listener in listeners:
        listener.close()
    if unfinished := await lanes.drain(settings.stop_timeout):
        _log.warning("answers_cut_off", answers=unfinished, after=settings.stop_timeout)


def _hot_table(config: Config, services: Services) -> HotTable:
    file, folder = None, Path(config.storage.path)
    if config.server.hot_disk and services.revisions is not None:
        try:
            reserve = Reserve.of(config.storage)
            file = AnswerFile(folder / ANSWERS, config.server.hot_disk, _identity(config, folder), reserve)
        except (OSError, StorageUnavailable) as error:  # perhaps read-only media: then they are rendered again
            _log.info("hot_file_unavailable", why=str(error))
    make = HotTable if services.may_remember is None else partial(GuardedHotTable, may_remember=services.may_remember)
    return make(
        config.server.hot_memory,
        services.changes,
        epoch=services.epoch,
        packages=services.revisions.packages if services.revisions is not None else None,
        file=file,
        counting=lambda count: counting(services, count),
    )


def _identity(config: Config, folder: Path) -> bytes:
    """Differs whenever stored answers may not be used: other settings, another program, another data directory, and
    after a boot, because the clock that they expire by starts again.
    """
    program = Path(nugetproxy.__file__).parent
    files = [(str(file), file.stat().st_mtime_ns) for file in sorted(program.rglob("*.py"))]
    place = folder.stat()
    boot = _BOOT.read_text() if _BOOT.exists() else str(os.getppid())
    known = (
        config,
        nugetproxy.__version__,
        sys.version,
        FORM,
        files,
        str(folder.absolute()),
        place.st_dev,
        place.st_ino,
    )
    return repr((known, boot)).encode()


def _unless(trouble: Trouble, ready: Ready) -> Ready:
    async def both() -> tuple[bool, str]:
        return (False, trouble.why) if trouble.why else await ready()

    return both


def _tls(settings: ServerSettings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    try:
        return tls_context(settings.tls_cert, settings.tls_key)
    except OSError as failed:  # ssl.SSLError too
        raise ConfigError([f"server.tls_cert: {settings.tls_cert} cannot be used: {failed}"]) from None
