"""Clients that lose the right to push during an upload: a key or password that became invalid publishes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.accounts.model import ApiKey
from tests.builders import make_nupkg
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Got
from tests.flows.private_feed import House, basic, hang_up, head, opened, opened_with_lane, read_answer

PASSWORD = "correct horse battery"
ENDINGS: dict[str, Callable[[House, ApiKey], Awaitable[Any]]] = {
    "revoked": lambda house, key: house.accounts.directory.revoke_key(key.key_id),
    "rotated without overlap": lambda house, key: house.accounts.directory.rotate_key(key, 0),
    "its owner disabled": lambda house, _: house.accounts.directory.disable("bob"),
}


async def uploaded(
    house: House, headers: dict[str, str], meanwhile: Callable[[], Awaitable[Any]], path: str = "/api/v2/package"
) -> Got:
    """An upload that stops in the middle until `meanwhile` is done."""
    body = make_nupkg("Contoso.Slow")
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    try:
        lines = {"Host": "us", "Content-Length": str(len(body)), **headers}
        writer.write(head("PUT", path, lines) + body[:100])
        async with asyncio.timeout(20):
            while not house.leftovers():  # until then the key has not been checked
                await asyncio.sleep(0.005)
        await meanwhile()
        writer.write(body[100:])
        return await read_answer(reader)
    finally:
        await hang_up(writer)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_with_a_key_that_ended(upstream: FakeUpstream, tmp_path: Path, ending: str) -> None:
    async with opened(tmp_path, upstream) as house:
        key, text = await house.new_key("bob")
        got = await uploaded(house, {"X-NuGet-ApiKey": text}, lambda: ENDINGS[ending](house, key))
        assert got.status == 403
        assert await house.hosting.packages.ids() == ()
        assert await house.no_leftovers()


async def test_with_a_password_that_was_changed(upstream: FakeUpstream, tmp_path: Path) -> None:
    async with opened_with_lane(tmp_path, upstream) as house:
        await house.user("dave", password=PASSWORD)
        change = house.accounts.directory.set_password
        got = await uploaded(house, basic("dave", PASSWORD), lambda: change("dave", f"{PASSWORD} staple"))
        assert got.status == 401
        assert await house.hosting.packages.ids() == ()


async def test_symbols_with_a_key_that_ended(upstream: FakeUpstream, tmp_path: Path) -> None:
    async with opened(tmp_path, upstream) as house:
        key, text = await house.new_key("bob")
        assert (await house.push("Contoso.Slow", key=text)).status == 201
        revoke = house.accounts.directory.revoke_key
        got = await uploaded(house, {"X-NuGet-ApiKey": text}, lambda: revoke(key.key_id), "/api/v2/symbolpackage")
        assert got.status == 403
        assert await house.no_leftovers()
