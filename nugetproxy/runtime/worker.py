"""One worker process: read the settings, take the sockets, serve until told to stop.

`python -m nugetproxy.runtime.worker FD APPLICATION` is started by the supervisor only; `runtime.spawning` has the
messages exchanged over FD. APPLICATION is "module:coroutine function"; see `Serving`. Modules that serve requests are
imported late, because the metrics directory must be known first, but otherwise as early as possible.
"""

import asyncio
import contextlib
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from nugetproxy import logs
from nugetproxy.accounts.beginning import has_administrator, how_to_begin
from nugetproxy.config import Config, load, parse_listen
from nugetproxy.errors import ConfigError, NugetproxyError
from nugetproxy.logs import logger
from nugetproxy.runtime.known_upstreams import depends_on_record, record_of, with_known_upstreams
from nugetproxy.runtime.trouble import Trouble
from nugetproxy.runtime.unclaimed import moved_upstreams, unclaimed_mirrors, what_to_configure
from nugetproxy.runtime.watching import looked_at
from nugetproxy.storage import data_directory
from nugetproxy.storage.access import access_for
from nugetproxy.storage.database.opening import can_write
from nugetproxy.storage.database.upgrading import bring_up_to_date

Serving = Callable[[Config, list[socket.socket], Callable[[], None], asyncio.Event, Trouble], Awaitable[None]]
"""Serve on the sockets: call the function once requests are answered; when the event is set, finish and return.

While there is trouble, the worker reports that it is not ready.
"""

BAD_SETTINGS = 78  # EX_CONFIG, sysexits(3)

_log = logger()

# Slow to load and free of metrics: loaded while the supervisor opens sockets.
_LOADED_AHEAD = ("aiohttp.web", "lxml.etree", "diskcache", "cachetools", "asn1crypto.cms")


def main() -> int:
    """Run a worker process; return its exit status."""
    line = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(line.fileno(), False)
    # Until it serves there is nothing to finish, and SIGTERM may end it immediately.
    try:
        config, options, watched = _understand(line)
    except ConfigError as refused:
        _tell(line, "refused", refused.problems)
        return BAD_SETTINGS
    logs.set_up(config.logs.format, config.logs.level)
    if options is not None:  # once per start, not once per worker
        for name in unclaimed_mirrors(config):
            _log.warning("mirror_of_no_upstream", upstream=name, why=what_to_configure(config, name))
        for why in moved_upstreams(config):
            _log.warning("upstream_moved", why=why)
        try:
            _prepare(config, line)
        except NugetproxyError as failed:
            _tell(line, "failed", str(failed))
            return 1
    _tell(line, "understood", _plan(config, options, watched))
    for name in _LOADED_AHEAD:
        importlib.import_module(name)
    order, sockets = _hear(line)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = order["serve"]["metrics"]
    try:
        run(config, sockets, application(sys.argv[2]), ready=lambda: _tell(line, "ready", True), line=line)
    except NugetproxyError as failed:
        _tell(line, "failed", str(failed))
        return 1
    return 0


def run(
    config: Config,
    sockets: list[socket.socket],
    serving: Serving,
    *,
    ready: Callable[[], None],
    line: socket.socket | None = None,
) -> None:
    """Serve in this process until SIGTERM, or until the supervisor at the other end of `line` is gone."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        stopping, trouble = asyncio.Event(), Trouble()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stopping.set)
        if line is not None:
            line.setblocking(False)
            loop.add_reader(line.fileno(), _Orders(line, stopping, trouble).hear)
        try:
            await serving(config, sockets, ready, stopping, trouble)
        finally:
            if line is not None:
                loop.remove_reader(line.fileno())
                line.setblocking(True)

    with asyncio.Runner(loop_factory=_loop_factory(config.server.loop)) as runner:
        runner.run(serve())


def application(name: str) -> Serving:
    """The coroutine function called "module:function"."""
    module, _, function = name.partition(":")
    serving: Serving = getattr(importlib.import_module(module), function)
    return serving


def _understand(line: socket.socket) -> tuple[Config, Mapping[str, Any] | None, str]:
    """The settings, where they were read from if they were read here, and what to watch (see `when_changed`)."""
    order, _ = _hear(line)
    if "use" in order:
        # Another worker of this start has checked them; files that it read may be gone by now, which does not matter
        # here.
        return Config.model_validate_json(order["use"]), None, ""
    source = order["read"]
    config = load(Path(source["file"]) if source["file"] else None, os.environ, source["overrides"])
    if config.feed.advisories:
        importlib.import_module("nugetproxy.runtime.advisory_sources").check_advisories(config)
    # Before it is read, so that no change is missed.
    watched = looked_at(str(record_of(Path(config.storage.path)))) if depends_on_record(config) else ""
    return with_known_upstreams(config), source, watched


def _prepare(config: Config, line: socket.socket) -> None:
    """Prepare the data directory for this version. Raises StorageUnavailable."""
    path = Path(config.storage.path)
    if not data_directory.prepare(
        path, access_for(config.storage.mirror_access), offline=config.mirroring.mode == "offline"
    ):
        _log.info("data_read_only", path=str(path))
        return

    def begin() -> None:
        _log.info("migrating")
        _tell(line, "migrating", True)

    is_shared = config.storage.kind == "shared"
    has_main = config.hosting.enabled or bool(config.policy.rule)
    applied = bring_up_to_date(path, hosting=has_main and not is_shared, begin=begin)
    if is_shared:
        from nugetproxy.runtime.shared_database import migrate_shared

        if names := migrate_shared(config):
            applied["PostgreSQL"] = names
    for file, names in applied.items():
        _log.info("migrated", database=file, applied=names)


def _plan(config: Config, source: Mapping[str, Any] | None, watched: str) -> Mapping[str, Any]:
    """What the supervisor must know of the settings."""
    host, port = parse_listen(config.server.listen)
    return {
        "settings": config.model_dump_json(),
        "host": host,
        "port": port,
        "public_url": config.server.public_url,
        "tls": bool(config.server.tls_cert),
        "workers": config.server.workers,
        "stop_timeout": config.server.stop_timeout,
        "data": config.storage.path,
        "log_format": config.logs.format,
        "log_level": config.logs.level,
        "begin": _how_to_begin(config, source) if source is not None else "",
        "watched": watched,
    }


def _how_to_begin(config: Config, source: Mapping[str, Any]) -> str:
    """Empty if hosting is disabled, or if there is an administrator."""
    path = config.storage.path
    if not config.hosting.enabled:
        return ""
    if config.storage.kind == "shared":
        from nugetproxy.runtime.shared_database import has_shared_administrator

        if has_shared_administrator(config):
            return ""
    elif has_administrator(Path(path)) or not can_write(Path(path)):
        return ""
    # Included even if the file sets it: a variable of this start may not be set in the shell where the command is
    # typed.
    is_default = path == Config().storage.path and not source["file"]
    # The supervisor may be from before an upgrade.
    return how_to_begin("" if is_default else path, source["file"], source.get("program", "nugetproxy"))


def _hear(line: socket.socket) -> tuple[dict[str, Any], list[socket.socket]]:
    """The next message, and the sockets that came with it. Ends the process if the supervisor is gone."""
    received, descriptors = b"", list[int]()
    while not received.endswith(b"\n"):
        part, new, _, _ = socket.recv_fds(line, 65536, 64)
        descriptors += new
        if not part:
            raise SystemExit(0)
        received += part
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return json.loads(received), [socket.socket(fileno=descriptor) for descriptor in descriptors]


def _tell(line: socket.socket, word: str, value: object) -> None:
    line.setblocking(True)
    with contextlib.suppress(OSError):  # the supervisor is gone; the broken connection will show that
        line.sendall(json.dumps({word: value}).encode() + b"\n")


class _Orders:
    """Handle messages from the supervisor while serving; stop when it is gone."""

    def __init__(self, line: socket.socket, stopping: asyncio.Event, trouble: Trouble) -> None:
        self._line, self._stopping, self._trouble = line, stopping, trouble
        self._heard = b""

    def hear(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            try:
                received = self._line.recv(65536)
            except ConnectionError:
                received = b""
            if not received:
                asyncio.get_running_loop().remove_reader(self._line.fileno())
                self._stopping.set()
                return
            *lines, self._heard = (self._heard + received).split(b"\n")
            for each in lines:
                order = json.loads(each)
                self._trouble.why = order.get("trouble", self._trouble.why)
                if "ping" in order:
                    self._line.send(b'{"pong": true}\n')


def _loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """None is asyncio's own. Raises ConfigError when uvloop is asked for and cannot be imported."""
    if loop == "asyncio":
        return None
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        if loop == "auto":
            return None
        raise ConfigError(
            ['server.loop: "uvloop" is not installed; install nugetproxy[speed], or use "auto" or "asyncio"']
        ) from None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    sys.exit(main())
