"""A file of answers as two workers have it."""

import pytest

from tests.web.hot.answer_files import opened


@pytest.fixture
async def answers(tmp_path):
    made = opened(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def another(tmp_path):
    """The same file, as another worker has it."""
    made = opened(tmp_path)
    yield made
    await made.close()
