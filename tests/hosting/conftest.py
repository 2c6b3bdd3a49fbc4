from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosting.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def other(house: House, tmp_path: Path) -> Iterator[House]:
    """The same data directory, as another process has it."""
    opened = House(tmp_path)
    yield opened
    opened.close()
