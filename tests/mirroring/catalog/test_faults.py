"""A catalog that fails, lies or is replaced: never a wrong freshness, never an endless loop."""

import pytest
from structlog.testing import capture_logs

from nugetproxy.errors import StorageUnavailable, UpstreamError
from nugetproxy.httpcache.stored import ReceivedAnswer
from nugetproxy.mirroring.catalog import backlog
from nugetproxy.mirroring.catalog.follower import OLDER, REPLACEMENTS
from tests.fakes.catalog import Event
from tests.httpcache.documents import NOON
from tests.mirroring.catalog.world import DOWN, INTERVAL, PORTAL

HOUR = 3_600.0

FAULTS = {
    "500": DOWN,
    "404": ReceivedAnswer(404),
    "a captive portal": PORTAL,
    "truncated": lambda body: body[: len(body) // 2],
    "fewer items than stated": lambda body: body.replace(b'"count": ', b'"count": 9'),
    "an item without id": lambda body: body.replace(b'"nuget:id"', b'"x"').replace(b'"@id"', b'"y"'),
    "an item without time": lambda body: body.replace(b"commitTimeStamp", b"x"),
    "a time that is none": lambda body: body.replace(b"T22:", b"T99:").replace(b"T23:", b"T99:"),
    "empty": lambda body: b"",
    "an array": lambda body: b"[]",
}


@pytest.mark.parametrize("where", ["index", "page"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_counts_as_read_that_was_not(world, upstream, process, where, fault):
    await process.follow()
    await process.versions("contoso.base")
    before = process.record.find("up")
    world.now += HOUR
    upstream.publish("Contoso.Base", "2.0.0", world.now)
    upstream.faults[upstream.catalog.url if where == "index" else upstream.catalog.page_url(0)] = FAULTS[fault]
    upstream.asked.clear()
    with pytest.raises(UpstreamError):
        await process.follow()
    assert before == process.record.find("up")
    assert len(upstream.asked) <= 3
    upstream.faults.clear()
    await process.follow()

    assert (["1.0.0", "2.0.0"], False) == await process.versions("contoso.base")


async def test_a_page_older_than_its_index_is_not_taken_for_the_whole(world, upstream, process):
    """
    One server of a CDN may have the new index and another still the old page.
    """
    await process.follow()
    await process.versions("contoso.base")
    old = upstream.catalog.page(0)
    world.now += HOUR
    upstream.publish("Contoso.Base", "2.0.0", world.now)
    upstream.faults[upstream.catalog.page_url(0)] = lambda _: old
    with pytest.raises(UpstreamError, match="older than its index"):
        await process.follow()
    upstream.faults.clear()
    await process.follow()

    assert (["1.0.0", "2.0.0"], False) == await process.versions("contoso.base")


async def test_a_page_that_grew_after_its_index_was_read(world, upstream, process):
    """
    Its newest items may belong to a commit with further items elsewhere: they are read again in the next round.
    """
    await process.follow()
    upstream.versions["other"] = ["1.0.0"]
    await process.versions("contoso.base")
    await process.versions("other")
    world.now += HOUR
    upstream.publish("Contoso.Base", "2.0.0", world.now - 1)
    index = upstream.catalog.index()
    upstream.catalog.add(world.now, "Other")
    upstream.faults[upstream.catalog.url] = lambda _: index
    await process.follow()
    assert [False, True] == [(await process.versions(name))[1] for name in ("contoso.base", "other")]
    upstream.faults.clear()
    await process.follow()

    assert not (await process.versions("other"))[1]


async def test_an_index_that_is_older_for_a_moment_changes_nothing(world, upstream, process):
    old = upstream.catalog.index()
    upstream.catalog.add(NOON, "Other")
    await process.follow()
    before = process.record.find("up")
    upstream.faults[upstream.catalog.url] = lambda _: old
    with pytest.raises(UpstreamError, match="older than one before"):
        await process.follow()
    upstream.faults.clear()
    await process.follow()

    assert before == process.record.find("up")


async def test_a_catalog_that_jumped_back_is_followed_again_from_before_that(world, upstream, process):
    """
    Restored from a backup, its new events are older than those that were read before.
    """
    upstream.catalog.add(NOON + HOUR, "Other")
    world.now += HOUR
    await process.follow()
    await process.versions("contoso.base")
    upstream.catalog.pages[0].pop()
    upstream.publish("Contoso.Base", "2.0.0", NOON + 60)
    with capture_logs() as logs:
        for _ in range(OLDER - 1):
            with pytest.raises(UpstreamError):
                await process.follow()
        await process.follow()

    assert "catalog_replaced" in [each["event"] for each in logs]
    assert (["1.0.0", "2.0.0"], False) == await process.versions("contoso.base")


async def test_a_replaced_catalog_that_is_further_than_the_old_one(world, upstream, process):
    """
    Nothing in it is older than what was read, but the last event that was read is not in it.
    """
    upstream.catalog.add(NOON, "Other")
    await process.follow()
    await process.versions("contoso.base")
    world.now += HOUR
    upstream.versions["contoso.base"].append("2.0.0")
    upstream.catalog.pages = [[Event(NOON - 60, "Contoso.Base", "2.0.0"), Event(NOON + 60, "Other", "1.0.0")]]
    upstream.catalog.salt = "new "
    with capture_logs() as logs:
        await process.follow()

    assert ["catalog_replaced"] == [each["event"] for each in logs if each["event"].startswith("catalog")]
    assert (["1.0.0", "2.0.0"], False) == await process.versions("contoso.base")


async def test_a_catalog_that_invents_its_commits_is_given_up(world, upstream, process):
    """
    Otherwise days of events would be read again with every poll.
    """
    upstream.catalog.pages = [[Event(NOON - hour * HOUR, "Other", "1.0.0")] for hour in range(10)]
    for number in range(REPLACEMENTS):
        upstream.catalog.salt = f"{number} "
        await process.follow()
        world.now += INTERVAL
    asked = []
    for number in range(10):
        upstream.catalog.salt = f"again {number} "
        upstream.asked.clear()
        try:
            await process.follow()
        except UpstreamError:
            asked.append(len(upstream.asked))

    assert 9 <= len(asked)
    assert {1} == set(asked)


async def test_what_was_expired_before_a_failure_is_announced_after_it(world, upstream, process, monkeypatch):
    await process.settled()
    await process.versions("contoso.base")
    upstream.publish("Contoso.Base", "2.0.0", world.now)
    expire, failures = process.disk.expire, [StorageUnavailable("full")]

    async def expire_and_fail(starts):
        expired = await expire(starts)
        if failures:
            raise failures.pop()
        return expired

    monkeypatch.setattr(process.disk, "expire", expire_and_fail)
    with pytest.raises(StorageUnavailable):
        await process.follow()
    process.changed.clear()
    await process.follow()

    assert [{"contoso.base"}] == process.changed


async def test_another_catalog_is_read_from_its_own_beginning(world, upstream, process):
    await process.follow()
    upstream.catalog.base += "/other"
    world.now += 2 * HOUR
    await process.versions("contoso.base")
    with capture_logs() as logs:
        await process.follow()

    assert ["catalog_followed"] == [each["event"] for each in logs if each["event"].startswith("catalog")]


async def test_an_event_in_the_far_future_hides_none_that_comes_after_it(world, upstream, process):
    upstream.catalog.add(NOON + 10 * 86_400, "Other")
    with pytest.raises(UpstreamError, match="future"):
        await process.follow()


async def test_a_clock_set_back_ends_the_trust(world, upstream, process):
    await process.follow()
    await process.versions("contoso.base")
    world.now -= HOUR

    assert not (await process.versions("contoso.base"))[1]


async def test_a_catalog_without_events_is_not_followed(world, upstream, process):
    """
    Otherwise a feed that has one for form's sake would never show a new version.
    """
    upstream.catalog.pages = [[]]
    await process.versions("contoso.base")
    world.now += INTERVAL
    await process.follow()

    assert not (await process.versions("contoso.base"))[1]


async def test_memory_is_bounded(world, upstream, process, monkeypatch):
    await process.follow()
    monkeypatch.setattr(backlog, "MOST_IDS", 10)
    for number in range(12):
        upstream.catalog.add(NOON + number, f"Id{number}")
    with pytest.raises(UpstreamError, match="too many packages"):
        await process.follow()


async def test_a_document_that_only_this_process_has_is_not_trusted_for_long(world, upstream, process, monkeypatch):
    """
    On a full disk the process that follows could not expire it.
    """
    await process.follow()
    monkeypatch.setattr(process.disk, "_reserve", _Full())
    await process.versions("contoso.base")
    world.now += 70
    await process.follow()

    assert not (await process.versions("contoso.base"))[1]


class _Full:
    def check(self, _: int) -> None:
        raise StorageUnavailable("full")


async def test_a_store_that_cannot_expire_fails_the_poll(world, upstream, process, monkeypatch):
    await process.follow()
    before = process.record.find("up")
    upstream.publish("Contoso.Base", "2.0.0", world.now)
    process.disk.close()
    with pytest.raises(Exception, match="closed"):
        await process.follow()

    assert before == process.record.find("up")
