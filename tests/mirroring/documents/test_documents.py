"""Documents of an upstream that answers, or is not asked: kept, confirmed, expired, fetched ahead, offline."""

import asyncio
from dataclasses import replace

import pytest

from nugetproxy.errors import (
    DocumentAbsent,
    NotMirrored,
    UpstreamUnavailable,
)
from nugetproxy.httpcache.decisions import Health, Mode
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.httpcache.stored import ReceivedAnswer, Validators
from tests.httpcache.documents import NOON, an_absence
from tests.mirroring.documents.world import (
    BODY,
    DOWN,
    KIND,
    PORTAL,
    URL,
    a_kept,
    readable,
    until,
)

# --- the basics -------------------------------------------------------------------------------------------------------


async def test_a_missing_document_is_fetched_and_kept(world, documents, upstream):
    document = await documents.get(upstream, URL, KIND)

    assert (document.body, document.content_type, document.url) == (BODY, "application/json", URL)
    assert (
        document.provenance.outcome,
        document.provenance.stored,
        document.provenance.fresh_for,
    ) == (Outcome.MISS, True, 60)
    assert world.kept().body == BODY


async def test_a_fresh_document_is_served_without_asking(world, documents, upstream):
    await world.keep(a_kept(age=20))
    document = await documents.get(upstream, URL, KIND)

    assert (
        document.body,
        document.provenance.outcome,
        document.provenance.age,
        document.provenance.fresh_for,
    ) == (b"kept", Outcome.HIT, 20, 40)
    assert upstream.requests == 0


async def test_a_stale_document_is_revalidated(world, documents, upstream):
    await world.keep(a_kept(age=100, etag="0x8D7", last_modified="then"))
    upstream.default = ReceivedAnswer(304)
    document = await documents.get(upstream, URL, KIND)

    assert [(URL, Validators("0x8D7", "then"))] == upstream.asked
    assert (
        document.body,
        document.provenance.outcome,
        document.provenance.age,
        document.confirmed,
    ) == (b"kept", Outcome.REFRESHED, 0, NOON)
    assert (await documents.get(upstream, URL, KIND)).provenance.outcome is Outcome.HIT
    assert world.kept().confirmed == NOON


async def test_a_newer_body_replaces_the_kept_one(world, documents, upstream):
    await world.keep(a_kept(age=100))
    document = await documents.get(upstream, URL, KIND)

    assert (document.body, document.provenance.outcome) == (BODY, Outcome.REFRESHED)
    assert world.kept().body == BODY


async def test_the_digest_identifies_the_body(world, documents, upstream):
    one = await documents.get(upstream, URL, KIND)
    other = await documents.get(upstream, URL + "/other", KIND)

    assert one.digest == other.digest


async def test_an_absence_is_raised_and_cached_for_seconds(world, documents, upstream):
    upstream.default = ReceivedAnswer(404)
    for _ in range(3):
        with pytest.raises(DocumentAbsent):
            await documents.get(upstream, URL, KIND)
    assert upstream.requests == 1

    world.clock.now += 10
    upstream.default = ReceivedAnswer(200, BODY)
    assert (await documents.get(upstream, URL, KIND)).body == BODY


async def test_an_expired_absence_does_not_replace_a_failing_upstream(world, documents, upstream):
    """
    "Does not exist" is final to clients, so after it expires only the upstream may say so.
    """
    upstream.default = ReceivedAnswer(404)
    with pytest.raises(DocumentAbsent):
        await documents.get(upstream, URL, KIND)
    world.clock.now += 11
    upstream.default = DOWN

    with pytest.raises(UpstreamUnavailable):
        await documents.get(upstream, URL, KIND)


# --- doubt and expiry -------------------------------------------------------------------------------------------------


async def test_doubt_asks_once_although_the_copy_is_fresh(world, documents, upstream):
    await world.keep(a_kept(age=20))
    for _ in range(3):
        document = await documents.get(upstream, URL, KIND, doubt=True)

    assert (document.body, upstream.requests) == (BODY, 1)


async def test_doubt_waits_longer_than_patience(world, impatient, upstream):
    await world.keep(a_kept(age=20))
    upstream.may_answer.clear()
    asker = asyncio.ensure_future(impatient.get(upstream, URL, KIND, doubt=True))
    await asyncio.sleep(0.06)
    assert not asker.done()
    upstream.may_answer.set()

    assert (await asker).body == BODY


async def test_unresolved_doubt_is_reported_as_a_stale_outcome(world, documents, upstream):
    await world.keep(a_kept(age=20))
    upstream.default = DOWN
    document = await documents.get(upstream, URL, KIND, doubt=True)

    assert (document.body, document.provenance.outcome) == (b"kept", Outcome.STALE)


async def test_an_expired_document_is_revalidated_and_remains_a_fallback(world, documents, upstream):
    await world.keep(a_kept(age=5))
    documents.expire(URL, "a")
    await until(lambda: documents.peek(URL, KIND).provenance.outcome is Outcome.STALE)
    upstream.default = DOWN
    assert (await documents.get(upstream, URL, KIND)).provenance.outcome is Outcome.STALE
    world.clock.now += 3
    upstream.default = ReceivedAnswer(304)
    assert (await documents.get(upstream, URL, KIND)).provenance.outcome is Outcome.REFRESHED
    assert (await documents.get(upstream, URL, KIND)).provenance.outcome is Outcome.HIT


async def test_expiring_an_unknown_document_is_not_an_error(documents):
    documents.expire(URL, "a")


async def test_another_process_learns_of_an_expiry(world, documents, upstream):
    await world.keep(a_kept(age=5))
    documents.expire(URL, "a")
    await until(lambda: world.kept().expired)

    assert (await world.process().get(upstream, URL, KIND)).body == BODY


# --- offline ----------------------------------------------------------------------------------------------------------


async def test_offline_serves_everything_that_is_kept(world, upstream):
    await world.keep(a_kept(age=1e8))
    document = await world.process(Mode.OFFLINE).get(upstream, URL, KIND, doubt=True)

    assert (
        document.body,
        document.provenance.outcome,
        document.provenance.detail,
    ) == (b"kept", Outcome.STALE, "offline")
    assert upstream.requests == 0


async def test_offline_refuses_documents_that_are_not_kept(world, upstream):
    documents = world.process(Mode.OFFLINE)
    with pytest.raises(NotMirrored):
        await documents.get(upstream, URL, KIND)
    await world.keep(replace(an_absence(), url=URL))
    with pytest.raises(NotMirrored):
        await documents.get(upstream, URL, KIND)
    documents.prefetch(upstream, [URL], KIND)
    await asyncio.sleep(0.01)

    assert upstream.requests == 0


# --- peek and prefetch ------------------------------------------------------------------------------------------------


async def test_peek_never_asks(world, documents, upstream):
    assert documents.peek(URL) is None
    await world.keep(a_kept(age=100))

    assert (
        documents.peek(URL).body,
        documents.peek(URL).provenance.outcome,
        documents.peek(URL).provenance.age,
    ) == (b"kept", Outcome.STALE, 100)
    assert upstream.requests == 0


async def test_peek_reports_freshness_if_it_knows_the_kind(world, documents):
    await world.keep(a_kept(age=20))

    assert (
        documents.peek(URL, KIND).provenance.outcome,
        documents.peek(URL, KIND).provenance.fresh_for,
    ) == (Outcome.HIT, 40)


async def test_peek_ignores_absences(world, documents):
    await world.keep(replace(an_absence(), url=URL))

    assert documents.peek(URL) is None


async def test_fetching_ahead_is_limited_and_joined(world, documents, upstream):
    urls = [f"{URL}/{n}" for n in range(30)]
    upstream.may_answer.clear()
    documents.prefetch(upstream, urls, KIND)
    documents.prefetch(upstream, urls, KIND)
    await until(lambda: upstream.requests == 8)
    await asyncio.sleep(0.02)
    assert upstream.requests == 8
    asker = asyncio.ensure_future(documents.get(upstream, urls[0], KIND))
    late = asyncio.ensure_future(documents.get(upstream, urls[29], KIND))
    await until(lambda: upstream.requests == 9)
    upstream.may_answer.set()

    assert ((await asker).body, (await late).body) == (BODY, BODY)
    await until(lambda: all(documents.peek(url) for url in urls))
    assert upstream.requests == 30


async def test_fetching_ahead_skips_fresh_documents(world, documents, upstream):
    await world.keep(a_kept(age=5))
    documents.prefetch(upstream, [URL, URL + "/other"], KIND)
    await until(lambda: documents.peek(URL + "/other"))

    assert upstream.requests == 1


async def test_a_failure_while_fetching_ahead_reaches_no_caller(world, documents, upstream):
    upstream.default = PORTAL
    documents.prefetch(upstream, [URL], KIND, check=readable)
    await until(lambda: upstream.requests)
    await asyncio.sleep(0.01)
    assert world.kept() is None

    upstream.default = ReceivedAnswer(200, BODY)
    documents.prefetch(upstream, [URL], KIND, check=readable)
    await until(world.kept)


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_closing_cancels_running_fetches(world, upstream):
    documents = world.process()
    await world.keep(a_kept(age=100))
    upstream.may_answer.clear()
    documents.prefetch(upstream, [f"{URL}/{n}" for n in range(20)], KIND)
    waiting = asyncio.ensure_future(documents.get(upstream, URL + "/new", KIND))
    await until(lambda: upstream.requests == 9)
    async with asyncio.timeout(5):
        await documents.close()

    with pytest.raises(UpstreamUnavailable, match="shutting down"):
        await waiting
    assert (await documents.get(upstream, URL, KIND)).provenance.detail == "stopping"
    upstream.health = Health.SUSPECT
    assert (await documents.get(upstream, URL, KIND)).provenance.detail == "revalidating"
