"""FeedLookup: what the resolver learns from an upstream, and what happens when it does not answer."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from nugetproxy.mirroring.prewarm.files import PackageFiles
from nugetproxy.mirroring.prewarm.lookup import FeedLookup
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from tests.builders import make_nupkg
from tests.fakes.faults import status
from tests.flows.mirror import running

BASE = PackageId.parse("Contoso.Base")
ONE = PackageIdentity.parse("Contoso.Base", "1.0.0")
RUNTIMES = b'{"runtimes": {"linux-x64": {"Contoso.Base": {"Contoso.Native": "1.0.0"}}}}'


@pytest.fixture
async def gallery(upstream):
    upstream.add_package("Contoso.Base", "1.0.0", dependencies=[("Contoso.Core", "[1.0.0, )")])
    upstream.add_package("Contoso.Base", "2.0.0", listed=False)
    upstream.add_package(make_nupkg("Contoso.Native", "1.0.0", files={"runtime.json": RUNTIMES}))
    return upstream


@asynccontextmanager
async def lookup_over(data, upstream, **settings):
    async with running(data, upstream, **settings.pop("running", {})) as mirror:
        patience = Patience()
        files = PackageFiles(mirror.services.feed, patience)
        yield FeedLookup(mirror.services.feed, files, patience, **settings), files


def groups(found) -> list[tuple[str | None, list[tuple[str, str]]]]:
    return [(group.target_framework, [(each.id, each.range) for each in group.dependencies]) for group in found]


async def test_answers_and_each_question_once(gallery, tmp_path):
    async with lookup_over(tmp_path, gallery) as (lookup, files):
        answers = await asyncio.gather(*(lookup.dependency_groups(ONE) for _ in range(5)))
        assert groups(answers[0])[0][1] == [("Contoso.Core", "[1.0.0, )")]
        assert [each.normalized for each in await lookup.versions(BASE)] == ["1.0.0", "2.0.0"]
        assert [each.normalized for each in await lookup.listed_versions(BASE)] == ["1.0.0"]
        assert await lookup.versions(PackageId.parse("Nobody")) == ()
        assert (lookup.failures, files.fetched) == ({}, {})
    assert gallery.requests_for("*.nuspec") == 1
    assert gallery.requests_for("*.nupkg") == 0


async def test_runtime_json_is_read_from_the_package_which_is_then_kept(gallery, tmp_path):
    native = PackageIdentity.parse("Contoso.Native", "1.0.0")
    async with lookup_over(tmp_path, gallery) as (lookup, files):
        assert await lookup.runtime_json(native) == RUNTIMES
        assert await lookup.runtime_json(ONE) is None
        assert set(files.fetched) == {native, ONE}
    assert gallery.requests_for("*.nupkg") == 2

    async with lookup_over(tmp_path, gallery, without_files=True) as (lookup, files):
        assert await lookup.runtime_json(native) is None
        assert lookup.unread == {native}


async def test_what_cannot_be_answered_is_recorded_and_empty(gallery, tmp_path):
    gallery.fault("*.nuspec", status(403))
    async with lookup_over(tmp_path, gallery) as (lookup, _):
        assert await lookup.dependency_groups(ONE) == ()
        assert list(lookup.failures) == ["contoso.base"]
        assert "403" in str(lookup.failures["contoso.base"])


async def test_offline_only_what_is_kept_exists(gallery, tmp_path):
    async with lookup_over(tmp_path, gallery) as (_, files):
        await files.file(ONE)
    async with lookup_over(tmp_path, gallery, running={"offline": True}) as (lookup, _):
        assert [each.normalized for each in await lookup.versions(BASE)] == ["1.0.0"]
        assert await lookup.versions(PackageId.parse("Contoso.Core")) == ()
        assert groups(await lookup.dependency_groups(ONE))[0][1] == [("Contoso.Core", "[1.0.0, )")]
        assert lookup.failures == {}
