"""Reports our state to systemd, if it asks for that (sd_notify(3), units of Type=notify and Type=notify-reload)."""

import contextlib
import socket
import time
from collections.abc import Mapping


class Notify:
    """Does nothing where NOTIFY_SOCKET is not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")

    def ready(self) -> None:
        self._send("READY=1")

    def starting_for(self, seconds: int) -> None:
        """Allow the start to take this long from now on, whatever the unit's TimeoutStartSec."""
        self._send(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Keep systemd's watchdog from restarting us; see `watchdog`."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        # systemd writes the NUL of an abstract address as a leading @.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.sendto(state.encode(), address)
