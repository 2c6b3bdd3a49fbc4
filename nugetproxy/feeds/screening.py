"""Screening: the verdicts of the policy on the versions of an id, evaluated once per change and kept in memory.

It gathers the facts (from the registration of the feed below and from what is known here), `feeds.policy` judges them.
What follows for an answer belongs to `screened`. Verdicts are judged again when the registration has to be confirmed,
when a rule or an exception changes, and when time alone changes one.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from cachetools import LRUCache

from nugetproxy.errors import DocumentNotFound, NugetproxyError, Withheld
from nugetproxy.feeds.base import Answer, Feed, LocalFile, PackageContent, Part, SmallContent
from nugetproxy.feeds.policy import reading
from nugetproxy.feeds.policy.facts import Facts, PackageFacts
from nugetproxy.feeds.policy.memory import PolicyMemory
from nugetproxy.feeds.policy.rules import Rule
from nugetproxy.feeds.policy.sentences import refusal, warning
from nugetproxy.feeds.policy.trust import NOBODY, ConfiguredTrust
from nugetproxy.feeds.policy.verdicts import Exemptions, Verdict, judge, judge_all
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.signature_verification import SignatureTrust
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf, Registration
from nugetproxy.protocol.v3.search import SearchQuery

LONGEST_KEPT: Final = 60.0
"""Seconds after which verdicts are looked up again in any case: another process may know a new package file."""

_MOST_KEPT: Final = 4_096
# Catalog entries fetched for one id, to learn when unlisted versions were created; further ones stay unknown.
_MOST_ENTRIES: Final = 64
_AT_ONCE: Final = 8
# Attempts to find a downloaded file on the disk: the second finds it, unless the disk is full.
_ATTEMPTS: Final = 2


class Observer(Protocol):
    """Is told what the policy does. Called often: must return immediately."""

    def refused(self, package: PackageIdentity, rule: str) -> None:
        """A download was refused."""

    def hidden(self, rule: str, count: int) -> None:
        """That many versions were left out of a list."""

    def warned(self, package_id: PackageId, rule: str, count: int) -> None:
        """A rule that only warns is about that many versions of a list."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules, and what they are evaluated with.

    `revision` differs after any change of exceptions; `exemptions(lower_id)` returns those of an id. `kept` returns the
    versions of an id that are on our disk. `inspect` reads a package file in another thread; it raises NugetproxyError
    or OSError. `trust` is added to what the feed publishes. `resembled` returns the id in a list that an id can be
    mistaken for, or "".
    """

    rules: tuple[Rule, ...]
    memory: PolicyMemory
    revision: Callable[[], int]
    exemptions: Callable[[str], Exemptions]
    kept: Callable[[PackageId], Collection[NuGetVersion]]
    inspect: Callable[[Path, SignatureTrust], Awaitable[PackageFacts]]
    observer: Observer
    trust: ConfiguredTrust = NOBODY
    resembled: Callable[[str, Sequence[str]], str] = lambda _lower_id, _known: ""
    clock: Callable[[], float] = time.time


@dataclass(slots=True)
class Screen:
    """The verdicts on one id. `registration` is None if no rule needed it.

    `expires` is on the monotonic clock: until then the facts need not be read again.
    """

    package_id: PackageId
    rules: tuple[Rule, ...]
    exemptions: Exemptions
    registration: Registration | None
    facts: Mapping[NuGetVersion, Facts]
    verdicts: dict[NuGetVersion, Verdict]
    judged: float
    expires: float = math.inf
    revision: int = 0

    def verdict(self, version: NuGetVersion) -> Verdict:
        """Of any version: the facts of one that the registration lacks are unknown."""
        known = self.verdicts.get(version)
        if known is None:
            facts = Facts(self.package_id, version)
            known = judge(facts, self.rules, self.exemptions.get(version), self.judged)
            self.verdicts[version] = known
        return known

    def changes_at(self) -> float:
        """When time alone changes a verdict, in seconds since the epoch."""
        times = [each.changes for each in self.verdicts.values() if each.changes is not None]
        ends = [rule.until for rule in self.rules if rule.until is not None and rule.until > self.judged]
        return min((each for each in (*times, *ends) if each > self.judged), default=math.inf)


class Screening:
    """The verdicts on all ids of the feed below."""

    def __init__(
        self, below: Feed, policy: Policy, *, changed: Callable[[Iterable[str]], None] = lambda _: None
    ) -> None:
        """Facts are read from `below`. `changed` is called with lowercase package ids when earlier answers about
        them may no longer be repeated.
        """
        self._below = below
        self.policy = policy
        self._changed = changed
        self._screens: LRUCache[str, Screen] = LRUCache(_MOST_KEPT)

    async def of(self, package_id: PackageId) -> Screen | None:
        """The verdicts on an id; None if no rule can withhold any of its versions.

        Raises UpstreamError if the facts that a rule needs cannot be fetched, PackageNotFound for an unknown id.
        """
        now = self.policy.clock()
        rules = tuple(rule for rule in self.policy.rules if rule.may_match(package_id.lower, now))
        if not any(rule.is_block for rule in rules):
            return None
        revision = self.policy.revision()
        kept = self._screens.get(package_id.lower)
        if (
            kept is not None
            and kept.revision == revision
            and kept.rules == rules
            and time.monotonic() < kept.expires
            and kept.judged <= now < kept.changes_at()
        ):
            return kept
        screen = await self._screened(package_id, rules, now)
        screen.revision = revision
        self._screens[package_id.lower] = screen
        if kept is not None and any(
            screen.verdict(version).is_withheld and not verdict.is_withheld
            for version, verdict in kept.verdicts.items()
        ):
            self._changed((package_id.lower,))
        return screen

    def valid_for(self, screen: Screen, *, with_facts: bool) -> float:
        """Seconds for which an answer may be repeated. `with_facts`: it lists versions, so new facts count as well."""
        left = max(0.0, screen.changes_at() - self.policy.clock())
        return min(left, screen.expires - time.monotonic()) if with_facts else left

    # --- what answers need ---

    def check(self, screen: Screen, package: PackageIdentity) -> Verdict:
        """The verdict on a version that a client downloads. Raises Withheld."""
        verdict = screen.verdict(package.version)
        if verdict.is_withheld:
            self.policy.observer.refused(package, verdict.rule)
            raise Withheld(refusal(package, verdict), verdict.rule)
        for rule, _ in verdict.warnings:
            self.policy.observer.warned(package.id, rule, 1)
        return verdict

    def warning(self, screen: Screen, versions: Sequence[NuGetVersion]) -> str:
        """The sentence about what is withheld of a list of versions, empty if nothing is. Counts it."""
        verdicts = {version: screen.verdict(version) for version in versions}
        hidden: dict[str, int] = {}
        warned: dict[str, int] = {}
        for verdict in verdicts.values():
            if verdict.is_withheld:
                hidden[verdict.rule] = hidden.get(verdict.rule, 0) + 1
            for rule, _ in verdict.warnings:
                warned[rule] = warned.get(rule, 0) + 1
        for rule, count in hidden.items():
            self.policy.observer.hidden(rule, count)
        for rule, count in warned.items():
            self.policy.observer.warned(screen.package_id, rule, count)
        return warning(screen.package_id, verdicts)

    async def inspected(
        self, screen: Screen, package: PackageIdentity, found: Answer[PackageContent]
    ) -> Answer[PackageContent]:
        """The content of a package whose file has been read, and passed. Raises Withheld if it has not passed.

        A download is waited for: no byte of it is sent before.
        """
        for _attempt in range(_ATTEMPTS):
            if isinstance(found.value, LocalFile):
                break
            if not isinstance(found.value, SmallContent):
                # The last byte is handed out when all of it has arrived and was checked.
                async for _ in found.value.chunks(max(0, (found.value.size or 1) - 1)):
                    pass
            found = await self._below.content(package, Part.NUPKG)
        facts = None
        if isinstance(found.value, LocalFile):
            facts = await self._read(package, found.value)
        known = screen.facts.get(package.version) or Facts(package.id, package.version)
        verdict = judge(
            replace(known, package=facts),
            screen.rules,
            screen.exemptions.get(package.version),
            self.policy.clock(),
            has_file=True,
        )
        screen.verdicts[package.version] = verdict
        if verdict.is_withheld:
            self._changed((package.lower_id,))
        self.check(screen, package)
        return found

    async def _read(self, package: PackageIdentity, file: LocalFile) -> PackageFacts | None:
        trust = await self._trust()
        known = self.policy.memory.files(package.lower_id).get(package.version)
        if known is not None and known[0] == _judged_as(file.etag, trust):
            return known[1]
        try:
            facts = await self.policy.inspect(file.path, trust)
        except (NugetproxyError, OSError):
            return None
        await self.policy.memory.remember_file(package, _judged_as(file.etag, trust), facts)
        return facts

    async def pin(self, packages: Collection[PackageIdentity]) -> None:
        """Exempt versions from rules about age: a lock file that is being prewarmed names them.

        Raises StorageUnavailable.
        """
        await self.policy.memory.pin(packages)
        self._screens.clear()

    async def explained(self, package_id: PackageId) -> tuple[tuple[NuGetVersion, ...], Screen | None]:
        """All versions of an id, ascending, and the verdicts on them (None if no rule is about it). Raises as `of`."""
        versions = (await self._below.versions(package_id)).value
        return versions, await self.of(package_id)

    # --- facts ---

    async def _screened(self, package_id: PackageId, rules: tuple[Rule, ...], now: float) -> Screen:
        exemptions = self.policy.exemptions(package_id.lower)
        needs_facts = any(
            rule.needs_registration or rule.needs_file or rule.first_seen_within or rule.owners or rule.looks_like
            for rule in rules
        )
        if not needs_facts:
            return Screen(package_id, rules, exemptions, None, {}, {}, now)
        answer = await self._below.complete_registration(package_id)
        package_id = PackageId.parse(answer.value.package_id)  # in the casing that people know
        facts = await self._facts(package_id, answer.value.leaves, rules, now)
        verdicts = judge_all(facts, rules, exemptions, now)
        # A stale registration is the best that is known; it is asked for again soon.
        lasts = min(max(answer.provenance.fresh_for, 1.0), LONGEST_KEPT)
        by_version = {each.version: each for each in facts}
        return Screen(package_id, rules, exemptions, answer.value, by_version, verdicts, now, time.monotonic() + lasts)

    async def _facts(
        self, package_id: PackageId, leaves: Sequence[Leaf], rules: tuple[Rule, ...], now: float
    ) -> list[Facts]:
        lower_id = package_id.lower
        needs_age = any(rule.younger_than for rule in rules)
        published = await self._published(package_id, leaves, rules, now) if needs_age else {}
        undated = [leaf.version for leaf in leaves if published.get(leaf.version) is None] if needs_age else []
        seen: dict[NuGetVersion | None, float] = {}
        if undated or any(rule.first_seen_within for rule in rules):
            seen = await self.policy.memory.seen(lower_id, undated, now)
        needs_files = any(rule.needs_file for rule in rules)
        files = await self._files(lower_id) if needs_files else {}
        kept = frozenset(self.policy.kept(package_id))
        pins = self.policy.memory.pins(lower_id) if needs_age else frozenset()
        advisories = await self._advisories(lower_id)
        owners = await self._owners(package_id) if any(rule.owners for rule in rules) else None
        known_ids = [each for rule in rules for each in rule.looks_like]
        looks_like = self.policy.resembled(lower_id, known_ids) if known_ids else ""
        return [
            Facts(
                package_id,
                leaf.version,
                listed=leaf.listed,
                published=published.get(leaf.version),
                first_seen=seen.get(leaf.version),
                id_first_seen=seen.get(None),
                licence=reading.licence_of(leaf),
                advisories=reading.advisories_of(leaf, advisories),
                owners=owners,
                package=files.get(leaf.version),
                looks_like=looks_like,
                is_kept=leaf.version in kept,
                is_pinned=leaf.version in pins,
            )
            for leaf in leaves
        ]

    async def _files(self, lower_id: str) -> dict[NuGetVersion, PackageFacts]:
        """What is known of package files, as far as the same signers are trusted now."""
        known = self.policy.memory.files(lower_id)
        if not known:
            return {}
        end = _judged_as("", await self._trust())
        return {version: facts for version, (judged_as, facts) in known.items() if judged_as.endswith(end)}

    async def _trust(self) -> SignatureTrust:
        try:
            published = (await self._below.signatures()).value
        except DocumentNotFound:
            return self.policy.trust.joined(None)
        return self.policy.trust.joined(published)

    async def _published(
        self, package_id: PackageId, leaves: Sequence[Leaf], rules: tuple[Rule, ...], now: float
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

    async def _advisories(self, lower_id: str) -> list[dict[str, object]]:
        """The rows of VulnerabilityInfo. Registrations state vulnerabilities too, also if there is no such resource."""
        try:
            pages = (await self._below.vulnerabilities()).value.pages
        except DocumentNotFound:
            return []
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
