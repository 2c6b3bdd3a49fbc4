"""A real PgBouncer in front of the test server, in transaction mode: each transaction may get another session."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.engines.postgres import PASSWORD, USER, PostgresServer
from tests.ports import free_port
from tests.shared import lacking

_SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/pgbouncer.users
pool_mode = transaction
default_pool_size = 2
"""


@contextmanager
def pgbouncer(postgres: PostgresServer) -> Iterator[int]:
    """Its port. Two sessions serve all clients of a database."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")
    if program is None:
        lacking("pgbouncer is not installed: scripts/debian-packages names its package")
    port, folder = free_port(), postgres.folder
    (settings := folder / "pgbouncer.ini").write_text(_SETTINGS.format(server=postgres.port, port=port, folder=folder))
    (users := folder / "pgbouncer.users").write_text(f'"{USER}" "{PASSWORD}"\n')
    for path in (settings, users):
        path.chmod(0o644)
    with (folder / "pgbouncer.log").open("wb") as log:
        running = postgres.start_beside([program, "-q", str(settings)], log)
    try:
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                postgres.fetch("SELECT 1", port=port)
                break
            assert running.poll() is None, (folder / "pgbouncer.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield port
    finally:
        running.kill()
        running.wait()
