"""The public keys of those who sign identity tokens (OpenID Connect Discovery), fetched as everything else is.

An issuer is named by an administrator, so it may be inside our networks; where its documents lead must be public, as
for an upstream. What is signed with the keys belongs to `accounts`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from nugetproxy.config import UpstreamSettings, upstream_name
from nugetproxy.errors import UpstreamError, UpstreamNonsense
from nugetproxy.logs import logger
from nugetproxy.mirroring.upstream.client import UpstreamClient

DISCOVERY: Final = "/.well-known/openid-configuration"

FRESH: Final = 3600.0
"""Seconds until keys are read again, if no token needs it before."""
STALE: Final = 86_400.0
"""Seconds for which keys are used while the issuer cannot be reached."""
AGAIN: Final = 30.0
"""Seconds between two readings for unknown keys: anybody can send tokens that name one."""
AFTER_FAILURE: Final = 5.0
"""Seconds until an issuer that could not be reached is asked again."""

_PATIENCE: Final = 5.0
_TIMEOUT: Final = 10.0
_LARGEST: Final = 512_000
_MOST_KEYS: Final = 100
_LONGEST_NAME: Final = 64

_log = logger()


class Issuers:
    """What is known of issuers, in one process. Each is asked at its first token."""

    def __init__(
        self,
        *,
        user_agent: str,
        environ: Mapping[str, str],
        ca_file: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ca_file`: certificates that issuers may have besides the system's. `environ`: for the outgoing proxies."""
        self._user_agent = user_agent
        self._environ = environ
        self._ca_file = ca_file
        self._clock = clock
        self._known: dict[str, _Issuer] = {}

    async def close(self) -> None:
        for issuer in self._known.values():
            await issuer.close()

    async def keys(self, issuer: str, key_id: str) -> Sequence[Mapping[str, Any]]:
        """The keys that the issuer publishes (RFC 7517), read again if `key_id` is not among them.

        Only for issuers that were named by an administrator: each is remembered. Raises UpstreamError, ConfigError.
        """
        known = self._known.get(issuer)
        if known is None:
            known = self._known[issuer] = _Issuer(issuer, self._client(issuer), self._clock)
        return await known.keys(key_id)

    def _client(self, issuer: str) -> UpstreamClient:
        address = issuer.rstrip("/") + DISCOVERY
        name = f"issuer-{upstream_name(address)}"[:_LONGEST_NAME]
        settings = UpstreamSettings(name=name, service_index=address, ca_file=self._ca_file, connections=4)
        return UpstreamClient(settings, user_agent=self._user_agent, environ=self._environ)


class _Issuer:
    """One issuer: its keys as last read, and at most one reading at a time."""

    def __init__(self, issuer: str, client: UpstreamClient, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._turn = asyncio.Lock()
        self._started = False
        self._keys: list[dict[str, Any]] | None = None
        self._read = 0.0
        self._tried: float | None = None
        self._failure: UpstreamError | None = None

    async def close(self) -> None:
        await self._client.close()

    async def keys(self, key_id: str) -> Sequence[Mapping[str, Any]]:
        async with self._turn:
            if self._is_due(key_id):
                await self._try()
            if self._keys is None or self._clock() - self._read > STALE:
                assert self._failure is not None
                raise self._failure
            return self._keys

    def _is_due(self, key_id: str) -> bool:
        now = self._clock()
        if self._tried is not None and now - self._tried < (AGAIN if self._failure is None else AFTER_FAILURE):
            return False
        if self._keys is None or now - self._read >= FRESH:
            return True
        return bool(key_id) and all(key.get("kid") != key_id for key in self._keys)

    async def _try(self) -> None:
        if not self._started:
            await self._client.start()
            self._started = True
        self._tried = self._clock()
        try:
            self._keys = await self._fetch()
        except UpstreamError as error:
            _log.warning("issuer_keys_unavailable", issuer=self._issuer, why=str(error))
            self._failure = error
            return
        self._read, self._failure = self._clock(), None

    async def _fetch(self) -> list[dict[str, Any]]:
        configuration = await self._document(self._issuer.rstrip("/") + DISCOVERY)
        if configuration.get("issuer") != self._issuer:
            raise UpstreamNonsense(self._client.name, "its configuration is that of another issuer")
        address = configuration.get("jwks_uri")
        if not isinstance(address, str):
            raise UpstreamNonsense(self._client.name, "its configuration has no jwks_uri")
        self._client.allow(address)
        keys = (await self._document(address)).get("keys")
        if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
            raise UpstreamNonsense(self._client.name, f"its key set is not a list of at most {_MOST_KEYS} keys")
        return [key for key in keys if isinstance(key, dict)]

    async def _document(self, url: str) -> dict[str, Any]:
        answer = await self._client.fetch(url, patience=_PATIENCE, limit=_LARGEST, timeout=_TIMEOUT)
        if answer.status != 200:
            raise UpstreamNonsense(self._client.name, f"it has no {url}")
        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise UpstreamNonsense(self._client.name, f"{url} is not JSON") from error
        if not isinstance(document, dict):
            raise UpstreamNonsense(self._client.name, f"{url} is not a JSON object")
        return document
