"""What is logged about the upstreams at start."""

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from nugetproxy.config import Config
from nugetproxy.runtime.first_contacts import tell_first_contacts
from tests.fakes import faults
from tests.fakes.upstream import FakeUpstream
from tests.ports import dead_port
from tests.runtime.serving import eventually, serving


async def told(data: Path, *upstreams: str, workers: int = 1, mode: str = "online") -> list[MutableMapping[str, Any]]:
    """The events of a start with this many workers."""
    config = Config.model_validate(
        {
            "storage": {"path": str(data)},
            "mirroring": {"mode": mode, "upstream": [{"service_index": url} for url in upstreams]},
        }
    )
    with capture_logs() as logs:
        starting = [asyncio.create_task(tell_first_contacts(config, "t", {})) for _ in range(workers)]
        done = len(upstreams) if mode == "online" else 0
        async with asyncio.timeout(10):
            while len(logs) < done or not all(each.done() for each in starting[1:]):
                await asyncio.sleep(0.01)
        for each in starting:
            each.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
    return logs


async def test_each_upstream_is_logged(upstream, tmp_path):
    async with FakeUpstream() as closed:
        closed.fault("*", faults.status(401))
        events = await told(tmp_path, upstream.url, closed.url)

    by_name = {event["event"]: event for event in events}
    assert (by_name["upstream_usable"]["log_level"], by_name["upstream_usable"]["service_index"]) == (
        "info",
        upstream.url,
    )
    unusable = by_name["upstream_unusable"]
    assert (unusable["log_level"], unusable["why"]) == ("warning", "answered 401 Unauthorized")
    assert "password_file" in unusable["remedy"]


async def test_of_several_workers_one_asks(upstream, tmp_path):
    events = await told(tmp_path, upstream.url, workers=4)

    assert [event["event"] for event in events] == ["upstream_usable"]
    assert upstream.requests_for("*") == 1


async def test_nothing_is_asked_when_offline(upstream, tmp_path):
    assert await told(tmp_path, upstream.url, mode="offline") == []
    assert upstream.connections == 0


async def test_the_next_start_asks_again(upstream, tmp_path):
    await told(tmp_path, upstream.url)
    await told(tmp_path, upstream.url)

    assert upstream.requests_for("*") == 2


def test_a_server_of_two_workers_says_once_that_its_upstream_is_not_there(tmp_path):
    arguments = ("--workers", "2", "--upstream")
    with (
        dead_port() as port,
        serving(tmp_path / "kept", *arguments, f"http://127.0.0.1:{port}/v3/index.json", application=None) as served,
    ):
        eventually(lambda: "upstream_unusable" in served.log, "the warning")
        eventually(lambda: len(served.workers()) == 2, "the second worker")

    [line] = [line for line in served.log.splitlines() if "upstream_unusable" in line]
    assert "Connection refused" in line
    assert "check host and port" in line
