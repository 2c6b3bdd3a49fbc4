"""aiohttp's internals are as the lane expects. If one of these fails, an aiohttp release has changed them."""

import asyncio

from aiohttp import web

from nugetproxy.web.http.aiohttp_connection import KEEPALIVE_SECONDS, can_tell, handler_options, is_between_requests


def test_this_aiohttp_can_be_asked():
    assert can_tell()


def test_a_handler_without_those_names_is_noticed():
    assert not can_tell(asyncio.Protocol)


def test_the_options_are_taken():
    """
    `web.Server` drops options that its handlers do not know, with nothing but a warning.
    """

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    async def made() -> float:
        return web.Server(answer, **handler_options(1.0))().keepalive_timeout

    assert asyncio.run(made()) == KEEPALIVE_SECONDS


class Recorder(asyncio.Transport):
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data) -> None:
        self.written += bytes(data)

    def writelines(self, list_of_data) -> None:
        self.written += b"".join(list_of_data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def test_a_handler_is_between_requests_exactly_between_requests():
    """
    From its first byte until its response is completely written, a request occupies the handler.
    """
    may_answer = asyncio.Event()

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        await may_answer.wait()
        return web.Response(body=b"done")

    handler = web.Server(answer, **handler_options(1.0))()
    transport = Recorder()
    handler.connection_made(transport)
    await settle()
    before = is_between_requests(handler)
    handler.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    at_once = is_between_requests(handler)
    await settle()
    during = is_between_requests(handler)
    may_answer.set()
    await settle()
    after = is_between_requests(handler)
    handler.connection_lost(None)

    assert (before, at_once, during, after) == (True, False, False, True)
    assert transport.written.endswith(b"done")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
