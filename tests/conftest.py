"""Fixtures shared by the whole suite. Anything a test can build in one call is a builder, not a fixture."""

import logging
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from nugetproxy.executors.threads import ThreadExecutor
from tests.engines.postgres import empty_database, migrated_template, postgres, shared_database
from tests.engines.seaweedfs import bucket, seaweedfs
from tests.fakes.upstream import FakeUpstream

__all__ = ["bucket", "empty_database", "migrated_template", "postgres", "seaweedfs", "shared_database"]
"""Fixtures: engines that are started where a test asks for them."""


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    """A fake V3 upstream on loopback, without packages."""
    async with FakeUpstream() as running:
        yield running


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Logging set up by a test ends with it, so that the next one captures what it expects, in any order."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level


class InspectionInThreads(ThreadExecutor):
    """Where `ProcessExecutor` is expected."""

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def inspections_in_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server or an import in this process inspects packages in threads: starting a process takes longer than most
    tests.

    Tests marked `processes`, and servers in their own processes, use processes as in production.
    """
    parts = sys.modules.get("nugetproxy.runtime.publish_parts")
    if parts is not None and "processes" not in request.keywords:
        monkeypatch.setattr(parts, "ProcessExecutor", InspectionInThreads)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """
    Name a case with bytes by its argument: bytes such as gzip's contain the time, and all workers must use the same
    name.
    """
    return argname if isinstance(val, bytes) else None
