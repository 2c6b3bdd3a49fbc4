"""Somebody who pushes, unlists, relists and deletes versions of one id, and looks after each step at what is there."""

import asyncio
import hashlib
import random
import time
from typing import Final

import aiohttp

from tests.builders import make_nupkg
from tests.serving import Server
from tests.soak.clients import everything_listed
from tests.soak.commands import Commands
from tests.soak.truth import Possible, Truth

_FEW: Final = 3
_MANY: Final = 40


class Publisher:
    def __init__(
        self, server: Server, truth: Truth, commands: Commands, chance: random.Random, package_id: str, key: str
    ) -> None:
        self._server = server
        self._truth = truth
        self._commands = commands
        self._chance = chance
        self._id = package_id
        self._lower_id = package_id.lower()
        self._key = key
        self._made = 0
        self._list: Possible[frozenset[str]] = Possible(frozenset())

    async def begin(self) -> None:
        """The first pushes, before anybody asks."""
        for _ in range(_FEW):
            await self._push()
        self._truth.lists[self._lower_id] = self._list

    async def step(self) -> None:
        existing = sorted(self._list.now)
        what = self._chance.random()
        if len(existing) <= _FEW or (what < 0.5 and len(existing) < _MANY):
            await self._push()
        elif what < 0.6:
            await self._push_again(self._chance.choice(existing))
        elif what < 0.85:
            await self._list_or_unlist(self._chance.choice(existing))
        elif what < 0.9 or len(existing) >= _MANY:
            await self._delete(self._chance.choice(existing))
        await asyncio.sleep(self._chance.uniform(0.05, 0.3))

    def _package(self, version: str) -> bytes:
        payload = hashlib.shake_128(f"{self._id} {version}".encode()).digest(20_000 + 500 * len(version))
        return make_nupkg(self._id, version, payload=payload)

    async def _push(self) -> None:
        self._made += 1
        version = f"1.{self._made // 10}.{self._made % 10}"
        package = self._package(version)
        self._truth.digests[self._lower_id, version] = hashlib.sha256(package).hexdigest()
        self._list.change(self._list.now | {version})
        began = time.monotonic()
        status = await self._send("PUT", "/api/v2/package/", package)
        if status == 201:
            self._list.settle()
            self._truth.counts["pushed"] += 1
        elif status is None:
            await self._find_out(version)
        else:
            self._truth.found(f"pushing {self._id} {version} was answered with {status}")
            self._list.change(self._list.now - {version})
            return
        await self._look(began)

    async def _push_again(self, version: str) -> None:
        status = await self._send("PUT", "/api/v2/package/", self._package(version))
        if status not in (409, None):
            self._truth.found(f"pushing {self._id} {version} once more was answered with {status}")

    async def _list_or_unlist(self, version: str) -> None:
        method = self._chance.choice(("DELETE", "POST"))
        status = await self._send(method, f"/api/v2/package/{self._id}/{version}")
        if status not in (200, 204, None):
            self._truth.found(f"{method} of {self._id} {version} was answered with {status}")
        self._truth.counts["listed or unlisted"] += 1

    async def _delete(self, version: str) -> None:
        self._list.change(self._list.now - {version})
        await self._commands.run("package", "delete", self._id, version)
        self._list.settle()
        self._truth.counts["deleted"] += 1
        await self._look(time.monotonic())

    async def _find_out(self, version: str) -> None:
        """A worker was killed: nobody knows whether it took the push."""
        while not (listed := await everything_listed(self._server, self._lower_id)):
            await asyncio.sleep(0.2)
        if version not in listed:
            self._list.change(self._list.now - {version})
        self._list.settle()

    async def _look(self, began: float) -> None:
        listed = await everything_listed(self._server, self._lower_id)
        if listed and listed != self._list.now:
            self._truth.found(f"{self._id}: differs from what was acknowledged: {sorted(listed ^ self._list.now)}")
        if not listed and not self._truth.may_fail(self._lower_id, began):
            self._truth.found(f"{self._id}: its list cannot be fetched")

    async def _send(self, method: str, path: str, body: bytes = b"") -> int | None:
        """The status; None if the connection ended without one, as it may when a worker is killed."""
        began = time.monotonic()
        connector = aiohttp.TCPConnector(force_close=True)
        try:
            async with aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=60)
            ) as session, session.request(
                method, self._server.base + path, data=body or None, headers={"X-NuGet-ApiKey": self._key}
            ) as answer:  # fmt: skip
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            if not self._truth.may_fail(self._lower_id, began):
                self._truth.found(f"{method} {path}: {error!r}")
            return None
