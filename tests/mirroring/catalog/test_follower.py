"""Following a catalog: what is expired, what stays fresh, where reading goes on. Faults have a file of their own."""

import pytest
from structlog.testing import capture_logs

from nugetproxy.mirroring.catalog.follower import CLOCK_MARGIN, PAGES
from tests.fakes.catalog import Event
from tests.httpcache.documents import NOON
from tests.mirroring.catalog.world import FRESH, INTERVAL

HOUR = 3_600.0


async def test_a_document_stays_fresh_for_hours_while_the_catalog_is_followed(world, process):
    await process.settled()
    await process.versions("contoso.base")
    for _ in range(5):
        world.now += 2 * HOUR
        await process.follow()
        assert (["1.0.0"], True) == await process.versions("contoso.base")


async def test_it_is_revalidated_after_that(world, process):
    await process.settled()
    await process.versions("contoso.base")
    world.now += FRESH + 1
    await process.follow()

    assert (["1.0.0"], False) == await process.versions("contoso.base")


async def test_it_is_revalidated_as_before_once_the_catalog_is_no_longer_followed(world, process):
    await process.settled()
    await process.versions("contoso.base")
    world.now += 3 * INTERVAL - 1
    assert (["1.0.0"], True) == await process.versions("contoso.base")
    world.now += 2

    assert (["1.0.0"], False) == await process.versions("contoso.base")


async def test_a_new_version_is_seen_after_one_poll(world, upstream, process):
    await process.follow()
    await process.versions("contoso.base")
    world.now += HOUR
    await process.follow()
    upstream.publish("Contoso.Base", "2.0.0", world.now)
    await process.follow()

    assert (["1.0.0", "2.0.0"], False) == await process.versions("contoso.base")
    assert {"contoso.base"} in process.changed


async def test_only_documents_of_that_id_are_expired(world, upstream, process):
    upstream.versions["contoso.base.more"] = upstream.versions["contoso"] = ["1.0.0"]
    names = ("contoso", "contoso.base", "contoso.base.more")
    for name in names:
        await process.versions(name)
    await process.follow()
    world.now += HOUR
    upstream.publish("CONTOSO.Base", "2.0.0", world.now)
    await process.follow()

    assert [True, False, True] == [(await process.versions(name))[1] for name in names]


async def test_documents_that_follow_their_event_later_are_expired_again(world, upstream, process):
    """
    On nuget.org the catalog is first: lists and registrations follow after minutes.
    """
    await process.versions("contoso.base")
    await process.follow()
    upstream.publish("Contoso.Base", "2.0.0", world.now, is_listed=False)
    await process.follow()
    assert (["1.0.0"], False) == await process.versions("contoso.base")
    upstream.versions["contoso.base"].append("2.0.0")
    world.now += INTERVAL
    await process.follow()

    assert (["1.0.0", "2.0.0"], False) == await process.versions("contoso.base")


async def test_documents_are_expired_less_often_the_older_the_event_is(world, upstream, process):
    await process.settled()
    upstream.publish("Contoso.Base", "2.0.0", world.now)
    asked = 0
    for _ in range(60):
        await process.follow()
        asked += not (await process.versions("contoso.base"))[1]
        world.now += INTERVAL

    assert 20 <= asked <= 27


async def test_an_event_settles(world, upstream, process):
    await process.follow()
    upstream.publish("Contoso.Base", "2.0.0", world.now)
    for _ in range(3):
        world.now += 1_900
        await process.follow()
    await process.versions("contoso.base")
    world.now += INTERVAL
    await process.follow()

    assert (["1.0.0", "2.0.0"], True) == await process.versions("contoso.base")


async def test_an_event_that_no_document_shows_does_not_settle(world, upstream, process):
    """
    On a bad day lists follow the catalog hours later. What appears late is seen late by an eighth at most.
    """
    await process.settled()
    upstream.publish("Contoso.Base", "2.0.0", world.now, is_listed=False)
    for _ in range(5):
        world.now += 2 * HOUR
        await process.follow()
        await process.versions("contoso.base")
    upstream.versions["contoso.base"].append("2.0.0")
    world.now += 10 * HOUR / 8
    await process.follow()
    assert (["1.0.0", "2.0.0"], False) == await process.versions("contoso.base")
    world.now += 12 * HOUR / 8
    await process.follow()
    await process.versions("contoso.base")
    world.now += INTERVAL
    await process.follow()

    assert (["1.0.0", "2.0.0"], True) == await process.versions("contoso.base")


async def test_a_deletion_that_no_document_shows_does_not_settle(world, upstream, process):
    upstream.versions["contoso.base"].append("2.0.0")
    await process.settled()
    upstream.catalog.add(world.now, "Contoso.Base", "2.0.0", is_delete=True)
    world.now += 2 * HOUR
    await process.follow()
    await process.versions("contoso.base")
    upstream.versions["contoso.base"].pop()
    world.now += INTERVAL
    await process.follow()

    assert (["1.0.0"], False) == await process.versions("contoso.base")


async def test_an_event_settles_after_a_day_in_any_case(world, upstream, process):
    await process.settled()
    upstream.catalog.add(world.now, "Contoso.Base", "9.9.9")
    for hours in (0, 12, 13):
        world.now += hours * HOUR
        await process.follow()
    await process.versions("contoso.base")
    world.now += INTERVAL
    await process.follow()

    assert (["1.0.0"], True) == await process.versions("contoso.base")


async def test_documents_that_live_longer_than_before_need_more_of_the_catalog(world, upstream, process):
    """
    A document that is still fresh under the new settings may lack an event from before the first contact.
    """
    upstream.catalog.pages = [[Event(NOON - FRESH - 2 * HOUR, "Contoso.Base", "1.0.0")], []]
    upstream.catalog.add(NOON, "Other")
    await process.follow()
    assert upstream.catalog.page_url(0) not in upstream.asked
    other = world.process()
    other.follower._fresh = 2 * FRESH
    await other.follow()

    assert upstream.catalog.page_url(0) in upstream.asked


async def test_the_first_contact_reads_what_documents_may_depend_on_and_no_more(world, upstream, process):
    """
    From 2015 on there are millions of events.
    """
    ages = (FRESH + CLOCK_MARGIN + 60, FRESH + CLOCK_MARGIN - 60, 0)
    upstream.catalog.pages = [[Event(NOON - age, "Contoso.Base", "1.0.0")] for age in ages]
    await process.follow()

    assert [upstream.catalog.page_url(1), upstream.catalog.page_url(2)] == upstream.catalog_requests()[1:]


async def test_pages_in_any_order_and_overlapping_in_time(world, upstream, process):
    upstream.versions |= {f"id{number}": ["1.0.0"] for number in range(6)}
    await process.follow()
    for number in range(6):
        await process.versions(f"id{number}")
    world.now += HOUR
    newest_first = [NOON + HOUR - age for age in (1, 5, 2, 4, 3, 6)]
    events = [Event(time, f"Id{number}", "1.0.0") for number, time in enumerate(newest_first)]
    upstream.catalog.pages += [events[at::3] for at in range(3)]
    await process.follow()

    assert [False] * 6 == [(await process.versions(f"id{number}"))[1] for number in range(6)]


async def test_an_unchanged_catalog_costs_one_request(upstream, process):
    await process.follow()
    upstream.asked.clear()
    await process.follow()

    assert [upstream.catalog.url] == upstream.asked


async def test_a_long_backlog_is_read_in_bounded_polls(world, upstream, process):
    """
    Until all of it is read, documents live as without a catalog.
    """
    await process.follow()
    await process.versions("contoso.base")
    world.now += 2 * HOUR
    for number in range(PAGES + 5):
        upstream.catalog.pages.append([])
        upstream.catalog.add(NOON + number, f"Id{number}")
    upstream.asked.clear()
    assert not await process.follower.poll()
    assert PAGES + 1 == len(upstream.catalog_requests())
    assert not (await process.versions("contoso.base"))[1]
    assert await process.follower.poll()
    assert PAGES + 6 == len(upstream.catalog_requests())


async def test_another_process_sees_the_change_in_its_memory(world, upstream, process):
    other = world.process()
    await process.settled()
    await other.versions("contoso.base")
    world.now += HOUR
    await process.follow()
    assert (await other.versions("contoso.base"))[1]
    upstream.publish("Contoso.Base", "2.0.0", world.now)
    await process.follow()

    assert (["1.0.0", "2.0.0"], False) == await other.versions("contoso.base")


class TestGoingOn:
    """Another follower continues where the last one stopped, however it stopped."""

    async def test_without_reading_again_what_was_read(self, world, upstream, process):
        await process.settled()
        upstream.catalog.pages.append([])
        upstream.catalog.add(world.now, "Other")
        upstream.asked.clear()
        await world.process().follow()

        assert upstream.catalog.page_url(0) not in upstream.asked

    async def test_what_came_meanwhile_is_applied(self, world, upstream, process):
        await process.follow()
        await process.versions("contoso.base")
        world.now += HOUR
        upstream.publish("Contoso.Base", "2.0.0", world.now - 60)
        other = world.process()
        await other.follow()

        assert (["1.0.0", "2.0.0"], False) == await other.versions("contoso.base")

    async def test_events_that_had_not_settled_are_applied_again(self, world, upstream, process):
        await process.follow()
        upstream.publish("Contoso.Base", "2.0.0", world.now, is_listed=False)
        await process.follow()
        await process.versions("contoso.base")
        upstream.versions["contoso.base"].append("2.0.0")
        other = world.process()
        await other.follow()

        assert (["1.0.0", "2.0.0"], False) == await other.versions("contoso.base")

    async def test_what_was_expired_but_not_announced_is_announced(self, world, upstream, process):
        """
        Killed between the two, it left other processes with outdated answers in memory.
        """
        await process.follow()
        await process.versions("contoso.base")
        upstream.publish("Contoso.Base", "2.0.0", world.now)
        await process.source.expire_about(["contoso.base"])
        other = world.process()
        await other.follow()

        assert "contoso.base" in other.changed[0]

    async def test_what_was_not_applied_before_a_kill_is_applied(self, world, upstream, process, monkeypatch):
        await process.follow()
        await process.versions("contoso.base")
        upstream.publish("Contoso.Base", "2.0.0", world.now)
        monkeypatch.setattr(process.follower, "_apply", _killed)
        with pytest.raises(KeyboardInterrupt):
            await process.follow()
        other = world.process()
        await other.follow()

        assert (["1.0.0", "2.0.0"], False) == await other.versions("contoso.base")

    async def test_after_a_very_long_pause_only_what_documents_may_depend_on_is_read(self, world, upstream, process):
        await process.follow()
        for days in (10, 39, 40):
            upstream.catalog.pages.append([])
            upstream.catalog.add(NOON + days * 86_400, "Other")
        world.now += 40 * 86_400
        upstream.asked.clear()
        with capture_logs() as logs:
            await world.process().follow()

        assert [upstream.catalog.page_url(3)] == [url for url in upstream.asked if "page" in url]
        assert "catalog_skipped" in [each["event"] for each in logs]


async def _killed(*_: object) -> None:
    raise KeyboardInterrupt
