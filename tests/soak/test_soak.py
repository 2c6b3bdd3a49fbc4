"""A short soak; `scripts/soak` runs a long one."""

import pytest

from tests.soak.run import Soak

SECONDS = 16


@pytest.mark.timeout(240)
async def test_nothing_is_found(tmp_path):
    soak = Soak(tmp_path, seed=1, seconds=SECONDS)
    await soak.run()
    assert soak.truth.findings == []
