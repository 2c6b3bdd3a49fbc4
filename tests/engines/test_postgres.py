"""The server that other tests rely on: fresh databases, crashes that keep what was committed, nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from tests.engines.postgres import PostgresServer


def test_each_test_has_a_database_of_its_own(postgres: PostgresServer, empty_database: str) -> None:
    postgres.execute("CREATE TABLE here (n BIGINT)", empty_database)
    other = postgres.create_database(empty_database)

    assert postgres.fetch("SELECT count(*) FROM here", other) == [(0,)]
    postgres.drop_database(other)
    assert postgres.fetch(f"SELECT 1 FROM pg_database WHERE datname = '{other}'") == []


def test_what_was_committed_outlives_a_crash(postgres: PostgresServer, empty_database: str) -> None:
    postgres.execute("CREATE TABLE here (n BIGINT); INSERT INTO here VALUES (7)", empty_database)
    postgres.kill()
    postgres.start()
    assert postgres.fetch("SELECT n FROM here", empty_database) == [(7,)]


def test_it_ends_with_the_process_that_started_it() -> None:
    program = textwrap.dedent(
        """
        import os, signal
        from tests.engines.postgres import PostgresServer, find_binaries
        server = PostgresServer(find_binaries())
        print(server._process.pid, server.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    pid, folder = done.stdout.split()
    assert done.returncode == -signal.SIGKILL

    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        os.kill(int(pid), signal.SIGKILL)
        raise AssertionError("the server outlives its owner")
    subprocess.run(["rm", "-r", folder], check=True)
