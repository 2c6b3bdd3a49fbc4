"""Clients that restore: lists, registrations, searches and packages, some slowly, in parts, or only half of it."""

import asyncio
import contextlib
import hashlib
import json
import random
import re
import time
from typing import Final

import aiohttp

from tests.serving import Server
from tests.soak.truth import Package, Truth

_SEARCH: Final = "/v3/query?q=packageid:{id}&prerelease=true&semVerLevel=2.0.0"
LISTS: Final = (
    "/v3/flatcontainer/{id}/index.json",
    "/v3/registration-gz-semver2/{id}/index.json",
    "/v3/registration/{id}/index.json",
    "/api/v2/FindPackagesById()?id='{id}'&semVerLevel=2.0.0",
    _SEARCH,
)
EXACT_LISTS: Final = LISTS[:-1]
"""Those that show all versions of an id and follow the catalog."""
_NORMALIZED: Final = re.compile(r"<d:NormalizedVersion>(.*?)<")


class Client:
    """`step` does one thing that a client does. A client with `keeps_alive` uses its connections for several steps."""

    def __init__(self, server: Server, truth: Truth, chance: random.Random, *, keeps_alive: bool) -> None:
        self._server = server
        self._truth = truth
        self._chance = chance
        self._keeps_alive = keeps_alive
        self._session: aiohttp.ClientSession | None = None
        self._left = 0

    async def step(self) -> None:
        lower_id = self._chance.choice(sorted(self._truth.lists))
        versions = await self._list(lower_id, LISTS[0])
        other = self._chance.random()
        if other < 0.4:
            await self._list(lower_id, self._chance.choice(LISTS[1:]))
        if other > 0.9 or not versions:  # some that may be withheld or gone
            versions = {version for each, version in self._truth.digests if each == lower_id}
        for version in self._chance.sample(sorted(versions), min(3, len(versions))):
            await self._download((lower_id, version))
        self._left -= 1
        if not self._keeps_alive or self._left <= 0:
            await self.leave()

    async def leave(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _list(self, lower_id: str, address: str) -> set[str]:
        began, path = time.monotonic(), address.replace("{id}", lower_id)
        self._truth.counts["lists"] += 1
        try:
            status, body, warning = await self._get(path)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._broken(lower_id, path, began, error)
            return set()
        if status != 200:
            if not (status in (502, 503, 504) and self._truth.may_fail(lower_id, began)):
                self._truth.found(f"{path} was answered with {status}")
            self._truth.counts[f"status {status}"] += 1
            return set()
        versions = _versions(path, body)
        if "/query" in path:  # older than the list, by design
            self._truth.judge_shown(lower_id, versions, began, path)
        else:
            self._truth.judge_list(lower_id, versions, began, f"{path} ({warning})")
        return versions

    async def _get(self, path: str) -> tuple[int, str, str]:
        """Status, body and warning."""
        async with self._opened().get(self._server.base + path) as answer:
            return answer.status, await answer.text(), answer.headers.get("X-NuGet-Warning", "")

    async def _download(self, package: Package) -> None:
        began = time.monotonic()
        lower_id, version = package
        path = f"/v3/flatcontainer/{lower_id}/{version}/{lower_id}.{version}.nupkg"
        how = self._chance.random()
        try:
            async with self._opened().get(self._server.base + path) as answer:
                if answer.status != 200:
                    self._truth.judge_refusal(package, answer.status, answer.reason or "", began)
                    return
                digest = hashlib.sha256()
                async for chunk in answer.content.iter_chunked(16_384):
                    digest.update(chunk)
                    if how < 0.1:
                        await asyncio.sleep(0.05)
                    elif how < 0.2:
                        self._truth.counts["left in the middle"] += 1
                        answer.close()
                        return
        except (aiohttp.ClientError, TimeoutError) as error:
            self._broken(lower_id, path, began, error)
            return
        self._truth.counts["packages"] += 1
        if digest.hexdigest() != self._truth.digests[package]:
            self._truth.found(f"{path}: wrong bytes")
        self._truth.judge_shown(lower_id, {version}, began, path)

    def _broken(self, lower_id: str, path: str, began: float, error: Exception) -> None:
        self._truth.counts["broken off"] += 1
        # A connection that is kept may be closed by the server between two requests, as when its worker is replaced.
        is_race = self._keeps_alive and isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
        if not is_race and not self._truth.may_fail(lower_id, began):
            self._truth.found(f"{path}: {error!r} after {time.monotonic() - began:.1f} s")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._left = self._chance.randrange(1, 20)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=not self._keeps_alive),
                timeout=aiohttp.ClientTimeout(total=60),
            )
        return self._session


def _versions(path: str, body: str) -> set[str]:
    """The versions in a list of any kind."""
    if path.startswith("/api/v2"):
        return set(_NORMALIZED.findall(body))
    document = json.loads(body)
    if "versions" in document:
        return set(document["versions"])
    if "/query" in path:
        return {row["version"] for hit in document["data"] for row in hit["versions"]}
    return {leaf["catalogEntry"]["version"] for page in document["items"] for leaf in page["items"]}


async def everything_listed(server: Server, lower_id: str, address: str = LISTS[0]) -> set[str]:
    """The versions in one of the lists, on a new connection. Empty while it cannot be fetched."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
            path = address.replace("{id}", lower_id)
            async with session.get(server.base + path) as answer:
                if answer.status == 200:
                    return _versions(path, await answer.text())
    return set()
