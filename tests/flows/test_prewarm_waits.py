"""Prewarming from an upstream that throttles us: no client waits for a prewarm, so it waits as requested."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from nugetproxy.mirroring.prewarm.files import PackageFiles
from nugetproxy.mirroring.prewarm.patience import MOST_RESTS, Patience
from nugetproxy.mirroring.prewarm.plan import Wish
from nugetproxy.mirroring.prewarm.run import Prewarm, PrewarmReport
from nugetproxy.nuget.identity import PackageIdentity
from tests.fakes.faults import Fault, status
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Mirror, files_below, running
from tests.mirroring.clients import skipping

NAMES = [f"Contoso.P{number}" for number in range(12)]
WANTED = [Wish(PackageIdentity.parse(name, "1.0.0")) for name in NAMES]


@pytest.fixture
async def gallery(upstream: FakeUpstream) -> FakeUpstream:
    """One version of each of a dozen packages."""
    for name in NAMES:
        upstream.add_package(name, "1.0.0")
    return upstream


@pytest.fixture
def in_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Call it with seconds: for connections, this much time has passed."""
    return skipping(monkeypatch)


class Run:
    """One prewarm whose pauses take no time, and what it reported about them."""

    def __init__(self, mirror: Mirror, in_time: Callable[[float], None], *, parallel: int = 4) -> None:
        self._in_time = in_time
        self.told: list[tuple[float, str]] = []
        feed, patience = mirror.services.feed, Patience(lambda *told: self.told.append(told), self._sleep)
        self._prewarm = Prewarm(feed, PackageFiles(feed, patience), patience, parallel=parallel)

    async def _sleep(self, seconds: float) -> None:
        self._in_time(seconds)
        await asyncio.sleep(0)

    async def complete(self) -> PrewarmReport:
        return await self._prewarm.run(WANTED)


def kept(data: Path) -> int:
    return sum(name.endswith(".nupkg") for name in files_below(data / "mirror"))


@pytest.mark.parametrize(("asked", "waited"), [(30, (2, 30)), (400, (290, 300))])
async def test_it_waits_as_it_is_asked_and_then_has_all(gallery, tmp_path, in_time, asked, waited):
    gallery.fault("*.nupkg", Fault(), times=3)
    gallery.fault("*.nupkg", status(429, retry_after=asked), times=5)
    async with running(tmp_path, gallery) as mirror:
        run = Run(mirror, in_time)
        report = await run.complete()

    assert (report.refusals, kept(tmp_path)) == ([], len(NAMES))
    assert waited[0] < max(seconds for seconds, _ in run.told) <= waited[1]


async def test_what_an_upstream_bridges_is_not_told(gallery, tmp_path, in_time):
    gallery.fault("*.nupkg", status(429, retry_after=0), times=2)
    async with running(tmp_path, gallery) as mirror:
        run = Run(mirror, in_time)
        report = await run.complete()

    assert (report.refusals, run.told) == ([], [])


async def test_why_is_reported(gallery, tmp_path, in_time):
    gallery.fault("*.nupkg", status(429, retry_after=60), times=5)
    async with running(tmp_path, gallery) as mirror:
        run = Run(mirror, in_time)
        await run.complete()

    assert all("answered 429 Too Many Requests" in why for _, why in run.told)


async def test_it_does_not_wait_for_ever(gallery, tmp_path, in_time):
    gallery.fault("/v3-flatcontainer/*", status(429, retry_after=60))
    async with running(tmp_path, gallery) as mirror:
        run = Run(mirror, in_time)
        report = await run.complete()

    assert len(run.told) == MOST_RESTS
    assert report.documents == 0
    # One refusal for each package. The same failure of its documents is not reported again.
    assert sorted(refusal.what for refusal in report.refusals) == sorted(f"{name} 1.0.0" for name in NAMES)


async def test_an_upstream_that_allows_some_at_a_time_is_emptied(gallery, tmp_path, in_time):
    """
    Refused more often than it would wait without success.
    """
    for _ in range(MOST_RESTS + 2):
        gallery.fault("*.nupkg", Fault(), times=1)
        gallery.fault("*.nupkg", status(429, retry_after=60), times=2)
    async with running(tmp_path, gallery) as mirror:
        run = Run(mirror, in_time, parallel=1)
        report = await run.complete()

    assert (report.refusals, kept(tmp_path)) == ([], len(NAMES))
    assert len(run.told) > MOST_RESTS


async def test_documents_are_waited_for_too(gallery, tmp_path, in_time):
    gallery.fault("/v3/registration5-gz-semver2/*", status(429, retry_after=60), times=4)
    async with running(tmp_path, gallery) as mirror:
        run = Run(mirror, in_time)
        report = await run.complete()

    assert (report.refusals, report.documents) == ([], len(NAMES))


async def test_a_refusal_that_names_no_time_is_not_waited_for(gallery, tmp_path, in_time):
    gallery.fault("*.nupkg", status(403))
    async with running(tmp_path, gallery) as mirror:
        run = Run(mirror, in_time)
        report = await run.complete()

    assert (run.told, len(report.refusals)) == ([], len(NAMES))
