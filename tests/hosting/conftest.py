from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.engines.main_database import main_database_server, main_databases
from tests.hosting.house import House
from tests.hosting.packages import PACKAGES
from tests.hosting.shelf import Shelf

__all__ = ["main_database_server", "main_databases"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def other(house: House, tmp_path: Path) -> Iterator[House]:
    """The same data directory, opened by another process."""
    opened = House(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    """Stocked with PACKAGES; Contoso.Hidden is unlisted."""
    opened = Shelf(tmp_path)
    await opened.stock(PACKAGES)
    await opened.set_listed("Contoso.Hidden 1.0.0", listed=False)
    yield opened
    opened.close()
