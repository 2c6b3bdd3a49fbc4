"""Screening: the verdicts of the policy on the versions of an id, evaluated once per change and kept in memory.

`fact_finding` gathers the facts, `feeds.policy` judges them.
What follows for an answer belongs to `screened`. Verdicts are judged again when the registration has to be confirmed,
when a rule or an exception changes, and when time alone changes one.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from cachetools import LRUCache

from nugetproxy.errors import Withheld
from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import Answer, Feed, LocalFile, PackageContent, Part, SmallContent
from nugetproxy.feeds.fact_finding import ON_LOOP, FactFinder
from nugetproxy.feeds.policy.facts import Facts
from nugetproxy.feeds.policy.policy import Policy
from nugetproxy.feeds.policy.rules import Rule
from nugetproxy.feeds.policy.sentences import refusal, warning
from nugetproxy.feeds.policy.verdicts import Exemptions, Verdict, judge, judge_all
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion

LONGEST_KEPT: Final = 60.0
"""Seconds after which verdicts are looked up again in any case: another process may know a new package file."""

# Versions whose verdicts are kept in memory; each takes a few hundred bytes.
_MOST_KEPT: Final = 100_000
# Attempts to find a downloaded file on the disk: the second finds it, unless the disk is full.
_ATTEMPTS: Final = 2


@dataclass(slots=True)
class Screen:
    """The verdicts on one id, judged at a time (seconds since the epoch) under a revision of the exceptions.

    `facts` are those of versions whose package file has not been read. `expires` is on the monotonic clock: until then
    the facts need not be found again.
    """

    package_id: PackageId
    rules: tuple[Rule, ...]
    exemptions: Exemptions
    facts: Mapping[NuGetVersion, Facts]
    verdicts: dict[NuGetVersion, Verdict]
    judged: float
    revision: int
    expires: float = math.inf
    changes_at: float = field(init=False)
    """When time alone changes a verdict, in seconds since the epoch."""

    def __post_init__(self) -> None:
        times = [each.changes for each in self.verdicts.values()]
        ends = [rule.until for rule in self.rules] + [each.until for each in self.exemptions.values()]
        self.changes_at = min((at for at in (*times, *ends) if at is not None and at > self.judged), default=math.inf)

    @property
    def size(self) -> int:
        """The number of versions, at least one."""
        return max(1, len(self.verdicts))

    def verdict(self, version: NuGetVersion) -> Verdict:
        """Of any version: the facts of one that the registration lacks are unknown.

        Those are not kept: clients can name any number of versions.
        """
        known = self.verdicts.get(version)
        if known is not None:
            return known
        return judge(Facts(self.package_id, version), self.rules, self.exemptions.get(version), self.judged)


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
        self._finder = FactFinder(below, policy)
        self._screens: LRUCache[str, Screen] = LRUCache(_MOST_KEPT, getsizeof=lambda screen: screen.size)
        self._judging: dict[tuple[str, int], asyncio.Task[Screen]] = {}

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
            and kept.judged <= now < kept.changes_at
        ):
            return kept
        # However many requests wait, the id is judged once; a request that is cancelled does not end it for the others.
        key = package_id.lower, revision
        task = self._judging.get(key)
        if task is None:
            task = self._judging[key] = asyncio.create_task(self._screened(package_id, rules, now, revision))
            task.add_done_callback(partial(self._judged, key))
        return await asyncio.shield(task)

    def _judged(self, key: tuple[str, int], task: "asyncio.Task[Screen]") -> None:
        del self._judging[key]
        if not task.cancelled() and task.exception() is None:
            self._keep(key[0], task.result())

    def valid_for(self, screen: Screen, *, with_facts: bool) -> float:
        """Seconds for which an answer may be repeated. `with_facts`: it lists versions, so new facts count as well."""
        left = max(0.0, screen.changes_at - self.policy.clock())
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
            facts = await self._finder.of_file(package, found.value)
        known = screen.facts.get(package.version) or Facts(package.id, package.version)
        verdict = judge(
            replace(known, package=facts),
            screen.rules,
            screen.exemptions.get(package.version),
            self.policy.clock(),
            has_file=True,
        )
        # The file exists, so the number of these is limited.
        screen.verdicts[package.version] = verdict
        if verdict.is_withheld:
            self._changed((package.lower_id,))
        self.check(screen, package)
        return found

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

    # --- judging ---

    async def _screened(self, package_id: PackageId, rules: tuple[Rule, ...], now: float, revision: int) -> Screen:
        exemptions = await self.policy.exemptions(package_id.lower)
        if not any(rule.needs_facts for rule in rules):
            return Screen(package_id, rules, exemptions, {}, {}, now, revision)
        answer = await self._below.complete_registration(package_id)
        package_id = PackageId.parse(answer.value.package_id)  # in the casing that people know
        facts = await self._finder.facts(package_id, answer.value.leaves, rules, now)
        if len(facts) > ON_LOOP:
            verdicts = await RENDERING.run(judge_all, facts, rules, exemptions, now)
        else:
            verdicts = judge_all(facts, rules, exemptions, now)
        # A stale registration is the best that is known; it is asked for again soon.
        lasts = min(max(answer.provenance.fresh_for, 1.0), LONGEST_KEPT)
        known = {each.version: each for each in facts if verdicts[each.version].needs_file}
        return Screen(package_id, rules, exemptions, known, verdicts, now, revision, time.monotonic() + lasts)

    def _keep(self, lower_id: str, screen: Screen) -> None:
        before = self._screens.get(lower_id)
        with contextlib.suppress(ValueError):  # too large to be kept
            self._screens[lower_id] = screen
        if before is not None and any(
            screen.verdict(version).is_withheld and not verdict.is_withheld
            for version, verdict in list(before.verdicts.items())
        ):
            self._changed((lower_id,))
