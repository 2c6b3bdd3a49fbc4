"""Retires hosted versions as the rules of `hosting.retention` say, by the same acts as a person would.

Which versions those are belongs to `retention`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from nugetproxy.accounts.model import Actor
from nugetproxy.errors import PackageNotFound, VersionNotFound
from nugetproxy.hosting.publish import Publish
from nugetproxy.hosting.retention import Action, Retirement, Rule, Version, retirements
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.database.base import Database, Fetch

_VERSIONS: Final = (
    "SELECT p.package_id, p.version, h.listed, p.pushed, coalesce(d.downloads, 0), p.size"
    " FROM hosted_packages AS h JOIN hosted_pushes AS p USING (push)"
    " LEFT JOIN hosted_downloads AS d ON d.lower_id = h.lower_id AND d.lower_version = h.lower_version"
    " WHERE h.lower_id = ?"
)

NOWHERE: Final = ""
"""The address, in the audit log, of acts without a client."""


class Retiring:
    """`rules` returns those in effect at the moment."""

    def __init__(self, database: Database, rules: Callable[[], Sequence[Rule]]) -> None:
        self._database = database
        self._rules = rules

    async def due(self) -> AsyncIterator[Retirement]:
        """What would be retired now, by id and version; changes nothing. Raises StorageUnavailable."""
        if not (rules := self._rules()):
            return
        ids = await self._database.read(
            lambda fetch: [
                row[0] for row in fetch("SELECT DISTINCT lower_id FROM hosted_packages ORDER BY lower_id", ())
            ]
        )
        for lower_id in ids:
            versions = await self._database.read(partial(_versions, lower_id))
            for retirement in retirements(versions, rules):
                yield retirement

    async def retire(self, publish: Publish, actor: Actor) -> AsyncIterator[Retirement]:
        """Retire what is due, and return each version once it is. The audit log names the actor and the rule.

        Raises StorageUnavailable; what was retired until then stays so.
        """
        async for retirement in self.due():
            rule, package = retirement.rule, retirement.version.identity
            by = replace(actor, name=f"{actor.name}, rule {rule.name}")
            try:
                if rule.action is Action.DELETE:
                    await publish.delete(by, package, address=NOWHERE)
                else:
                    await publish.unlist(by, package, address=NOWHERE)
            except (PackageNotFound, VersionNotFound):
                continue  # deleted by somebody in the meantime
            yield retirement


def _versions(lower_id: str, fetch: Fetch) -> list[Version]:
    return [_version(row) for row in fetch(_VERSIONS, (lower_id,))]


def _version(row: tuple[Any, ...]) -> Version:
    package_id, version, listed, pushed, downloads, size = row
    return Version(PackageIdentity.parse(package_id, version), bool(listed), pushed, downloads, size)
