"""What the clients talk to: one embedded server, or three nodes behind nginx if NUGETPROXY_TEST_DEPLOYMENT=fleet.

So one suite proves both.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fleet_serving import Engines, Fleet
from tests.serving import Server

IS_FLEET: Final = os.environ.get("NUGETPROXY_TEST_DEPLOYMENT") == "fleet"

not_in_fleet: Final = pytest.mark.not_in_fleet
"""With a reason: it needs no server, or is about the disk of one machine."""
only_in_fleet: Final = pytest.mark.only_in_fleet

_engines: list[Engines] = []


@contextmanager
def engines_of_the_fleet(engines: Engines) -> Iterator[None]:
    """Where fleets keep what they share."""
    _engines.append(engines)
    yield
    _engines.clear()


def serve(data: Path, *arguments: str, **options: Any) -> Server:
    """A server to be started by `with`. The arguments are those of `Server`."""
    if not IS_FLEET:
        return Server(data, *arguments, **options)
    [engines] = _engines
    return Fleet(engines, data, *arguments, **options)
