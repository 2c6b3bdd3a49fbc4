"""Unreadable responses, and a store that fails."""

import os

import pytest

from nugetproxy.errors import DocumentAbsent, EmptyDocument, StorageUnavailable, UpstreamNonsense
from nugetproxy.httpcache.freshness import DocumentKind
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.httpcache.stored import ReceivedAnswer
from nugetproxy.storage.documents.hot import HotDocuments
from tests.mirroring.documents.world import BODY, KIND, PORTAL, URL, a_kept, counted, readable

# --- unreadable responses ---------------------------------------------------------------------------------------------


async def test_a_captive_portal_does_not_replace_a_good_document(world, documents, upstream):
    await world.keep(a_kept(age=100))
    upstream.default = PORTAL
    document = await documents.get(upstream, URL, KIND, check=readable)

    assert (document.body, document.provenance.outcome) == (b"kept", Outcome.STALE)
    assert world.kept().body == b"kept"


async def test_a_captive_portal_is_not_kept(world, documents, upstream):
    upstream.default = PORTAL
    with pytest.raises(UpstreamNonsense, match="web page"):
        await documents.get(upstream, URL, KIND, check=readable)

    assert world.kept() is None


async def test_an_unreadable_response_is_fetched_once_more(documents, upstream):
    """
    The fault may be that of a single CDN edge: the caller waits a little longer instead of getting an error.
    """
    good, upstream.default = upstream.default, PORTAL

    def next_edge_is_healthy(body: bytes) -> None:
        upstream.default = good
        readable(body)

    document = await documents.get(upstream, URL, KIND, check=next_edge_is_healthy)

    assert (document.body, upstream.requests) == (BODY, 2)


async def test_an_unreadable_response_is_fetched_at_most_twice(documents, upstream):
    upstream.default = PORTAL
    with pytest.raises(UpstreamNonsense):
        await documents.get(upstream, URL, KIND, check=readable)

    assert upstream.requests == 2


async def test_a_readable_response_is_kept(world, documents, upstream):
    await documents.get(upstream, URL, KIND, check=readable)

    assert world.kept().body == BODY


async def test_not_modified_without_a_copy_is_nonsense(documents, upstream):
    upstream.default = ReceivedAnswer(304)

    with pytest.raises(UpstreamNonsense):
        await documents.get(upstream, URL, KIND)


async def test_a_bug_in_a_check_reaches_the_caller(documents, upstream):
    def broken(_: bytes) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        await documents.get(upstream, URL, KIND, check=broken)


# --- a store that fails -----------------------------------------------------------------------------------------------


class Full(HotDocuments):
    """Nothing can be written, as on a full disk."""

    async def put(self, stored, *, useful_for=None):
        self._hold(stored)
        raise StorageUnavailable("database or disk is full")

    async def confirm(self, stored):
        await self.put(stored)


async def test_a_full_disk_is_counted_and_the_document_served(world, upstream):
    before = counted("nugetproxy_store_failures_total", store="documents")
    documents = world.process(wrap=lambda store: Full(store, 1_000_000))
    document = await documents.get(upstream, URL, KIND)

    assert (document.body, document.provenance.outcome, document.provenance.stored) == (BODY, Outcome.MISS, False)
    assert counted("nugetproxy_store_failures_total", store="documents") == before + 1
    assert (await documents.get(upstream, URL, KIND)).provenance.outcome is Outcome.HIT


async def test_a_confirmation_that_cannot_be_written_is_counted_too(world, upstream):
    await world.keep(a_kept(age=100))
    before = counted("nugetproxy_store_failures_total", store="documents")
    upstream.default = ReceivedAnswer(304)
    document = await world.process(wrap=lambda store: Full(store, 1_000_000)).get(upstream, URL, KIND)

    assert (document.body, document.provenance.outcome) == (b"kept", Outcome.REFRESHED)
    assert counted("nugetproxy_store_failures_total", store="documents") == before + 1


async def test_a_damaged_store_is_a_miss(world, documents, upstream):
    await documents.get(upstream, URL, KIND)
    path = world.path / "documents" / "cache.db"
    path.write_bytes(os.urandom(path.stat().st_size))

    assert (await world.process().get(upstream, URL, KIND)).body == BODY


async def test_persistent_nonsense_is_not_fetched_for_every_caller(world, documents, upstream):
    """
    Twice may be due to two CDN edges; each time it is fetched once more.
    """
    upstream.default = PORTAL
    for _ in range(10):
        with pytest.raises(UpstreamNonsense, match="web page"):
            await documents.get(upstream, URL, KIND, check=readable)
    assert upstream.requests == 4

    world.clock.now += 9
    with pytest.raises(UpstreamNonsense):
        await documents.get(upstream, URL, KIND, check=readable)
    assert upstream.requests == 4

    world.clock.now += 2
    upstream.default = ReceivedAnswer(200, BODY)
    assert (await documents.get(upstream, URL, KIND, check=readable)).body == BODY


def empty(_: bytes) -> None:
    raise EmptyDocument("versions list")


async def test_an_empty_document_is_an_absence(world, documents, upstream):
    for _ in range(2):
        with pytest.raises(DocumentAbsent):
            await documents.get(upstream, URL, KIND, check=empty)

    assert (upstream.requests, world.kept().is_absence) == (1, True)
    assert world.kept().body == b""


async def test_an_empty_document_replaces_a_kept_one(world, documents, upstream):
    """
    As a 404 does.
    """
    await world.keep(a_kept(age=100))

    with pytest.raises(DocumentAbsent):
        await documents.get(upstream, URL, KIND, check=empty)
    assert world.kept().is_absence


async def test_an_empty_document_does_not_replace_one_that_the_upstream_refers_to(world, documents, upstream):
    """
    Without these clients fail every restore, or skip the audit.
    """
    await world.keep(a_kept(age=100))

    document = await documents.get(upstream, URL, DocumentKind.VULNERABILITIES, check=empty)

    assert (document.body, document.provenance.outcome) == (b"kept", Outcome.STALE)
