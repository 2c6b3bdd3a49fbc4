"""
Two versions of the program on one data directory: data that another version serves is not migrated, and errors say
so.
"""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import nugetproxy
from tests.cli.command_line import CommandLine
from tests.other_version import NEXT, Installed, other_version
from tests.runtime.serving import eventually
from tests.serving import Server

OURS = nugetproxy.__version__


def applied(data: Path) -> set[str]:
    with closing(sqlite3.connect(data / "nugetproxy.db")) as connection:  # what stays open is not migrated
        return {name for (name,) in connection.execute("SELECT name FROM applied_migrations")}


def test_newer_commands_leave_an_older_server_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    Whether they read or write; a worker that dies is replaced as usual. Once the server is stopped, a newer one may
    migrate, and then the older one says which version to use.
    """
    data = tmp_path / "data"
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("Contoso.Utils 1.0.0\n")
    with Server(data, "--offline") as server:
        before = applied(data)
        newer = CommandLine(data)
        with monkeypatch.context() as patched:
            other_version(patched, "9.1", "CREATE TABLE next (x TEXT) STRICT")
            for command in (
                ("key", "list"), ("audit",), ("package", "list", "A"), ("user", "add", "alice", "--admin"),
                ("key", "revoke", "ci"), ("prewarm", str(wanted), "--offline"),
            ):  # fmt: skip
                told = newer.refused(*command)
                assert f"db was written by nugetproxy {OURS}; this is nugetproxy 9.1" in told, command
            assert f"is used by a server of nugetproxy {OURS} (process {server.pid})" in newer.refused("migrate")
        assert applied(data) == before

        [worker] = server.workers()
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: "worker_replaced" in server.log, "a replacement")
        assert server.get("/health/ready")
        server.stop()

        with monkeypatch.context() as patched:
            other_version(patched, "9.1", "CREATE TABLE next (x TEXT) STRICT")
            done = f"Migrated nugetproxy.db: {NEXT}\nMigrated inventory.db: {NEXT}\n"
            assert newer.done("migrate") == done
            assert newer.done("migrate") == "Nothing to migrate.\n"
        told = f"nugetproxy.db was written by nugetproxy 9.1; this is nugetproxy {OURS}, which does not know its {NEXT}"
        assert told in CommandLine(data).refused("user", "list")
        with pytest.raises(AssertionError, match=rf"ended with 1:(.|\n)*{told}"):
            server.start()


def test_a_reload_into_a_version_that_must_migrate_is_refused(tmp_path: Path):
    """
    The old workers continue; a restart migrates.
    """
    data = tmp_path / "data"
    installed = Installed(tmp_path / "installed")
    with Server(data, "--offline", environ=installed.environ) as server:
        workers = server.workers()
        installed.upgrade("9.1")
        os.kill(server.pid, signal.SIGHUP)
        eventually(lambda: "reload_refused" in server.log, "the refusal")
        assert f"cannot migrate the data from nugetproxy {OURS} to 9.1 while" in server.log
        assert f"used by a server of nugetproxy {OURS} (process {server.pid}): stop it first" in server.log
        assert server.workers() == workers
        assert server.get("/health/ready")
        assert NEXT not in applied(data)
        server.stop()
        server.start()
        assert NEXT in applied(data)
