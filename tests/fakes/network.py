"""A network between a client and a server on loopback that can be slow, silent or cut, at the wanted moment.

It runs in a thread of its own, so that tests of any kind can use it, and the client may block.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Direction = Literal["to_server", "to_client"]


class Network:
    """Connect to `port` instead of the server's. What the attributes say applies to connections that exist, too."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.port = 0
        self.connections = 0
        """How many were accepted so far."""
        self.delay = 0.0
        """Seconds that every piece of data takes, in each direction."""
        self.is_silent = False
        """Connections are accepted, and data is received, but nothing arrives."""
        self.lost: set[Direction] = set()
        """The directions in which nothing arrives."""
        self.held: set[Direction] = set()
        """The directions in which data waits until this changes: TCP sends it again."""
        self.is_refusing = False
        """No new connection is accepted."""
        self._cuts: list[tuple[bytes, bool]] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    def cut(self) -> None:
        """Reset all connections."""
        self._do(self._cut_all)

    def cut_nowhere(self) -> None:
        """Forget what `cut_at` has planned."""
        self._cuts.clear()

    def cut_at(self, marker: bytes, *, before: bool) -> None:
        """Reset the connection on which a client next sends `marker`: before the server gets it, or after, and before
        the client gets an answer."""
        self._cuts.append((marker, before))

    def _do(self, what: Callable[[], None]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(what)
        self._loop.call_soon_threadsafe(done.set)
        done.wait(10)

    def _cut_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _run(self, ready: threading.Event, end: asyncio.Event) -> None:
        listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        ready.set()
        await end.wait()
        listening.close()
        self._cut_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            writer.transport.abort()
            return
        self.connections += 1
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                to_server = await asyncio.open_connection("127.0.0.1", self.server)
            except OSError:
                writer.transport.abort()
                return
            self._open.add(to_server[1])
            try:
                await asyncio.gather(
                    self._pass(reader, to_server[1], "to_server", writer),
                    self._pass(to_server[0], writer, "to_client", writer),
                )
            finally:
                for each in (to_server[1], writer):
                    self._open.discard(each)
                    each.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: Direction,
        client: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                while direction in self.held:
                    await asyncio.sleep(0.01)
                if self.is_silent or direction in self.lost:
                    continue
                cut = next((cut for cut in self._cuts if direction == "to_server" and cut[0] in data), None)
                if cut is not None:
                    self._cuts.remove(cut)
                    if not cut[1]:
                        writer.write(data)
                    client.transport.abort()
                    # Now the server may act on what it got; its answer has nowhere to go.
                    await asyncio.sleep(0.5)
                    break
                writer.write(data)
                await writer.drain()
        if not self.is_silent:
            writer.transport.abort()


@contextmanager
def network(server: int) -> Iterator[Network]:
    """A network to the server at that port."""
    made = Network(server)
    ready, end = threading.Event(), asyncio.Event()

    def run() -> None:
        asyncio.set_event_loop(made._loop)
        made._loop.run_until_complete(made._run(ready, end))
        made._loop.close()

    thread = threading.Thread(target=run, name="network")
    thread.start()
    ready.wait(10)
    try:
        yield made
    finally:
        made._loop.call_soon_threadsafe(end.set)
        thread.join()
