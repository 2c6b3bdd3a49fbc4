"""Listening sockets: where, on what, and what is said when it cannot be."""

import os
import socket

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


def test_an_address_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CannotListen, match="in use"):
        listen_on("127.0.0.1", other.getsockname()[1])


def test_a_strangers_address_is_told():
    with pytest.raises(CannotListen, match="no address of this machine"):
        listen_on("192.0.2.1", 0)


def test_an_unknown_name_is_told():
    with pytest.raises(CannotListen, match="no address of this machine"):
        listen_on("nowhere.invalid", 0)


@pytest.mark.parametrize("environ", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}])
def test_what_systemd_gave_to_others_is_not_ours(environ):
    assert inherited(environ) == []


def test_no_count_is_no_socket():
    assert inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}) == []
