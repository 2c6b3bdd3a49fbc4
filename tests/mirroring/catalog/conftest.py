"""Fixtures: a world whose upstream has one old event, and a process in it."""

import pytest

from tests.httpcache.documents import NOON
from tests.mirroring.catalog.world import a_world


@pytest.fixture
async def world(tmp_path):
    async with a_world(tmp_path) as world:
        world.upstream.publish("Contoso.Base", "1.0.0", NOON - 3 * 86_400)
        yield world


@pytest.fixture
def upstream(world):
    return world.upstream


@pytest.fixture
def process(world):
    return world.process()
