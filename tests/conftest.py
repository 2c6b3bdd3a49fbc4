"""Fixtures shared by the whole suite. What a test can build in one call is a builder, not a fixture."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.upstream import FakeUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    """A fake V3 upstream on loopback, without packages."""
    async with FakeUpstream() as running:
        yield running
