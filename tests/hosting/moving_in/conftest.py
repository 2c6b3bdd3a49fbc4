from pathlib import Path

import pytest

from tests.hosting.house import House
from tests.hosting.moving_in.desk import Desk


@pytest.fixture
async def desk(house: House) -> Desk:
    return Desk(house, await house.actor())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Outside of the data directory."""
    path = tmp_path.with_name(f"{tmp_path.name}-source")
    path.mkdir()
    return path
