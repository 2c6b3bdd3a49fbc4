import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from nugetproxy.config import ServerSettings
from nugetproxy.runtime import serving


class NoLanes:
    """A server without a socket."""

    async def drain(self, _: float) -> int:
        return 0


@pytest.fixture
def _unfrozen() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("_unfrozen")
async def test_a_worker_does_not_collect_what_was_loaded_before_it_is_ready():
    """
    Modules are a hundred thousand objects, and walking through them blocks everything for 50 ms.
    """
    stopping, left = asyncio.Event(), list[int]()
    lanes: Any = NoLanes()

    def ready() -> None:
        left.append(len(gc.get_objects()))
        stopping.set()

    before = len(gc.get_objects())
    await serving._serve(lanes, [], ServerSettings(), ready, stopping)

    assert left[0] < before / 100
