"""Fixtures for tests of mirrored documents: no sockets, and a different upstream than in the rest of the suite."""

from dataclasses import replace

import pytest

from tests.mirroring.documents.world import World


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
    """As `documents`, with a rule under which nobody waits long for a refresh."""
    world.rule = replace(world.rule, patience=0.02)
    return world.process()
