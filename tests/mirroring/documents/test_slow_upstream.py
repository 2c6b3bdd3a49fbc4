"""What is served while an upstream is slow, in trouble or dead."""

import asyncio
from dataclasses import replace

import pytest

from nugetproxy.errors import (
    UpstreamNonsense,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from nugetproxy.httpcache.decisions import Health
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.httpcache.outcome import Outcome
from tests.httpcache.documents import a_document
from tests.mirroring.documents.world import (
    BODY,
    DOWN,
    KIND,
    URL,
    a_kept,
    until,
)


async def test_after_the_patience_the_stale_copy_is_served_and_refreshed_in_the_background(world, impatient, upstream):
    await world.keep(a_kept(age=100))
    upstream.may_answer.clear()
    document = await impatient.get(upstream, URL, KIND)
    assert (
        document.body,
        document.provenance.outcome,
        document.provenance.detail,
    ) == (b"kept", Outcome.STALE, "upstream-late")

    upstream.may_answer.set()
    await until(lambda: world.kept().body == BODY)
    assert upstream.requests == 1


async def test_one_late_answer_spares_the_others_their_wait(world, impatient, upstream):
    """
    Once a response is overdue, other stale documents are served immediately and refreshed in the background.
    """
    for n in range(5):
        await world.keep(a_document(url=f"{URL}/{n}", age=100, body=b"kept"))
    upstream.may_answer.clear()
    await impatient.get(upstream, f"{URL}/0", KIND)
    details = [(await impatient.get(upstream, f"{URL}/{n}", KIND)).provenance.detail for n in range(1, 5)]
    assert details == ["revalidating"] * 4

    upstream.may_answer.set()
    await until(lambda: world.kept(f"{URL}/4").body == BODY)
    assert upstream.requests == 5


async def test_a_callers_own_limit_does_not_make_the_upstream_overdue(world, impatient, upstream):
    await world.keep(a_kept(age=100))
    upstream.may_answer.clear()
    with pytest.raises(UpstreamTimeout):
        await impatient.get(upstream, URL + "/search", DocumentKind.SEARCH, timeout=0.02)

    assert (await impatient.get(upstream, URL, KIND)).provenance.detail == "upstream-late"


async def test_within_stale_while_revalidate_nobody_waits(world, upstream):
    world.rule = replace(world.rule, stale_while_revalidate=100)
    documents = world.process()
    await world.keep(a_kept(age=100))
    upstream.may_answer.clear()
    document = await documents.get(upstream, URL, KIND)
    assert (document.body, document.provenance.detail) == (b"kept", "revalidating")

    upstream.may_answer.set()
    await until(lambda: world.kept().body == BODY)


async def test_the_stale_copy_is_served_if_the_upstream_fails(world, documents, upstream):
    await world.keep(a_kept(age=3000))
    upstream.default = DOWN
    document = await documents.get(upstream, URL, KIND)

    assert (
        document.body,
        document.provenance.outcome,
        document.provenance.detail,
    ) == (b"kept", Outcome.STALE, "upstream-failed")


async def test_a_copy_beyond_stale_if_error_is_not_served(world, documents, upstream):
    await world.keep(a_kept(age=4000))
    upstream.default = DOWN

    with pytest.raises(UpstreamUnavailable):
        await documents.get(upstream, URL, KIND)


async def test_without_a_copy_a_failing_upstream_is_reported(documents, upstream):
    upstream.default = DOWN

    with pytest.raises(UpstreamUnavailable):
        await documents.get(upstream, URL, KIND)


async def test_a_dead_upstream_is_not_asked(world, documents, upstream):
    await world.keep(a_kept(age=100))
    upstream.health = Health.DEAD

    assert (await documents.get(upstream, URL, KIND)).provenance.detail == "upstream-away"
    with pytest.raises(UpstreamUnavailable):
        await documents.get(upstream, URL + "/other", KIND)
    assert upstream.requests == 0


async def test_a_suspect_upstream_is_asked_in_the_background(world, documents, upstream):
    await world.keep(a_kept(age=100))
    upstream.health = Health.SUSPECT
    assert (await documents.get(upstream, URL, KIND)).body == b"kept"

    await until(lambda: world.kept().body == BODY)


async def test_a_failed_refresh_is_not_repeated_immediately(world, documents, upstream):
    """
    An upstream that fails immediately is not asked for the same document as often as we are.
    """
    await world.keep(a_kept(age=100))
    upstream.default = UpstreamNonsense("fake", "403")
    for _ in range(20):
        assert (await documents.get(upstream, URL, KIND)).body == b"kept"
        await asyncio.sleep(0)
    assert upstream.requests == 1

    world.clock.now += 3
    await documents.get(upstream, URL, KIND)
    await until(lambda: upstream.requests == 2)


async def test_the_callers_limit_is_observed_and_passed_on(world, documents, upstream):
    upstream.may_answer.clear()
    with pytest.raises(UpstreamTimeout, match=r"0\.02"):
        await documents.get(upstream, URL, KIND, timeout=0.02)

    ((patience, timeout),) = upstream.bounds
    assert patience <= 0.02
    assert timeout == 0.02


async def test_a_caller_with_a_fallback_only_waits_the_patience_while_the_host_is_in_trouble(world, upstream):
    """
    A search can fall back on kept packages; five seconds per query are too long while its host is down.
    """
    world.rule = replace(world.rule, patience=0.02)
    upstream.may_answer.clear()
    upstream.health_of_hosts = Health.SUSPECT
    with pytest.raises(UpstreamTimeout, match=r"0\.02"):
        await world.process().get(upstream, URL, KIND, timeout=5.0)


async def test_a_document_of_a_dead_host_is_not_requested(documents, upstream):
    upstream.health_of_hosts = Health.DEAD
    with pytest.raises(UpstreamUnavailable):
        await documents.get(upstream, URL, KIND)

    assert upstream.requests == 0


@pytest.mark.parametrize(("probed_every", "told"), [(120.0, 120.0), (0.0, None)])
async def test_the_time_of_the_next_probe_of_a_dead_host_is_reported(documents, upstream, probed_every, told):
    upstream.health, upstream.probed_every = Health.DEAD, probed_every
    with pytest.raises(UpstreamUnavailable) as caught:
        await documents.get(upstream, URL, KIND)

    assert caught.value.retry_after == told


async def test_faults_are_bridged_as_long_as_the_settings_say(world, upstream):
    await world.process(patience={"fake": 7.0}).get(upstream, URL, KIND)

    ((patience, _),) = upstream.bounds
    assert 6 < patience <= 7
