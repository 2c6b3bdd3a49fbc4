"""X-NuGet-ApiKey or Basic -> Actor, and whether that actor may read what is requested.

Anonymous requests are ordinary: every NuGet client sends each request without credentials first, and one that has none
then sends empty ones. So such a 401 is not counted as a failure, touches no storage and keeps the connection
(nuget-protocol: authentication). Credentials that were right are remembered for a short time, so that reading with them
costs no look-up; any change of accounts, in any process, invalidates what was remembered.
"""

import asyncio
import base64
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from nugetproxy.accounts.addresses import network_of
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
    may_use_from,
    require,
)
from nugetproxy.errors import Forbidden, NotAuthenticated, TooMany
from nugetproxy.metrics import LOGINS_FAILED
from nugetproxy.storage.revisions import Revisions

_LEARNED: Final = 20_000
_MAX_CREDENTIALS: Final = 4096
_NOBODY: Final = base64.b64encode(b":").decode()
# Wrong keys share one name: their senders give no user name, or an arbitrary one.
_KEYS: Final = ""
_WRONG: Final = "the user name or password is wrong, or the API key given as password is invalid"


def says_nothing(authorization: str | None) -> bool:
    """Whether a client sends no credentials. When challenged, clients that have none all send an empty name and an
    empty password: this is not a login attempt, so it cannot be wrong.
    """
    if not authorization:
        return True
    scheme, _, encoded = authorization.partition(" ")
    return encoded.strip() == _NOBODY and scheme.lower() == "basic"


@dataclass(frozen=True, slots=True)
class _Learned:
    """Credentials that were right at this revision of the accounts. `until` is when a key expires, in unix
    microseconds; `forgotten` is when they are checked again in any case, on the monotonic clock.
    """

    actor: Actor
    revision: int
    until: float
    forgotten: float


@dataclass(slots=True)
class _Turn:
    """The lock that requests wait for, and how many hold it or wait."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    taken: int = 0


class Gate:
    """Identifies the sender of a request, for one process."""

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
        # A plain dictionary in insertion order: the lane looks into it with every request.
        self._learned: dict[str, _Learned] = {}
        # With limited keys: the lane knows neither the client's address nor whose package a path names.
        self._learned_limited: dict[str, _Learned] = {}
        self._learned_seconds = learned_seconds
        self._turns: dict[str, _Turn] = {}

    def learned(self, authorization: str) -> str | None:
        """For the lane: the name of the actor for whom this Authorization header was recently right and still is.

        None: it must be checked. Where reading is open to all, nothing is checked and the name is empty.
        """
        if self.anonymous_read == "all":
            return ""
        actor = self._find_learned(authorization, self._learned)
        return None if actor is None else actor.name

    async def actor(self, request: web.Request, address: str) -> Actor:
        """Who sends the request; ANONYMOUS without credentials. `address` is the client's.

        Raises:
            Forbidden: an API key was sent that does not exist, is no longer valid, or not at this address.
            NotAuthenticated: Basic credentials were sent and are wrong.
            TooMany: too many wrong ones came from this address, for this name or in total; a password was not checked.
        """
        actor = await self._identified(request, address)
        require(may_use_from(actor, address))
        return actor

    async def _identified(self, request: web.Request, address: str) -> Actor:
        key = request.headers.get("X-NuGet-ApiKey")
        authorization = request.headers.get("Authorization")
        if says_nothing(authorization):
            authorization = None
        # A key takes precedence over Basic credentials, so they never hide a wrong one. A text that cannot be a key of
        # ours is ignored beside them: some clients push only when given a key, so people give them an arbitrary text.
        if key and (key_id_of(key) is not None or not authorization):
            revision = self._revisions.accounts  # before the look-up, as below
            actor = await self._by_key(key)
            if actor is None:
                self._failed("key", address, _KEYS, f"key {key}", revision)
                raise Forbidden(KEY_REFUSED)
            return actor
        if not authorization:
            return ANONYMOUS
        return await self._by_basic(authorization, address)

    async def writer(self, request: web.Request, address: str) -> Actor:
        """As `actor`; raises NotAuthenticated (a Basic challenge) without credentials."""
        actor = await self.actor(request, address)
        if actor.is_anonymous:
            raise NotAuthenticated(KEY_NEEDED)
        return actor

    async def person(self, name: str, password: str, address: str) -> Actor:
        """The user with this password, for a browser; as careful as with Basic credentials.

        Raises NotAuthenticated also for an API key: it must not open what creates other keys. Raises TooMany.
        """
        if ":" in name or key_id_of(password) is not None:
            raise NotAuthenticated(_WRONG)
        encoded = base64.b64encode(f"{name}:{password}".encode("utf-8", "replace")).decode()
        return await self._by_basic(f"Basic {encoded}", address)

    async def reader(self, request: web.Request, address: str, *, hosted: bool) -> Actor:
        """As `actor`; raises NotAuthenticated (a Basic challenge) when reading this needs credentials."""
        actor = await self.actor(request, address)
        require(may_read(actor, anonymous=self.anonymous_read, hosted=hosted))
        return actor

    async def _by_basic(self, authorization: str, address: str) -> Actor:
        if (known := self._find_any(authorization)) is not None:
            return known
        name, secret = _basic(authorization)
        if key_id_of(secret) is not None:
            # When accounts change, every agent's next request must be checked: one of those with the same key is.
            async with self._turn(authorization):
                if (known := self._find_any(authorization)) is not None:
                    return known
                # Read before the look-up: a change in the meantime must invalidate what is remembered.
                revision = self._revisions.accounts
                actor = await self._by_key(secret)
                if actor is None:
                    self._failed("key", address, _KEYS, authorization, revision)
                else:
                    self._learn(authorization, actor, revision)
        else:
            # One at a time: otherwise a thousand guesses sent together would all be checked before the first one fails.
            # Of a thousand requests with the same password, right or wrong, only the first needs to be checked.
            self._refuse_if_wrong(authorization)
            async with self._turn(network_of(address)):
                if (known := self._find_any(authorization)) is not None:
                    return known
                self._refuse_if_wrong(authorization)
                self._refuse_if_too_many(address, name, authorization)
                revision = self._revisions.accounts
                actor = await self._directory.actor_by_password(name, secret)
                if actor is None:
                    self._failed("password", address, name, authorization, revision)
                else:  # before the next one in turn checks
                    self._learn(authorization, actor, revision)
        if actor is None:
            raise NotAuthenticated(_WRONG)
        return actor

    async def _by_key(self, text: str) -> Actor | None:
        """Checked no matter how many wrong keys came before: 190 random bits cannot be guessed."""
        actor = await self._directory.actor_by_key(text, now_us()) if len(text) <= _MAX_CREDENTIALS else None
        if actor is not None and actor.key is not None:
            self._directory.note_used(actor.key.key_id, now_us())
        return actor

    def _find_any(self, authorization: str) -> Actor | None:
        return self._find_learned(authorization, self._learned) or self._find_learned(
            authorization, self._learned_limited
        )

    def _find_learned(self, authorization: str, learned: dict[str, _Learned]) -> Actor | None:
        known = learned.get(authorization)
        if (
            known is None
            or known.revision != self._revisions.accounts
            or time.monotonic() >= known.forgotten
            or now_us() >= known.until
        ):
            return None
        return known.actor

    def _learn(self, authorization: str, actor: Actor, revision: int) -> None:
        """Remember it for the next time, and for the lane, which lets every client in `_learned` read everything."""
        if actor.key is not None and actor.key.is_verification:
            return
        self._attempts.succeeded(authorization)
        learned = self._learned_limited if actor.key is not None and actor.key.is_limited else self._learned
        learned.pop(authorization, None)
        if len(learned) >= _LEARNED:
            del learned[next(iter(learned))]
        until = actor.key.expires if actor.key else math.inf
        learned[authorization] = _Learned(actor, revision, until, time.monotonic() + self._learned_seconds)

    def _failed(self, kind: str, address: str, name: str, credentials: str, revision: int) -> None:
        """Raises TooMany if there were too many failures before this one."""
        LOGINS_FAILED.labels(kind).inc()
        self._refuse_if_too_many(address, name, credentials)
        self._attempts.failed(address, name, credentials, revision, time.monotonic())

    def _refuse_if_wrong(self, authorization: str) -> None:
        """A misconfigured agent sends the same credentials hundreds of times: they cost neither a hash nor a turn."""
        if self._attempts.is_wrong(authorization, self._revisions.accounts):
            LOGINS_FAILED.labels("password").inc()
            raise NotAuthenticated(_WRONG)

    def _refuse_if_too_many(self, address: str, name: str, credentials: str) -> None:
        if wait := self._attempts.wait(address, name, credentials, time.monotonic()):
            raise TooMany(
                "wrong credentials from this address within a minute, for this user name or in total",
                self._failures,
                retry_after=wait,
            )

    @asynccontextmanager
    async def _turn(self, whose: str) -> AsyncIterator[None]:
        """One at a time: passwords from the same network, requests with the same key. Others do not wait for them."""
        turn = self._turns.setdefault(whose, _Turn())
        turn.taken += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.taken -= 1
            if not turn.taken:
                del self._turns[whose]


def _basic(authorization: str) -> tuple[str, str]:
    """User name and password of a Basic header; with a key as password, any user name will do."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(authorization) > _MAX_CREDENTIALS:
        raise NotAuthenticated(CREDENTIALS_NEEDED)
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (ValueError, UnicodeDecodeError) as error:
        raise NotAuthenticated("the Authorization header does not contain valid Basic credentials") from error
    if not colon:
        raise NotAuthenticated("the Authorization header does not contain valid Basic credentials")
    return name, secret
