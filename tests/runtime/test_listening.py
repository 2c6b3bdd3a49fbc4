"""Listening sockets: addresses, and the errors when they cannot be opened."""

import os
import socket
import subprocess
import sys

import pytest

from nugetproxy.runtime.listening import CannotListen, addresses, close, inherited, listen_on


def test_port_zero_takes_one_free_port_for_all_addresses():
    opened = listen_on("", 0)
    try:
        assert len({port for _, port in addresses(opened)}) == 1
        assert all(port for _, port in addresses(opened))
    finally:
        close(opened)


def test_connections_are_accepted():
    opened = listen_on("127.0.0.1", 0)
    try:
        socket.create_connection(addresses(opened)[0], timeout=10).close()
    finally:
        close(opened)


def test_an_address_in_use_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CannotListen, match="in use"):
        listen_on("127.0.0.1", other.getsockname()[1])


def test_a_foreign_address_is_reported():
    with pytest.raises(CannotListen, match="not an address of this machine"):
        listen_on("192.0.2.1", 0)


def test_an_unknown_name_is_reported():
    with pytest.raises(CannotListen, match="not an address of this machine"):
        listen_on("nowhere.invalid", 0)


@pytest.mark.parametrize("environ", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}])
def test_what_systemd_gave_to_others_is_not_ours(environ):
    assert inherited(environ) == []


class TestInherited:
    """Each in its own process, whose descriptor 3 is what systemd would have opened."""

    def taken(self, descriptor: int) -> tuple[int, str]:
        """The exit status of `inherited`, and its output."""
        code = (
            "import os; from nugetproxy.runtime.listening import *\n"
            "environ = {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}\n"
            "try: print([each.getsockname()[1] for each in inherited(environ)])\n"
            "except CannotListen as failed: raise SystemExit(str(failed))"
        )
        script = 'exec 3<&"$0"; exec "$@"' if descriptor >= 0 else 'exec 3<&-; exec "$@"'
        ended = subprocess.run(
            ["bash", "-c", script, str(descriptor), sys.executable, "-c", code],
            pass_fds=[descriptor] if descriptor >= 0 else [], capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout + ended.stderr

    def test_a_listening_socket_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            assert self.taken(listening.fileno()) == (0, f"[{listening.getsockname()[1]}]\n")

    def test_anything_else_is_reported(self, tmp_path):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix,
            (tmp_path / "file").open("w") as file,
        ):
            bound.bind(("127.0.0.1", 0))
            unix.bind(str(tmp_path / "unix"))
            unix.listen()
            for descriptor, why in (
                (datagrams.fileno(), "is a datagram socket"),
                (bound.fileno(), "does not listen"),
                (unix.fileno(), "is not a TCP socket"),
                (file.fileno(), "is not a socket"),
                (-1, "is not open"),
            ):
                code, told = self.taken(descriptor)
                assert code == 1
                assert told.startswith(
                    f"LISTEN_FDS names file descriptor 3, which {why}: expected listening TCP sockets"
                )


def test_no_count_is_no_socket():
    assert inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}) == []
