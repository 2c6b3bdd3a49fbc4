"""Supervision, with real processes, sockets and signals; the workers serve a stand-in application."""

import contextlib
import itertools
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.runtime.watchdog import watchdog_seconds
from nugetproxy.storage.database import migrate
from nugetproxy.storage.database.opening import open_main_database
from tests.runtime.serving import Served, eventually, is_running, read_answer, serving

IMPATIENT = "tests.runtime.impatient"


@pytest.fixture
def data(tmp_path):
    return tmp_path / "kept"


def refused(data: Path, *arguments: str, listen: str = "127.0.0.1:0", **more: Any) -> tuple[int, str]:
    """The exit status and the log of a start that must fail."""
    served = Served(data, *arguments, listen=listen, **more)
    try:
        return served.wait(), served.log
    finally:
        served.close()


def is_refused(served: Served) -> bool:
    try:
        served.get("/pid")
    except OSError as failed:
        return isinstance(failed, ConnectionRefusedError)
    return False


def activating(given: socket.socket) -> list[str]:
    """What runs before the command: it hands the socket to itself, whose id only it knows, and becomes the command."""
    activate = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3);"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    return [sys.executable, "-c", activate, str(given.fileno())]


class TestStart:
    def test_workers_share_one_socket(self, data):
        with serving(data, "--workers", "2") as served:
            answering = {int(served.get("/pid")) for _ in range(40)}
            assert answering <= served.workers()
            assert len(served.workers()) == 2

    def test_the_soft_limit_of_open_files_is_raised(self, data):
        import resource

        def lower() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        with serving(data, preexec_fn=lower) as served:
            assert int(served.get("/limit")) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def test_the_metrics_directory_is_new_and_gone_after(self, data):
        with serving(data) as served:
            directory = Path(served.get("/metrics"))
            assert [each.name for each in directory.iterdir()] == ["owned"]
            served.signal(signal.SIGTERM)
            assert served.wait() == 0
            assert not directory.exists()

    def test_two_servers_may_share_a_data_directory(self, data):
        with serving(data) as one, serving(data) as other:
            assert one.get("/metrics") != other.get("/metrics")

    def test_what_a_killed_supervisor_left_is_swept(self, data):
        with serving(data) as served:
            directory = Path(served.get("/metrics"))
            served.process.kill()
            served.wait()
        assert directory.exists()

        with serving(data):
            assert not directory.exists()

    def test_workers_end_when_their_supervisor_is_killed(self, data):
        with serving(data, "--workers", "2") as served:
            workers = served.workers()
            served.process.kill()
            eventually(lambda: not any(map(is_running, workers)), "the end of the workers")

    def test_inherited_sockets_are_served(self, data):
        """
        As systemd's socket activation hands them over: as descriptor 3, with our process id in LISTEN_PID.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            with serving(data, before=activating(listening), pass_fds=[listening.fileno()]) as served:
                assert served.port == port
                assert int(served.get("/pid")) in served.workers()

    def test_systemd_is_notified(self, data, tmp_path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(tmp_path / "notify"))
            systemd.settimeout(30)
            environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
            with serving(data, env=environ) as served:
                assert systemd.recv(100) == b"READY=1"
                served.signal(signal.SIGHUP)
                assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
                assert systemd.recv(100) == b"READY=1"
                served.signal(signal.SIGTERM)
                assert systemd.recv(100) == b"STOPPING=1"

    def test_the_watchdog_is_notified_while_every_worker_answers(self, data, tmp_path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(tmp_path / "notify"))
            systemd.settimeout(30)
            environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
            with serving(data, "--workers", "2", env=environ) as served:
                assert [systemd.recv(100) for _ in range(4)] == [b"READY=1", *[b"WATCHDOG=1"] * 3]
                hanging = min(served.workers())
                os.kill(hanging, signal.SIGSTOP)
                systemd.settimeout(0.8)
                assert len(list(itertools.islice(received(systemd), 100))) < 100
                os.kill(hanging, signal.SIGCONT)
                systemd.settimeout(30)
                assert systemd.recv(100) == b"WATCHDOG=1"

    def test_a_watchdog_of_another_process_is_not_ours(self):
        assert watchdog_seconds({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}) == 1.0
        assert watchdog_seconds({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}) == 0.0
        assert watchdog_seconds({}) == 0.0

    def test_systemd_waits_for_a_migration(self, data, tmp_path, monkeypatch):
        """
        It may take longer than a start otherwise may.
        """
        data.mkdir()
        scripts = migrate._scripts
        with monkeypatch.context() as older:
            older.setattr(migrate, "_scripts", lambda schema: dict(list(scripts(schema).items())[:-1]))
            open_main_database(data).close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(tmp_path / "notify"))
            systemd.settimeout(30)
            with serving(data, env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}) as served:
                assert systemd.recv(100) == b"EXTEND_TIMEOUT_USEC=3600000000"
                assert systemd.recv(100) == b"READY=1"
                assert "migrated" in served.log
        open_main_database(data).close()


class TestFailingStart:
    def test_wrong_settings_are_all_told(self, data):
        code, log = refused(data, "--workers", "0", "--public-url", "x")

        assert code == 78
        assert "server.workers" in log
        assert "server.public_url" in log

    def test_a_port_in_use_is_reported(self, data):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            code, log = refused(data, listen=f"127.0.0.1:{port}")

        assert code == 1
        assert f"127.0.0.1:{port} is in use by another program; choose another with --listen" in log

    def test_an_inherited_descriptor_that_is_no_listening_socket_is_reported(self, data):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            code, log = refused(data, before=activating(other), pass_fds=[other.fileno()])

        assert code == 1
        assert log.startswith("nugetproxy: LISTEN_FDS names file descriptor 3, which is a datagram socket")
        assert "Traceback" not in log

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_a_worker_that_cannot_start_stops_the_start(self, data, workers):
        data.mkdir()
        (data / "fail").write_text("the data directory is made of cheese")
        code, log = refused(data, "--workers", workers)

        assert code == 1
        assert "nugetproxy: the data directory is made of cheese\n" in log

    def test_a_worker_that_dies_while_starting_gives_its_exit_status(self, data):
        data.mkdir()
        (data / "fail").write_text("exit")

        code, log = refused(data)

        assert code == 3
        assert "ended with exit status 3 before it could serve" in log


class TestReplacement:
    def test_a_dead_worker_is_replaced(self, data):
        with serving(data, "--workers", "2") as served:
            before = served.workers()
            with pytest.raises(ConnectionError):
                served.get("/die")
            eventually(lambda: len(served.workers() - before) == 1 and len(served.workers()) == 2, "a replacement")
            eventually(lambda: int(served.get("/pid")) not in before, "an answer of the replacement")
            assert "worker_died" in served.log
            assert "with exit status 7" in served.log

    def test_a_replacement_that_cannot_start_is_tried_again(self, data):
        with serving(data) as served:
            (data / "fail").write_text("not now")
            os.kill(int(served.get("/pid")), signal.SIGKILL)
            eventually(lambda: "worker_not_replaced" in served.log, "a failing replacement")
            (data / "fail").unlink()
            eventually(lambda: "worker_replaced" in served.log, "a replacement")
            assert int(served.get("/pid")) in served.workers()

    def test_the_others_are_not_ready_when_one_cannot_be_replaced(self, data):
        """
        They keep serving, and report why until it is replaced.
        """
        with serving(data, "--workers", "2", module=IMPATIENT) as served:
            (data / "fail").write_text("the disk is full")
            os.kill(int(served.get("/pid")), signal.SIGKILL)
            why = "a worker cannot be replaced: the disk is full"
            eventually(lambda: served.get("/trouble") == why, "the trouble")
            assert served.log.count("worker_not_replaced") == 1
            (data / "fail").unlink()
            eventually(lambda: len(served.workers()) == 2 and "worker_replaced" in served.log, "a replacement")
            eventually(lambda: {served.get("/trouble") for _ in range(20)} == {""}, "the end of the trouble")

    def test_without_any_worker_it_stops_listening_and_says_why(self, data):
        """
        A process manager restarts it; until then clients are refused instead of waiting in a queue.
        """
        with serving(data, module=IMPATIENT) as served:
            (data / "fail").write_text("the disk is full")
            os.kill(int(served.get("/pid")), signal.SIGKILL)
            assert served.wait() == 1
            assert is_refused(served)
            assert "nugetproxy: no worker is left, and none could be started for 1 s: the disk is full\n" in served.log

    def test_a_stop_does_not_wait_for_a_replacement(self, data):
        with serving(data) as served:
            (data / "fail").write_text("never")
            os.kill(int(served.get("/pid")), signal.SIGKILL)
            eventually(lambda: "worker_not_replaced" in served.log, "a failing replacement")
            served.signal(signal.SIGTERM)
            assert served.wait() == 0


class TestReload:
    def test_new_workers_read_the_settings_again_and_no_client_is_refused(self, data, tmp_path):
        """
        While clients connect one after the other, each of them gets an answer.
        """
        settings = tmp_path / "n.toml"
        settings.write_text("[server]\nworkers = 1\n")
        with serving(data, "--config", str(settings)) as served:
            before = served.workers()
            failures: list[Exception] = []
            answers: list[str] = []
            done = threading.Event()

            def ask() -> None:
                while not done.is_set():
                    try:
                        answers.append(served.get("/workers"))
                    except OSError as failed:
                        failures.append(failed)

            asking = threading.Thread(target=ask)
            asking.start()
            try:
                settings.write_text("[server]\nworkers = 2\n")
                served.signal(signal.SIGHUP)
                eventually(lambda: "reloaded" in served.log and not served.workers() & before, "the reload")
            finally:
                done.set()
                asking.join()

            assert failures == []
            assert (answers[0], answers[-1]) == ("1", "2")

    def test_an_answer_that_is_running_is_finished_by_the_old_worker(self, data):
        with serving(data) as served:
            (old,) = served.workers()
            with served.ask("/slow") as slow:
                assert slow.recv(5) == b"HTTP/"
                served.signal(signal.SIGHUP)
                eventually(lambda: "reloaded" in served.log, "the reload")
                eventually(lambda: int(served.get("/pid")) != old, "an answer of the new worker")
                assert is_running(old)
                (data / "release").touch()
                assert int(read_answer(slow)) == old
            eventually(lambda: not is_running(old), "the end of the old worker")

    def test_wrong_settings_change_nothing(self, data, tmp_path):
        settings = tmp_path / "n.toml"
        settings.write_text("")
        with serving(data, "--config", str(settings)) as served:
            before = served.workers()
            settings.write_text("[server]\nworkers = 0\nlisen = 1\n")
            served.signal(signal.SIGHUP)
            eventually(lambda: served.log.count("reload_refused") == 2, "the refusal")
            assert int(served.get("/pid")) in before
            assert served.workers() == before

    def test_workers_that_cannot_start_change_nothing(self, data):
        with serving(data) as served:
            before = served.workers()
            (data / "fail").write_text("exit")
            served.signal(signal.SIGHUP)
            eventually(lambda: "reload_refused" in served.log, "the refusal")
            assert int(served.get("/pid")) in before

    def test_another_address_is_listened_on(self, data, tmp_path):
        settings = tmp_path / "n.toml"
        settings.write_text('[server]\nlisten = "127.0.0.1:0"\n')
        with serving(data, "--config", str(settings), listen=None) as served:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            settings.write_text(f'[server]\nlisten = "127.0.0.1:{port}"\n')
            served.signal(signal.SIGHUP)
            eventually(lambda: "reloaded" in served.log, "the reload")
            eventually(lambda: is_refused(served), "the end of the old address")
            served.port = port
            assert int(served.get("/pid")) in served.workers()


class TestStop:
    def test_running_answers_are_finished(self, data):
        with serving(data) as served, served.ask("/slow") as slow:
            (worker,) = served.workers()
            assert slow.recv(5) == b"HTTP/"
            served.signal(signal.SIGTERM)
            eventually(lambda: "stopping" in served.log, "the stop")
            (data / "release").touch()
            assert int(read_answer(slow)) == worker
            assert served.wait() == 0

    def test_the_stop_timeout_bounds_it(self, data):
        environ = {**os.environ, "NUGETPROXY_SERVER__STOP_TIMEOUT": "50ms"}
        with serving(data, env=environ) as served, served.ask("/slow") as slow:
            assert slow.recv(5) == b"HTTP/"
            served.signal(signal.SIGTERM)
            assert served.wait() == 0
            with pytest.raises(ConnectionError):
                read_answer(slow)

    def test_a_second_signal_ends_it_at_once(self, data):
        with serving(data) as served, served.ask("/slow") as slow:
            workers = served.workers()
            assert slow.recv(5) == b"HTTP/"
            served.signal(signal.SIGINT)
            eventually(lambda: "stopping" in served.log, "the stop")
            served.signal(signal.SIGINT)
            assert served.wait() == 0
            assert not any(map(is_running, workers))

    def test_a_stop_while_starting_leaves_nothing(self, data):
        served = Served(data, "--workers", "2")
        try:
            eventually(lambda: len(served.workers()) == 2, "two workers")
            workers = served.workers()
            served.signal(signal.SIGTERM)
            assert served.wait() in (0, -signal.SIGTERM)
            eventually(lambda: not any(map(is_running, workers)), "the end of the workers")
        finally:
            served.close()


def received(told: socket.socket) -> Iterator[bytes]:
    """Everything received until the socket times out."""
    with contextlib.suppress(TimeoutError):
        while True:
            yield told.recv(100)
