"""A load balancer as simple as they come: each connection goes to the next server that accepts it."""

import itertools
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from tests.ports import free_port


class Balancer:
    """TCP only, in threads. To be used in a `with`."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = tuple(ports)
        self._turns = itertools.count()
        self.port = free_port()
        self.connections = dict.fromkeys(self._ports, 0)
        """How many each server got."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v3/index.json"

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept_all, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept_all(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            turn = next(self._turns)
            order = [self._ports[(turn + each) % len(self._ports)] for each in range(len(self._ports))]
            server = next((found for port in order if (found := self._connected(port)) is not None), None)
            if server is None:
                client.close()
                continue
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()

    def _connected(self, port: int) -> socket.socket | None:
        try:
            server = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            return None
        server.settimeout(None)
        self.connections[port] += 1
        return server


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
