"""Verification keys: short-lived keys that can only prove that their owner may push an id.

Old symbol hosts ask for them instead of receiving the push key (nuget-protocol: verification keys). They are ordinary
keys of the directory without any scope, which distinguishes them: revoking, expiry and the audit log apply to them too,
and they cannot even read.
"""

import secrets
from typing import Final

from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import DAY, Actor
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.accounts.permissions import KEY_REFUSED, may_push, require
from nugetproxy.accounts.records import owners_of
from nugetproxy.errors import Forbidden, PackageNotFound, VersionNotFound
from nugetproxy.hosting.packages import find_package, knows_id
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.storage.database.base import Database, Fetch

_NAME: Final = "verification"


class VerificationKeys:
    """Creating and checking them, for one process."""

    def __init__(self, database: Database, directory: Directory, ownership: Ownership) -> None:
        self._database = database
        self._directory = directory
        self._ownership = ownership

    async def create(self, actor: Actor, package_id: PackageId, now: int) -> tuple[str, int]:
        """The text of a key valid for one day, and its expiry time; times in unix microseconds.

        Raises Forbidden, NotAuthenticated: the actor may not push this id.
        """
        facts = await self._database.look(
            lambda fetch: self._ownership.facts(fetch, package_id, knows_id(fetch, package_id.lower))
        )
        require(may_push(actor, facts, now))
        assert actor.account is not None, "only an account may push"
        expires = now + DAY
        _, text = await self._directory.add_verification_key(
            actor.account,
            actor.key.creator if actor.key is not None else actor.account,
            package_id.text,
            name=f"{_NAME}-{secrets.token_hex(6)}",
            expires=expires,
            by=actor,
        )
        return text, expires

    async def verify(self, actor: Actor, package_id: PackageId, package: PackageIdentity | None) -> None:
        """Return if the actor's verification key is valid for an owner of this id; this uses the key up.

        Raises:
            PackageNotFound, VersionNotFound: there is no such package.
            Forbidden: the key belongs to another account, or is not a verification key for this id.
        """

        def look(fetch: Fetch) -> set[int]:
            if not knows_id(fetch, package_id.lower):
                raise PackageNotFound(package_id.text)
            if package is not None and find_package(fetch, package) is None:
                raise VersionNotFound(package_id.text, package.version.normalized)
            return {owner.account_id for owner in owners_of(fetch, package_id.lower)}

        owners = await self._database.look(look)
        key = actor.key
        covers = key is not None and key.is_verification and [glob.lower() for glob in key.globs] == [package_id.lower]
        if key is None or not covers or key.owner.account_id not in owners:
            raise Forbidden(KEY_REFUSED)
        [ended] = await self._directory.revoke_key(key.key_id, by=actor)
        if ended.revoked is not None:  # several presented it at the same time, and another was first
            raise Forbidden(KEY_REFUSED)
