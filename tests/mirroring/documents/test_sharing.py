"""One fetch for all callers that want a document, within one process and across processes."""

import asyncio
import sys

import pytest

from nugetproxy.errors import (
    DocumentAbsent,
    UpstreamUnavailable,
)
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.httpcache.stored import ReceivedAnswer
from nugetproxy.storage.leases import Leases
from tests.mirroring.documents.world import (
    BODY,
    DOWN,
    KIND,
    URL,
    a_kept,
    counted,
    until,
)


async def test_fifty_callers_in_one_process_make_one_request(documents, upstream):
    before = counted("nugetproxy_coalesced_total", kind="document")
    upstream.may_answer.clear()
    askers = [asyncio.ensure_future(documents.get(upstream, URL, KIND)) for _ in range(50)]
    await until(lambda: upstream.requests)
    upstream.may_answer.set()

    assert {BODY} == {document.body for document in await asyncio.gather(*askers)}
    assert (upstream.requests, counted("nugetproxy_coalesced_total", kind="document") - before) == (1, 49)


async def test_callers_in_many_processes_make_one_request(world, upstream):
    processes = [world.process() for _ in range(4)]
    upstream.may_answer.clear()
    askers = [asyncio.ensure_future(process.get(upstream, URL, KIND)) for process in processes for _ in range(5)]
    await until(lambda: upstream.requests)
    await asyncio.sleep(0.05)
    upstream.may_answer.set()

    assert {BODY} == {document.body for document in await asyncio.gather(*askers)}
    assert upstream.requests == 1


async def test_processes_that_refresh_the_same_document_make_one_request(world, upstream):
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


async def test_a_document_refreshed_by_another_process_is_not_requested_again(world, upstream):
    """
    The hot copy of a process is stale although another process has already refreshed the document.
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
    Time spent waiting for another process's failed fetch counts against a process's own patience: all end in bounded
    time.
    """
    processes = [world.process(patience={"fake": 1.0}) for _ in range(4)]

    async def fail_late(url, *, validators=None, patience, timeout=None):
        upstream.bounds.append((patience, timeout))
        await asyncio.sleep(patience)
        raise DOWN

    upstream.fetch = fail_late
    async with asyncio.timeout(30):
        results = await asyncio.gather(
            *(process.get(upstream, URL, KIND) for process in processes), return_exceptions=True
        )

    assert [UpstreamUnavailable] * 4 == [type(result) for result in results]
    assert sorted(patience <= 0.5 for patience, _ in upstream.bounds) == [False, True, True, True]


async def test_a_cancelled_caller_does_not_stop_the_fetch(world, documents, upstream):
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


async def test_a_process_killed_during_a_fetch_blocks_no_other(world, documents, upstream):
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


async def test_a_hanging_holder_is_bypassed_eventually(world, upstream):
    documents = world.process(patience={"fake": 0.1})
    async with Leases(world.path / "leases").hold(f"document {URL}"), asyncio.timeout(5):
        assert (await documents.get(upstream, URL, KIND)).body == BODY
