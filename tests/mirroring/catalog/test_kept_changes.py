"""Events about kept packages: deletions, and files that changed."""

import base64
import hashlib

import pytest
from structlog.testing import capture_logs

from nugetproxy.feeds.base import LocalFile
from nugetproxy.mirroring.catalog import kept_changes
from nugetproxy.nuget.identity import PackageIdentity
from tests.mirroring.catalog.world import DOWN
from tests.mirroring.documents.world import counted

BODY = b"the package that builds have used"
ANOTHER = b"the package that somebody put there"


def conflicts() -> float:
    return counted("nugetproxy_catalog_conflicts_total", upstream="up")


def stated(body: bytes) -> dict[str, object]:
    return {"sha512": base64.b64encode(hashlib.sha512(body).digest()).decode(), "size": len(body)}


@pytest.fixture
def kept(world, tmp_path):
    path = tmp_path / "contoso.base.1.0.0.nupkg"
    path.write_bytes(BODY)
    world.kept[PackageIdentity.parse("Contoso.Base", "1.0.0")] = LocalFile(path, len(BODY), 0, "")
    return path


async def test_the_same_file_is_no_news(world, upstream, process, kept):
    before = conflicts()
    await process.follow()
    upstream.catalog.add(world.now, "Contoso.Base", **stated(BODY))
    await process.follow()

    assert before == conflicts()


@pytest.mark.parametrize(
    "changed", [stated(ANOTHER), stated(ANOTHER) | {"size": len(BODY)}, stated(BODY) | {"size": 7}]
)
async def test_another_file_is_reported_and_ours_stays(world, upstream, process, kept, changed):
    before = conflicts()
    await process.follow()
    upstream.catalog.add(world.now, "Contoso.Base", **changed)
    with capture_logs() as logs:
        await process.follow()

    assert before + 1 == conflicts()
    assert ["package_changed_upstream"] == [each["event"] for each in logs if each["log_level"] == "error"]
    assert BODY == kept.read_bytes()


async def test_a_deletion_is_noted_and_taken_back(world, upstream, process, kept):
    await process.follow()
    upstream.catalog.add(world.now, "contoso.BASE", is_delete=True)
    await process.follow()
    assert ("contoso.BASE 1.0.0", True) == process.gone[-1]
    assert BODY == kept.read_bytes()
    upstream.catalog.add(world.now + 1, "Contoso.Base", **stated(BODY))
    await process.follow()

    assert ("Contoso.Base 1.0.0", False) == process.gone[-1]


async def test_packages_that_are_not_kept_cost_no_request(world, upstream, process, kept):
    await process.follow()
    upstream.catalog.add(world.now, "Contoso.Base", "2.0.0", **stated(BODY))
    upstream.asked.clear()
    await process.follow()

    assert [] == [url for url in upstream.asked if "/data/" in url]


async def test_of_two_events_the_later_counts(world, upstream, process, kept):
    await process.follow()
    upstream.catalog.add(world.now + 1, "Contoso.Base", is_delete=True)
    upstream.catalog.add(world.now, "Contoso.Base", **stated(ANOTHER))
    upstream.asked.clear()
    await process.follow()

    assert ("Contoso.Base 1.0.0", True) == process.gone[-1]
    assert [] == [url for url in upstream.asked if "/data/" in url]


async def test_a_leaf_that_cannot_be_fetched_delays_nothing_and_is_tried_again(world, upstream, process, kept):
    await process.follow()
    event = upstream.catalog.add(world.now, "Contoso.Base", **stated(ANOTHER))
    leaf = f"{upstream.catalog.base}/v3/catalog0/data/x/{event.name}"
    upstream.faults[leaf] = DOWN
    before = conflicts()
    await process.follow()
    other = world.process()  # after a kill
    await other.follow()
    assert before == conflicts()
    upstream.faults.clear()
    await other.follow()

    assert before + 1 == conflicts()


async def test_a_leaf_that_is_none_is_given_up(world, upstream, process, kept):
    await process.follow()
    event = upstream.catalog.add(world.now, "Contoso.Base", **stated(BODY))
    upstream.faults[f"{upstream.catalog.base}/v3/catalog0/data/x/{event.name}"] = lambda _: b"<html>"
    upstream.asked.clear()
    with capture_logs() as logs:
        await process.follow()
        await process.follow()

    assert ["package_not_compared"] == [each["event"] for each in logs if each["log_level"] == "warning"]
    assert 1 == len([url for url in upstream.asked if "/data/" in url])


async def test_leaves_of_one_poll_are_bounded(world, upstream, process, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_changes, "CHECKS", 3)
    await process.follow()
    for number in range(5):
        package = PackageIdentity.parse("Many", f"1.0.{number}")
        path = tmp_path / package.nupkg_name
        path.write_bytes(BODY)
        world.kept[package] = LocalFile(path, len(BODY), 0, "")
        upstream.catalog.add(world.now, "Many", f"1.0.{number}", **stated(BODY))
    upstream.asked.clear()
    asked = []
    for _ in range(3):
        await process.follow()
        asked.append(len([url for url in upstream.asked if "/data/" in url]))

    assert [3, 5, 5] == asked
