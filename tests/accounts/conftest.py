import pytest

from tests.accounts.places import Place


@pytest.fixture
def place(tmp_path):
    opened = Place(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def other(place, tmp_path):
    """The same data directory, opened by another process."""
    opened = Place(tmp_path)
    yield opened
    opened.close()
