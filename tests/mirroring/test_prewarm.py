"""How repeated packages count, and who pauses when an upstream wants to be left alone."""

import asyncio
import base64
from pathlib import Path
from typing import cast

import pytest

from nugetproxy.errors import NotOffered, UpstreamTimeout, UpstreamUnavailable
from nugetproxy.feeds.base import Answer, Feed, LocalFile, Offered, PackageContent, Part
from nugetproxy.mirroring.prewarm.files import PackageFiles
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.mirroring.prewarm.plan import Wish, exactly
from nugetproxy.mirroring.prewarm.run import Prewarm
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.projects.sources import Exact, Sources

ONE, OTHER = (base64.b64encode(bytes([number]) * 64).decode() for number in (1, 2))


def want(version: str, digest: str | None = None, name: str = "A") -> Exact:
    return Exact(PackageIdentity.parse(name, version), "packages.lock.json", digest)


@pytest.mark.parametrize(
    ("mentioned", "expected"),
    [
        ([], {}),
        ([want("1.0"), want("1.0.0")], {"1.0.0": set()}),
        ([want("1.0"), want("1.0", ONE)], {"1.0.0": {ONE}}),
        ([want("1.0", ONE), want("1.0")], {"1.0.0": {ONE}}),
        ([want("1.0", ONE), want("1.0", ONE, "a")], {"1.0.0": {ONE}}),
        ([want("1.0", ONE), want("1.0", OTHER)], {"1.0.0": {ONE, OTHER}}),
        ([want("1.0", ONE), want("2.0")], {"1.0.0": {ONE}, "2.0.0": set()}),
    ],
)
def test_each_identity_once_with_every_hash(mentioned, expected):
    wishes = exactly(Sources(exact=tuple(mentioned))).wishes
    assert {each.version.normalized: wish.hashes for each, wish in wishes.items()} == expected


class BusyFeed:
    """Refuses every request while it is `busy`, and counts them."""

    def __init__(self, failure: Exception) -> None:
        self.busy = True
        self.asked = 0
        self._failure = failure

    async def offered(self) -> Offered:
        return Offered()

    async def content(self, package: PackageIdentity, part: Part) -> Answer[PackageContent]:
        await self._refuse()
        return Answer(LocalFile(Path("kept.nupkg"), 1, 0, ""))

    async def vulnerabilities(self) -> None:
        raise NotOffered("none")

    signatures = vulnerabilities

    async def versions(self, package_id: PackageId) -> Answer[tuple[()]]:
        await self._refuse()
        return Answer(())

    async def complete_registration(self, package_id: PackageId) -> Answer[tuple[()]]:
        return Answer(())

    async def _refuse(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.busy:
            raise self._failure


async def prewarmed(feed: BusyFeed, *, parallel: int) -> list[float]:
    """The pauses of a prewarm of twenty packages; during the first one the feed recovers."""
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        for _ in range(50):
            await asyncio.sleep(0)
        feed.busy = False

    patience = Patience(sleep=sleep)
    run = Prewarm(cast(Feed, feed), PackageFiles(cast(Feed, feed), patience), patience, parallel=parallel)
    await run.run([Wish(PackageIdentity.parse("A", f"{n}.0.0")) for n in range(20)])
    return rests


async def test_those_who_are_refused_together_rest_once():
    feed = BusyFeed(UpstreamUnavailable("busy", "answered 429", 60))

    assert await prewarmed(feed, parallel=8) == [60]


async def test_while_one_pauses_no_other_asks():
    feed = BusyFeed(UpstreamUnavailable("busy", "answered 429", 60))
    await prewarmed(feed, parallel=8)

    assert feed.asked == 8 + 20 + 1


async def test_a_rest_is_never_no_time_at_all():
    assert await prewarmed(BusyFeed(UpstreamUnavailable("busy", "answered 429", 0.0)), parallel=2) == [1.0]


@pytest.mark.parametrize("failure", [UpstreamUnavailable("a", "403"), UpstreamTimeout("a", "silent")])
async def test_a_failure_that_names_no_time_is_no_reason_to_rest(failure):
    assert await prewarmed(BusyFeed(failure), parallel=2) == []
