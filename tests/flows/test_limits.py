"""What one client may cost: memory, measured on a real worker process, and the time of all others."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.builders import make_nupkg, make_nuspec
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running
from tests.serving import Server

MEGABYTE = 1_000_000
SIZE = 100 * MEGABYTE
PACKAGE = "/v3/flatcontainer/contoso.huge/1.0.0/contoso.huge.1.0.0.nupkg"


@asynccontextmanager
async def serving_a_huge_package(tmp_path: Path) -> AsyncIterator[tuple[Server, int]]:
    """A server over an upstream with a package of SIZE bytes; gives it and the process id of its worker."""
    async with FakeUpstream() as upstream:
        upstream.add_package("Contoso.Huge", "1.0.0", padding=SIZE)
        server = Server(tmp_path / "data", upstream=upstream.url)
        try:
            await asyncio.to_thread(server.start)
            # Background fetches at start, and the first request of any kind, are not measured.
            await asyncio.to_thread(server.get, "/v3/index.json")
            await asyncio.to_thread(server.get, "/v3/flatcontainer/contoso.huge/index.json")
            worker = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0]
            yield server, int(worker)
        finally:
            await asyncio.to_thread(server.stop)


def memory(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


async def ask(stack: AsyncExitStack, server: Server) -> socket.socket:
    """A client that has requested the package, with a small receive buffer."""
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", server.port))
    await loop.sock_sendall(client, f"GET {PACKAGE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client


async def read_all(client: socket.socket) -> int:
    loop, block, count = asyncio.get_running_loop(), bytearray(1 << 20), 0
    while received := await loop.sock_recv_into(client, block):
        count += received
    return count


async def kept(server: Server) -> None:
    folder = server.data / "mirror"
    async with asyncio.timeout(60):
        while not list(folder.glob("*/contoso.huge/1.0.0/*.nupkg")):
            await asyncio.sleep(0.05)


async def test_a_cold_package_of_any_size_takes_little_memory(tmp_path):
    """
    Its bytes pass through a file: during 100 MB, the worker grows by less than 64 MB.
    """
    async with serving_a_huge_package(tmp_path) as (server, worker), AsyncExitStack() as stack:
        before = memory(worker, "VmRSS")
        received = await read_all(await ask(stack, server))

        assert received > SIZE
        assert memory(worker, "VmHWM") - before < 64 * MEGABYTE


async def test_slow_readers_of_a_cold_package_cost_a_few_megabytes_each(tmp_path):
    """
    The download continues into its file without them; one slice is buffered for each reader.
    """
    async with serving_a_huge_package(tmp_path) as (server, worker), AsyncExitStack() as stack:
        before = memory(worker, "VmRSS")
        clients = [await ask(stack, server) for _ in range(5)]
        for client in clients:
            assert await asyncio.get_running_loop().sock_recv(client, 1) == b"H"
        await kept(server)

        assert memory(worker, "VmHWM") - before < 40 * MEGABYTE


async def test_slow_readers_of_a_kept_package_cost_a_few_megabytes_each(tmp_path):
    """
    Pages of a mapped file belong to the page cache; the worker itself holds at most one slice for each connection.
    """
    async with serving_a_huge_package(tmp_path) as (server, worker), AsyncExitStack() as stack:
        assert await read_all(await ask(stack, server)) > SIZE
        await kept(server)
        for _ in range(3):  # once from its file, then hot
            assert await read_all(await ask(stack, server)) > SIZE
        before = memory(worker, "RssAnon")
        clients = [await ask(stack, server) for _ in range(10)]
        for client in clients:
            assert await asyncio.get_running_loop().sock_recv(client, 1) == b"H"
        await asyncio.sleep(0.3)

        assert memory(worker, "RssAnon") - before < 40 * MEGABYTE


async def test_a_deep_page_of_a_search_over_kept_packages_lets_others_through(tmp_path):
    """
    Offline every hit is read from files; a page behind three thousand ids must not hold up the server meanwhile.
    """
    for number in range(300):
        name = f"contoso.p{number:03}"
        folder = tmp_path / "data/mirror/up" / name / "1.0.0"
        folder.mkdir(parents=True)
        (folder / f"{name}.1.0.0.nupkg").write_bytes(make_nupkg(name))
        (folder / f"{name}.nuspec").write_bytes(make_nuspec(name))
    async with running(tmp_path / "data", "http://127.0.0.1:9/v3/index.json", offline=True) as mirror:
        async with asyncio.timeout(20):
            while (await mirror.json("/v3/query"))["totalHits"] < 300:
                await asyncio.sleep(0.02)  # the inventory is rebuilt in the background
        search = asyncio.create_task(mirror.get("/v3/query?skip=290&take=10"))
        answered = 0
        while not search.done():
            await mirror.get("/health/live")
            answered += 1

    assert len(search.result().json["data"]) == 10
    assert answered > 5
