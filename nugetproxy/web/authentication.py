"""X-NuGet-ApiKey or Basic -> Actor, and whether that actor may read what is asked.

Anonymous requests are ordinary: every NuGet client sends each request without credentials first, so a 401 counts
against nobody, touches no storage and keeps the connection (nuget-protocol: authentication). Credentials that were
right are learned for a moment, so that reading with them costs no look-up; any change of accounts, in whichever
process, ends what was learned.
"""

import base64
import binascii
import time
from typing import Final

from aiohttp import web
from cachetools import TTLCache

from nugetproxy.accounts.attempts import Attempts
from nugetproxy.accounts.credentials import key_id_of
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import ANONYMOUS, Actor, now_us
from nugetproxy.accounts.permissions import (
    CREDENTIALS_NEEDED,
    KEY_NEEDED,
    KEY_REFUSED,
    AnonymousRead,
    may_read,
    require,
)
from nugetproxy.errors import Forbidden, NotAuthenticated, TooMany
from nugetproxy.metrics import LOGINS_FAILED
from nugetproxy.storage.revisions import Revisions

_LEARNED: Final = 20_000
_MAX_CREDENTIALS: Final = 4096


class Gate:
    """Who a request comes from, for one process."""

    def __init__(
        self,
        directory: Directory,
        attempts: Attempts,
        revisions: Revisions,
        *,
        anonymous_read: AnonymousRead,
        learned_seconds: float,
        failures_per_minute: int,
    ) -> None:
        self.anonymous_read: AnonymousRead = anonymous_read
        self._failures = failures_per_minute
        self._directory = directory
        self._attempts = attempts
        self._revisions = revisions
        self._learned: TTLCache[str, tuple[Actor, int]] = TTLCache(_LEARNED, learned_seconds)

    def needs_reader(self, *, hosted: bool) -> bool:
        """Whether not everybody may read this."""
        return self.anonymous_read == "none" or (self.anonymous_read == "mirrored" and hosted)

    def is_learned(self, authorization: str) -> bool:
        """Whether this Authorization header was right a moment ago and no account has changed since. For the lane."""
        known = self._learned.get(authorization)
        return known is not None and known[1] == self._revisions.accounts

    async def actor(self, request: web.Request, address: str) -> Actor:
        """Who asks; ANONYMOUS without credentials. `address` is the client's.

        Raises:
            Forbidden: an API key was sent and is none, or none any more.
            NotAuthenticated: Basic credentials were sent and are wrong.
            TooMany: too many wrong ones came from this address; these were not looked at.
        """
        key = request.headers.get("X-NuGet-ApiKey")
        authorization = request.headers.get("Authorization")
        # Who pushes with Basic credentials must still give the client some key, and gives any text.
        if key and (key_id_of(key) is not None or not authorization):
            return await self._checked(f"key {key}", address, "", key)
        if not authorization:
            return ANONYMOUS
        known = self._learned.get(authorization)
        if known is not None and known[1] == self._revisions.accounts:
            return known[0]
        revision = self._revisions.accounts
        name, secret = _basic(authorization)
        actor = await self._checked(authorization, address, name, secret)
        self._learned[authorization] = (actor, revision)
        return actor

    async def writer(self, request: web.Request, address: str) -> Actor:
        """As `actor`; raises NotAuthenticated for nobody in particular: what follows needs a key."""
        actor = await self.actor(request, address)
        if actor.is_anonymous:
            raise NotAuthenticated(KEY_NEEDED, "key")
        return actor

    async def require_reader(self, request: web.Request, address: str, *, hosted: bool) -> Actor:
        """As `actor`; raises NotAuthenticated (a Basic challenge) when reading this needs credentials."""
        if not self.needs_reader(hosted=hosted):
            return ANONYMOUS
        actor = await self.actor(request, address)
        require(may_read(actor, anonymous=self.anonymous_read, hosted=hosted))
        return actor

    async def _checked(self, credentials: str, address: str, name: str, secret: str) -> Actor:
        wait = self._attempts.wait(address, credentials, time.monotonic())
        if wait:
            raise TooMany("wrong credentials from this address in a minute", self._failures, retry_after=wait)
        actor = None
        if len(secret) <= _MAX_CREDENTIALS:
            if name:
                actor = await self._directory.actor_by_basic(name, secret, now_us())
            else:
                actor = self._directory.actor_by_key(secret, now_us())
        if actor is None:
            self._attempts.failed(address, credentials, time.monotonic())
            LOGINS_FAILED.labels("key" if not name or key_id_of(secret) is not None else "password").inc()
            if not name:
                raise Forbidden(KEY_REFUSED)
            raise NotAuthenticated("the user name and password, or the API key given as password, are wrong", "basic")
        self._attempts.succeeded(credentials)
        if actor.key is not None:
            self._directory.note_used(actor.key.key_id, now_us())
        return actor


def _basic(authorization: str) -> tuple[str, str]:
    """User name and password of a Basic header; any name goes with a key as password."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(authorization) > _MAX_CREDENTIALS:
        raise NotAuthenticated(CREDENTIALS_NEEDED, "basic")
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise NotAuthenticated("the Authorization header is not readable as Basic credentials", "basic") from error
    if not colon:
        raise NotAuthenticated("the Authorization header is not readable as Basic credentials", "basic")
    return name or "-", secret
