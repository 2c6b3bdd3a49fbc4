"""The access log records who downloaded what, whichever way a request was answered."""

import asyncio
import json
from typing import Any

import pytest

from nugetproxy.web.requests.authentication import Gate
from tests.flows.private_feed import basic, opened_with_lane

OURS = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
PUBLIC = "/v3/flatcontainer/public/index.json"
PASSWORD = "correct horse"
LOGGED: dict[str, Any] = {"logs": {"access": True, "format": "json"}}
LONG_WAY = {"Cookie": "a=b"}
"""A header that makes the lane leave the request to aiohttp."""


async def logged(capfd: pytest.CaptureFixture[str], count: int) -> list[tuple[str, str, int]]:
    """Actor, path and status of the next `count` lines."""
    text = ""
    async with asyncio.timeout(10):
        while len(lines := [json.loads(line) for line in text.splitlines() if line.startswith('{"time"')]) < count:
            await asyncio.sleep(0.02)
            text += capfd.readouterr().out
    return [(line["actor"], line["path"], line["status"]) for line in lines]


async def test_a_reader_is_named_by_the_lane_and_behind_it(upstream, tmp_path, capfd, monkeypatch):
    asked, actor = [], Gate.actor

    async def counted(*arguments):
        asked.append(arguments)
        return await actor(*arguments)

    monkeypatch.setattr(Gate, "actor", counted)
    async with opened_with_lane(tmp_path, upstream, accounts={"anonymous_read": "none"}, **LOGGED) as house:
        await house.push(key=await house.key_of("alice", name="release"))
        await house.accounts.directory.set_password("bob", PASSWORD)
        bob, carol = basic("bob", PASSWORD), basic("any", await house.key_of("carol", name="ci"))
        for who in (bob, carol):
            for way in (LONG_WAY, {}):
                assert (await house.get(OURS, who | way)).status == 200

        assert await logged(capfd, 5) == [
            ("alice/key release", "/api/v2/package/", 201),
            *[("bob", OURS, 200)] * 2,
            *[("carol/key ci", OURS, 200)] * 2,
        ]
        assert len(asked) == 4  # twice for the push: the lane asked about nobody


@pytest.mark.parametrize("headers", [{}, basic("", ""), basic("bob", "wrong"), {"X-NuGet-ApiKey": "wrong"}])
async def test_only_verified_clients_are_named(upstream, tmp_path, capfd, headers):
    async with opened_with_lane(tmp_path, upstream, accounts={"anonymous_read": "none"}, **LOGGED) as house:
        await house.push()
        assert (await house.get(OURS, basic("any", house.key))).status == 200  # now it is hot
        await logged(capfd, 2)
        for way in (LONG_WAY, {}):
            assert (await house.get(OURS, headers | way)).status in (401, 403)

        assert [actor for actor, *_ in await logged(capfd, 2)] == ["", ""]


@pytest.mark.parametrize(("mode", "named", "wrong"), [("mirrored", "bob", 401), ("all", "", 200)])
async def test_optional_credentials_mean_the_same_in_the_lane_and_behind_it(
    upstream, tmp_path, capfd, mode, named, wrong
):
    upstream.add_package("Public", "1.0.0")
    async with opened_with_lane(tmp_path, upstream, accounts={"anonymous_read": mode}, **LOGGED) as house:
        await house.accounts.directory.set_password("bob", PASSWORD)
        for headers in ({}, basic("bob", PASSWORD), basic("bob", "wrong")):
            for way in (LONG_WAY, {}):
                await house.get(PUBLIC, headers | way)

        assert await logged(capfd, 6) == [
            *[("", PUBLIC, 200)] * 2,
            *[(named, PUBLIC, 200)] * 2,
            *[("", PUBLIC, wrong)] * 2,
        ]
