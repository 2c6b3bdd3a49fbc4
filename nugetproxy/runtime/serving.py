"""Serving in a worker: the lane in front of the application in front of the assembled parts, on the given sockets.

Importing this module binds the metrics to their directory; only a worker that knows the directory may import it.
"""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from nugetproxy.config import Config, ServerSettings
from nugetproxy.errors import ConfigError
from nugetproxy.logs import logger
from nugetproxy.runtime.assembly import USER_AGENT, assemble
from nugetproxy.runtime.first_contacts import tell_first_contacts
from nugetproxy.runtime.listening import tls_context
from nugetproxy.runtime.loop_lag import LoopLag
from nugetproxy.runtime.trouble import Trouble
from nugetproxy.services import Services
from nugetproxy.web.application import make_application
from nugetproxy.web.hot.overflow import Overflow
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.aiohttp_connection import handler_options
from nugetproxy.web.lane.server import LaneServer
from nugetproxy.web.lane.shared import LaneShared
from nugetproxy.web.requests.keys import ACCESS, GATE

Ready = Callable[[], Awaitable[tuple[bool, str]]]

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
            # It starts running when `_serve` first waits, which is after `ready`.
            contacts = asyncio.create_task(tell_first_contacts(config, USER_AGENT, os.environ))
            try:
                await _serve(lanes, sockets, settings, ready, stopping)
            finally:
                contacts.cancel()
                await asyncio.gather(contacts, return_exceptions=True)
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
    # Full collections walk through every parsed document that is kept: run them a fifth as often. Nearly all cyclic
    # garbage is young.
    gc.set_threshold(700, 10, 50)
    ready()
    await stopping.wait()
    for listener in listeners:
        listener.close()
    if unfinished := await lanes.drain(settings.stop_timeout):
        _log.warning("answers_cut_off", answers=unfinished, after=settings.stop_timeout)


def _hot_table(config: Config, services: Services) -> HotTable:
    overflow = None
    if config.server.hot_disk:
        try:
            overflow = Overflow(Path(config.storage.path) / "spool", config.server.hot_disk)
        except OSError as error:  # perhaps read-only media: then they are rendered again
            _log.info("hot_overflow_unavailable", why=error.strerror)
    return HotTable(config.server.hot_memory, services.changes, overflow)


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
