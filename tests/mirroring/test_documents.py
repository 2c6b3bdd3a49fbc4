import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from nugetproxy.errors import (
    DocumentAbsent,
    NotMirrored,
    StorageUnavailable,
    UnreadableDocument,
    UpstreamNonsense,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from nugetproxy.httpcache.decisions import Health, Mode
from nugetproxy.httpcache.freshness import DocumentKind, FreshnessRule
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.httpcache.stored import ReceivedAnswer, StoredResponse, Validators
from nugetproxy.mirroring.documents import MirroredDocuments
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.documents.hot import HotDocuments
from nugetproxy.storage.leases import Leases
from tests.httpcache.documents import NOON, a_document, a_rule, an_absence

URL = "https://upstream.test/v3-flatcontainer/x/index.json"
KIND = DocumentKind.VERSIONS
BODY = b'{"versions":["1.0.0"]}'


class FakeUpstream:
    """Answers by URL what it was told to, when it was told to, and notes what it was asked."""

    def __init__(self, name="fake"):
        self.name = name
        self.health = Health.GOOD
        self.answers: dict[str, ReceivedAnswer | Exception] = {}
        self.default: ReceivedAnswer | Exception = ReceivedAnswer(200, BODY, "0xE1", "", "application/json")
        self.asked: list[tuple[str, Validators | None]] = []
        self.bounds: list[tuple[float, float | None]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.health_of_hosts = Health.GOOD

    def health_of(self, url: str) -> Health:
        return self.health_of_hosts

    @property
    def requests(self) -> int:
        return len(self.asked)

    async def fetch(
        self, url: str, *, validators: Validators | None = None, patience: float, timeout: float | None = None
    ) -> ReceivedAnswer:
        self.asked.append((url, validators))
        self.bounds.append((patience, timeout))
        await self.may_answer.wait()
        answer = self.answers.get(url, self.default)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class World:
    """A store on disk, and as many processes over it as a test needs (each a MirroredDocuments of its own)."""

    def __init__(self, path):
        self.path = path
        self.clock = Clock()
        self.upstream = FakeUpstream()
        self.rule = a_rule(fresh=60, behind=0, on_error=3600, absent=10, patience=10)
        self._elsewhere = DiskDocuments(path / "documents", 50_000_000)
        self._stores = [self._elsewhere]
        self._processes: list[MirroredDocuments] = []

    def process(
        self,
        mode=Mode.ONLINE,
        *,
        wrap: Callable[[HotDocuments], HotDocuments] = lambda store: store,
        patience: Mapping[str, float] | None = None,
    ) -> MirroredDocuments:
        disk = DiskDocuments(self.path / "documents", 50_000_000)
        rules: dict[DocumentKind, FreshnessRule] = dict.fromkeys(DocumentKind, self.rule)
        self._stores.append(disk)
        self._processes.append(
            MirroredDocuments(
                wrap(HotDocuments(disk, 1_000_000)),
                Leases(self.path / "leases"),
                rules,
                mode,
                self.clock,
                patience=patience,
                ticks=self.clock,
            )
        )
        return self._processes[-1]

    async def keep(self, stored: StoredResponse) -> None:
        await self._elsewhere.put(stored)

    def kept(self, url=URL) -> StoredResponse | None:
        return self._elsewhere.get(url)

    async def close(self) -> None:
        self.upstream.may_answer.set()
        for process in self._processes:
            await process.close()
        for store in self._stores:
            store.close()


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    yield world
    await world.close()


@pytest.fixture
def upstream(world):
    return world.upstream


@pytest.fixture
def documents(world):
    return world.process()


@pytest.fixture
def impatient(world):
    """As `documents`, of a rule under which nobody waits long for a refresh."""
    world.rule = replace(world.rule, patience=0.02)
    return world.process()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


DOWN = UpstreamUnavailable("fake", "refused")


def a_kept(age: float, **more) -> StoredResponse:
    return a_document(url=URL, age=age, body=b"kept", **more)


# --- the plain ways ---------------------------------------------------------------------------------------------------


async def test_what_is_not_kept_is_fetched_and_kept(world, documents, upstream):
    document = await documents.get(upstream, URL, KIND)

    assert (document.body, document.content_type, document.url) == (BODY, "application/json", URL)
    assert (
        document.provenance.outcome,
        document.provenance.stored,
        document.provenance.fresh_for,
    ) == (Outcome.MISS, True, 60)
    assert world.kept().body == BODY


async def test_what_is_fresh_is_served_unasked(world, documents, upstream):
    await world.keep(a_kept(age=20))
    document = await documents.get(upstream, URL, KIND)

    assert (
        document.body,
        document.provenance.outcome,
        document.provenance.age,
        document.provenance.fresh_for,
    ) == (b"kept", Outcome.HIT, 20, 40)
    assert upstream.requests == 0


async def test_what_is_stale_is_asked_about_with_its_validators(world, documents, upstream):
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


async def test_the_digest_names_the_body(world, documents, upstream):
    one = await documents.get(upstream, URL, KIND)
    other = await documents.get(upstream, URL + "/other", KIND)

    assert one.digest == other.digest


async def test_an_absence_is_raised_and_remembered_for_seconds(world, documents, upstream):
    upstream.default = ReceivedAnswer(404)
    for _ in range(3):
        with pytest.raises(DocumentAbsent):
            await documents.get(upstream, URL, KIND)
    assert upstream.requests == 1

    world.clock.now += 10
    upstream.default = ReceivedAnswer(200, BODY)
    assert (await documents.get(upstream, URL, KIND)).body == BODY


async def test_an_absence_is_no_answer_to_a_failing_upstream(world, documents, upstream):
    """
    "Does not exist" is final to clients, so past its time only the upstream may say it.
    """
    upstream.default = ReceivedAnswer(404)
    with pytest.raises(DocumentAbsent):
        await documents.get(upstream, URL, KIND)
    world.clock.now += 11
    upstream.default = DOWN

    with pytest.raises(UpstreamUnavailable):
        await documents.get(upstream, URL, KIND)


# --- doubt and expiry -------------------------------------------------------------------------------------------------


async def test_doubt_asks_although_fresh_and_once(world, documents, upstream):
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


async def test_doubt_that_cannot_be_settled_is_told_by_a_stale_outcome(world, documents, upstream):
    await world.keep(a_kept(age=20))
    upstream.default = DOWN
    document = await documents.get(upstream, URL, KIND, doubt=True)

    assert (document.body, document.provenance.outcome) == (b"kept", Outcome.STALE)


async def test_an_expired_document_is_asked_about_and_may_stand_in(world, documents, upstream):
    await world.keep(a_kept(age=5))
    documents.expire(URL)
    await until(lambda: documents.peek(URL, KIND).provenance.outcome is Outcome.STALE)
    upstream.default = DOWN
    assert (await documents.get(upstream, URL, KIND)).provenance.outcome is Outcome.STALE
    world.clock.now += 3
    upstream.default = ReceivedAnswer(304)
    assert (await documents.get(upstream, URL, KIND)).provenance.outcome is Outcome.REFRESHED
    assert (await documents.get(upstream, URL, KIND)).provenance.outcome is Outcome.HIT


async def test_expiring_nothing_is_no_error(documents):
    documents.expire(URL)


async def test_another_process_learns_of_an_expiry(world, documents, upstream):
    await world.keep(a_kept(age=5))
    documents.expire(URL)
    await until(lambda: world.kept().expired)

    assert (await world.process().get(upstream, URL, KIND)).body == BODY


# --- a slow or failing upstream ---------------------------------------------------------------------------------------


async def test_past_patience_the_stale_copy_is_served_and_the_refresh_lands_behind(world, impatient, upstream):
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
    Once an answer is overdue, further stale impatient are served at once and refreshed behind, until an answer comes.
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


async def test_a_callers_own_bound_does_not_make_the_upstream_overdue(world, impatient, upstream):
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


async def test_a_failing_upstream_is_replaced_by_the_stale_copy(world, documents, upstream):
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


async def test_nothing_kept_and_a_failing_upstream_is_its_failure(documents, upstream):
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


async def test_a_suspect_upstream_is_asked_behind(world, documents, upstream):
    await world.keep(a_kept(age=100))
    upstream.health = Health.SUSPECT
    assert (await documents.get(upstream, URL, KIND)).body == b"kept"

    await until(lambda: world.kept().body == BODY)


async def test_a_failed_refresh_rests(world, documents, upstream):
    """
    An upstream that fails at once is not asked about the same document as often as we are.
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


async def test_the_callers_bound_is_kept_and_passed_on(world, documents, upstream):
    upstream.may_answer.clear()
    with pytest.raises(UpstreamTimeout, match=r"0\.02"):
        await documents.get(upstream, URL, KIND, timeout=0.02)

    ((patience, timeout),) = upstream.bounds
    assert patience <= 0.02
    assert timeout == 0.02


async def test_who_can_do_without_waits_only_the_patience_while_its_host_is_in_trouble(world, upstream):
    """
    A search has the kept packages to fall back on; five seconds for each query are too long while its host is away.
    """
    world.rule = replace(world.rule, patience=0.02)
    upstream.may_answer.clear()
    upstream.health_of_hosts = Health.SUSPECT
    with pytest.raises(UpstreamTimeout, match=r"0\.02"):
        await world.process().get(upstream, URL, KIND, timeout=5.0)


async def test_a_document_of_a_dead_host_is_not_asked_for(documents, upstream):
    upstream.health_of_hosts = Health.DEAD
    with pytest.raises(UpstreamUnavailable):
        await documents.get(upstream, URL, KIND)

    assert upstream.requests == 0


async def test_faults_are_bridged_as_long_as_the_upstreams_settings_say(world, upstream):
    await world.process(patience={"fake": 7.0}).get(upstream, URL, KIND)

    ((patience, _),) = upstream.bounds
    assert 6 < patience <= 7


# --- unreadable answers -----------------------------------------------------------------------------------------------


def readable(body: bytes) -> None:
    if not body.startswith(b"{"):
        raise UnreadableDocument("versions list", "it is a web page")


PORTAL = ReceivedAnswer(200, b"<html>please log in</html>", "", "", "text/html")


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


async def test_an_unreadable_answer_is_asked_for_once_more(documents, upstream):
    """
    The fault may lie with one edge of a network: the asker is held a little longer instead of being given an error.
    """
    good, upstream.default = upstream.default, PORTAL

    def next_edge_is_healthy(body: bytes) -> None:
        upstream.default = good
        readable(body)

    document = await documents.get(upstream, URL, KIND, check=next_edge_is_healthy)

    assert (document.body, upstream.requests) == (BODY, 2)


async def test_an_unreadable_answer_is_asked_for_no_more_than_twice(documents, upstream):
    upstream.default = PORTAL
    with pytest.raises(UpstreamNonsense):
        await documents.get(upstream, URL, KIND, check=readable)

    assert upstream.requests == 2


async def test_a_readable_answer_is_kept(world, documents, upstream):
    await documents.get(upstream, URL, KIND, check=readable)

    assert world.kept().body == BODY


async def test_not_modified_about_nothing_is_nonsense(documents, upstream):
    upstream.default = ReceivedAnswer(304)

    with pytest.raises(UpstreamNonsense):
        await documents.get(upstream, URL, KIND)


async def test_a_fault_of_a_check_reaches_the_asker(documents, upstream):
    def broken(_: bytes) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        await documents.get(upstream, URL, KIND, check=broken)


# --- one fetch for all ------------------------------------------------------------------------------------------------


async def test_fifty_askers_of_one_process_are_one_request(documents, upstream):
    before = counted("nugetproxy_coalesced_total", kind="document")
    upstream.may_answer.clear()
    askers = [asyncio.ensure_future(documents.get(upstream, URL, KIND)) for _ in range(50)]
    await until(lambda: upstream.requests)
    upstream.may_answer.set()

    assert {BODY} == {document.body for document in await asyncio.gather(*askers)}
    assert (upstream.requests, counted("nugetproxy_coalesced_total", kind="document") - before) == (1, 49)


async def test_askers_of_many_processes_are_one_request(world, upstream):
    processes = [world.process() for _ in range(4)]
    upstream.may_answer.clear()
    askers = [asyncio.ensure_future(process.get(upstream, URL, KIND)) for process in processes for _ in range(5)]
    await until(lambda: upstream.requests)
    await asyncio.sleep(0.05)
    upstream.may_answer.set()

    assert {BODY} == {document.body for document in await asyncio.gather(*askers)}
    assert upstream.requests == 1


async def test_processes_that_refresh_the_same_are_one_request(world, upstream):
    await world.keep(a_kept(age=4000))
    processes = [world.process() for _ in range(4)]
    upstream.default = ReceivedAnswer(304)
    documents = await asyncio.gather(*(process.get(upstream, URL, KIND) for process in processes))

    assert {(b"kept", Outcome.REFRESHED)} == {(d.body, d.provenance.outcome) for d in documents}
    assert upstream.requests == 1


async def test_an_absence_is_found_by_the_other_processes(world, upstream):
    processes = [world.process() for _ in range(3)]
    upstream.default = ReceivedAnswer(404)
    results = await asyncio.gather(*(process.get(upstream, URL, KIND) for process in processes), return_exceptions=True)

    assert [DocumentAbsent] * 3 == [type(result) for result in results]
    assert upstream.requests == 1


async def test_what_another_process_refreshed_is_not_asked_again(world, upstream):
    """
    The hot copy of a process is stale when another one has long refreshed the document.
    """
    first, second = world.process(), world.process()
    await first.get(upstream, URL, KIND)
    await second.get(upstream, URL, KIND)
    world.clock.now += 100
    await first.get(upstream, URL, KIND)
    document = await second.get(upstream, URL, KIND)

    assert (upstream.requests, document.provenance.outcome) == (2, Outcome.HIT)


async def test_a_failure_is_not_repeated_for_long_by_waiting_processes(world, upstream):
    """
    What a process waited for another's failed fetch is taken from its own patience, so all are done in bounded time.
    """
    processes = [world.process(patience={"fake": 0.2}) for _ in range(4)]

    async def fail_late(url, *, validators=None, patience, timeout=None):
        upstream.bounds.append((patience, timeout))
        await asyncio.sleep(patience)
        raise DOWN

    upstream.fetch = fail_late
    async with asyncio.timeout(2):
        results = await asyncio.gather(
            *(process.get(upstream, URL, KIND) for process in processes), return_exceptions=True
        )

    assert [UpstreamUnavailable] * 4 == [type(result) for result in results]
    assert sorted(patience <= 0.15 for patience, _ in upstream.bounds) == [False, True, True, True]


async def test_a_leaving_asker_does_not_stop_the_fetch(world, documents, upstream):
    upstream.may_answer.clear()
    asker = asyncio.ensure_future(documents.get(upstream, URL, KIND))
    await until(lambda: upstream.requests)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    upstream.may_answer.set()

    await until(lambda: world.kept() is not None)


_KILLED = """
import asyncio, sys
from pathlib import Path
from nugetproxy.storage.leases import Leases
async def main():
    async with Leases(Path(sys.argv[1])).hold(sys.argv[2]):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_process_killed_while_it_fetches_blocks_nobody(world, documents, upstream):
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, str(world.path / "leases"), f"document {URL}", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"held\n"
        asker = asyncio.ensure_future(documents.get(upstream, URL, KIND))
        await asyncio.sleep(0.05)
        assert not asker.done()
    finally:
        holder.kill()
        await holder.communicate()

    async with asyncio.timeout(5):
        assert (await asker).body == BODY


async def test_a_holder_that_hangs_is_passed_in_the_end(world, upstream):
    documents = world.process(patience={"fake": 0.1})
    async with Leases(world.path / "leases").hold(f"document {URL}"), asyncio.timeout(5):
        assert (await documents.get(upstream, URL, KIND)).body == BODY


# --- offline ----------------------------------------------------------------------------------------------------------


async def test_offline_serves_whatever_is_kept(world, upstream):
    await world.keep(a_kept(age=1e8))
    document = await world.process(Mode.OFFLINE).get(upstream, URL, KIND, doubt=True)

    assert (
        document.body,
        document.provenance.outcome,
        document.provenance.detail,
    ) == (b"kept", Outcome.STALE, "offline")
    assert upstream.requests == 0


async def test_offline_refuses_what_is_not_kept(world, upstream):
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


async def test_peek_tells_freshness_when_it_knows_the_kind(world, documents):
    await world.keep(a_kept(age=20))

    assert (
        documents.peek(URL, KIND).provenance.outcome,
        documents.peek(URL, KIND).provenance.fresh_for,
    ) == (Outcome.HIT, 40)


async def test_peek_sees_no_absence(world, documents):
    await world.keep(replace(an_absence(), url=URL))

    assert documents.peek(URL) is None


async def test_fetching_ahead_is_bounded_and_joined(world, documents, upstream):
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


async def test_fetching_ahead_leaves_what_is_fresh(world, documents, upstream):
    await world.keep(a_kept(age=5))
    documents.prefetch(upstream, [URL, URL + "/other"], KIND)
    await until(lambda: documents.peek(URL + "/other"))

    assert upstream.requests == 1


async def test_a_failure_ahead_is_nobodys(world, documents, upstream):
    upstream.default = PORTAL
    documents.prefetch(upstream, [URL], KIND, check=readable)
    await until(lambda: upstream.requests)
    await asyncio.sleep(0.01)
    assert world.kept() is None

    upstream.default = ReceivedAnswer(200, BODY)
    documents.prefetch(upstream, [URL], KIND, check=readable)
    await until(world.kept)


# --- a store that fails -----------------------------------------------------------------------------------------------


class Full(HotDocuments):
    """Nothing can be written, as on a full disk."""

    async def put(self, stored, *, useful_for=None):
        self._hold(stored)
        raise StorageUnavailable("database or disk is full")

    async def confirm(self, stored):
        await self.put(stored)


async def test_a_full_disk_is_counted_and_the_answer_served(world, upstream):
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


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_closing_ends_what_is_under_way(world, upstream):
    documents = world.process()
    await world.keep(a_kept(age=100))
    upstream.may_answer.clear()
    documents.prefetch(upstream, [f"{URL}/{n}" for n in range(20)], KIND)
    waiting = asyncio.ensure_future(documents.get(upstream, URL + "/new", KIND))
    await until(lambda: upstream.requests == 9)
    async with asyncio.timeout(5):
        await documents.close()

    with pytest.raises(UpstreamUnavailable, match="stopping"):
        await waiting
    assert (await documents.get(upstream, URL, KIND)).provenance.detail == "stopping"
    upstream.health = Health.SUSPECT
    assert (await documents.get(upstream, URL, KIND)).provenance.detail == "revalidating"
