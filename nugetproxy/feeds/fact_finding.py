"""Fact finding: what rules need to know about the versions of an id, from the feed below and from what is known here.

Only what a rule needs is asked for. What a fact means belongs to `feeds.policy`.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from nugetproxy.errors import DocumentNotFound, NotOffered, NugetproxyError
from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import Feed, LocalFile
from nugetproxy.feeds.policy import reading
from nugetproxy.feeds.policy.facts import Facts, PackageFacts
from nugetproxy.feeds.policy.policy import Policy
from nugetproxy.feeds.policy.rules import Rule
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.signature_verification import SignatureTrust
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.protocol.v3.search import SearchQuery

ON_LOOP: Final = 200
"""Versions whose facts are read, or judged, on the event loop: a few milliseconds. More are left to a thread."""

# Catalog entries fetched for one id, to learn when unlisted versions were created; further ones stay unknown.
_MOST_ENTRIES: Final = 64
_AT_ONCE: Final = 8


class FactFinder:
    """Finds facts about what the feed below has."""

    def __init__(self, below: Feed, policy: Policy) -> None:
        self._below = below
        self._policy = policy

    async def facts(
        self, package_id: PackageId, leaves: Sequence[Leaf], rules: Sequence[Rule], now: float
    ) -> list[Facts]:
        """The facts about all versions of an id, as far as these rules need them.

        Raises UpstreamError if the upstream's signers or advisories cannot be asked for.
        """
        lower_id, memory = package_id.lower, self._policy.memory
        needs_age = any(rule.younger_than for rule in rules)
        published = await self._published(package_id, leaves, rules, now) if needs_age else {}
        undated = [leaf.version for leaf in leaves if published.get(leaf.version) is None] if needs_age else []
        seen: dict[NuGetVersion | None, float] = {}
        if undated or any(rule.first_seen_within for rule in rules):
            seen = await memory.seen(lower_id, undated, now)
        files = await self._files(lower_id) if any(rule.needs_file for rule in rules) else {}
        kept = frozenset(self._policy.kept(package_id))
        pins = await memory.pins(lower_id)
        # A version that fixes something is exempt from rules about age.
        needs_advisories = needs_age or any(rule.severity is not None for rule in rules)
        advisories = await self._advisories(lower_id) if needs_advisories else None
        owners = await self._owners(package_id) if any(rule.owners for rule in rules) else None

        def read() -> list[Facts]:
            return [
                Facts(
                    package_id,
                    leaf.version,
                    listed=leaf.listed,
                    published=published.get(leaf.version),
                    first_seen=seen.get(leaf.version),
                    id_first_seen=seen.get(None),
                    licence=reading.licence_of(leaf),
                    advisories=reading.advisories_of(leaf, advisories) if advisories is not None else None,
                    owners=owners,
                    package=files.get(leaf.version),
                    is_kept=leaf.version in kept,
                    is_pinned=leaf.version in pins,
                )
                for leaf in leaves
            ]

        return await RENDERING.run(read) if len(leaves) > ON_LOOP else read()

    async def of_file(self, package: PackageIdentity, file: LocalFile) -> PackageFacts | None:
        """What the package file tells, read once for the same bytes and trust; None if it cannot be read."""
        trust = await self._trust()
        judged_as = _judged_as(file.etag, trust)
        known = (await self._policy.memory.files(package.lower_id)).get(package.version)
        if known is not None and known[0] == judged_as:
            return known[1]
        try:
            facts = await self._policy.inspect(file.path, trust)
        except (NugetproxyError, OSError):
            return None
        await self._policy.memory.remember_file(package, judged_as, facts)
        return facts

    async def _files(self, lower_id: str) -> dict[NuGetVersion, PackageFacts]:
        """What is known of package files, as far as the same signers are trusted now."""
        known = await self._policy.memory.files(lower_id)
        if not known:
            return {}
        end = _judged_as("", await self._trust())
        return {version: facts for version, (judged_as, facts) in known.items() if judged_as.endswith(end)}

    async def _trust(self) -> SignatureTrust:
        try:
            published = (await self._below.signatures()).value
        except DocumentNotFound:
            return self._policy.trust.joined(None)
        return self._policy.trust.joined(published)

    async def _published(
        self, package_id: PackageId, leaves: Sequence[Leaf], rules: Sequence[Rule], now: float
    ) -> dict[NuGetVersion, float | None]:
        """The true times of publication.

        The catalog is asked about the newest versions whose time was overwritten. For the others an upper bound is good
        enough if it is old enough.
        """
        found = {leaf.version: reading.published_of(leaf) for leaf in leaves}
        unknown = sorted((leaf for leaf in leaves if found[leaf.version] is None), key=lambda leaf: leaf.version)
        longest = max(rule.younger_than for rule in rules)
        for leaf in unknown[:-_MOST_ENTRIES]:
            bound = reading.published_before(leaf)
            if bound is not None and now - bound >= longest:
                found[leaf.version] = bound
        turns = asyncio.Semaphore(_AT_ONCE)

        async def ask(version: NuGetVersion) -> tuple[NuGetVersion, float | None]:
            async with turns:
                return version, await self._created(PackageIdentity(package_id, version))

        found.update(await asyncio.gather(*(ask(leaf.version) for leaf in unknown[-_MOST_ENTRIES:])))
        return found

    async def _created(self, package: PackageIdentity) -> float | None:
        """The catalog's `created`; None if it cannot be known now."""
        try:
            document = (await self._below.catalog_entry(package)).value.document
        except NugetproxyError:
            return None
        return reading.moment_of(document.get("created")) if document is not None else None

    async def _advisories(self, lower_id: str) -> list[dict[str, object]] | None:
        """The rows of VulnerabilityInfo; None if they exist and cannot be had.

        Registrations state vulnerabilities as well. Without such a resource, there is nothing else to know.
        """
        try:
            pages = (await self._below.vulnerabilities()).value.pages
        except NotOffered:
            return []
        except DocumentNotFound:
            return None
        return [row for page in pages for row in page.body.get(lower_id, ())]

    async def _owners(self, package_id: PackageId) -> tuple[str, ...] | None:
        query = SearchQuery(f"packageid:{package_id.text}", take=1, prerelease=True, semver_level2=True)
        try:
            hits = (await self._below.search(query)).value.hits
        except NugetproxyError:
            return None
        return next((reading.owners_of(hit.raw) for hit in hits if PackageId.parse(hit.id) == package_id), None)


def _judged_as(etag: str, trust: SignatureTrust) -> str:
    """The file and the trust that a signature was verified with."""
    return f"{etag} {trust.key}"
