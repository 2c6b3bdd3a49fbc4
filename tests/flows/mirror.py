"""The whole application in this process, over a real socket and a fake upstream: `async with running(...) as mirror`.

Documents become stale immediately and few failures are allowed, so that no test waits; a test that needs other rules
sets them.
"""

import copy
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from nugetproxy.config import Config
from nugetproxy.runtime.assembly import assemble
from nugetproxy.services import Services
from nugetproxy.web.application import make_application
from tests.fakes.upstream import FakeUpstream

KINDS = (
    "service_index", "versions", "registration", "registration_page", "catalog_entry", "part", "search",
    "vulnerabilities", "signatures",
)  # fmt: skip
MOMENT = 0.03
"""Seconds for which a document is fresh under `short_lived()`."""


@dataclass(frozen=True)
class Got:
    """One answer; header names are lower-case, the body is as it was before gzip."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def cache(self) -> str:
        return self.headers.get("cache-status", "")


class Mirror:
    """A running application, and a client that adds no headers to its requests."""

    def __init__(self, client: TestClient[web.Request, web.Application], services: Services, data: Path) -> None:
        self._client = client
        self.services = services
        self.data = data

    @property
    def port(self) -> int:
        return int(self._client.port or 0)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def get(self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Got:
        async with self._client.request(method, path, headers=dict(headers or {}), allow_redirects=False) as answer:
            body = await answer.read()
            if body and answer.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            told = {name.lower(): value for name, value in answer.headers.items()}
            return Got(answer.status, answer.reason or "", told, body)

    async def json(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        got = await self.get(path, headers)
        assert got.status == 200, f"{path}: {got.status} {got.reason}"
        return got.json


def rules(**changed: Any) -> dict[str, Any]:
    """Freshness settings, the same for every kind of document: for an hour unless `changed` says otherwise."""
    rule = {"fresh": 3600.0, "stale_while_revalidate": 0.0, "stale_if_error": 31536000.0, "absent": 10.0,
            "patience": 1.0}  # fmt: skip
    return dict.fromkeys(KINDS, rule | changed)


def short_lived(**changed: Any) -> dict[str, Any]:
    """Like `rules`; documents are fresh for a moment only."""
    return rules(fresh=MOMENT) | {kind: rules(fresh=MOMENT, **changed)[kind] for kind in KINDS}


def settings_for(
    data: Path, upstreams: list[dict[str, Any]], *, offline: bool = False, freshness: dict[str, Any] | None = None,
    **sections: Any,
) -> Config:  # fmt: skip
    impatient = {"head_timeout": 2.0, "read_timeout": 2.0, "patience": 2.0, "breaker_probe": 0.05}
    given = {
        "storage": {"path": str(data)},
        "logs": {"access": False},
        "mirroring": {
            "mode": "offline" if offline else "online",
            "catalog": "off",
            "search_timeout": 3.0,
            "upstream": [impatient | upstream for upstream in upstreams],
            "freshness": freshness or rules(),
        },
        "server": {"stop_timeout": 1.0},
    }
    return Config.model_validate(_merged(given, sections))


@asynccontextmanager
async def running(
    data: Path, upstream: FakeUpstream | list[dict[str, Any]] | str, *, offline: bool = False,
    freshness: dict[str, Any] | None = None, upstream_settings: dict[str, Any] | None = None, **sections: Any,
) -> AsyncIterator[Mirror]:  # fmt: skip
    """A mirror of one upstream (with `upstream_settings`), or of several given by their settings."""
    if not isinstance(upstream, list):
        url = upstream.url if isinstance(upstream, FakeUpstream) else upstream
        upstream = [{"name": "up", "service_index": url} | (upstream_settings or {})]
    config = settings_for(data, upstream, offline=offline, freshness=freshness, **sections)
    async with assemble(config) as services:
        server: TestServer = TestServer(make_application(services))
        await server.start_server(access_log=None)
        client: TestClient[web.Request, web.Application] = TestClient(
            server, auto_decompress=False, skip_auto_headers=["Accept-Encoding", "User-Agent", "Accept"]
        )
        try:
            await client.start_server()
            yield Mirror(client, services, data)
        finally:
            await client.close()


def files_below(folder: Path) -> set[str]:
    """Every file below a folder, by its path within."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.copy(one)
    for name, value in other.items():
        result[name] = _merged(result[name], value) if isinstance(result.get(name), dict) else value
    return result
