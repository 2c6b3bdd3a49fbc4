"""Document stores on one directory."""

import pytest

from nugetproxy.storage.documents.disk import DiskDocuments
from tests.storage.documents.cache import MEGABYTE


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "documents"


@pytest.fixture
def open_store(directory):
    """Opens stores on one directory, as several processes would; all are closed at the end."""
    opened = []

    def open_one(size_limit=50 * MEGABYTE):
        opened.append(DiskDocuments(directory, size_limit))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store):
    return open_store()
