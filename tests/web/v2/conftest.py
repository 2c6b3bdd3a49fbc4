"""A feed of one package."""

import pytest

from tests.web.catalogue import CatalogueFeed


@pytest.fixture
def feed():
    made = CatalogueFeed()
    made.add("Alpha.Lib", "1.0.0")
    made.add("Alpha.Lib", "1.1.0")
    made.add("Alpha.Lib", "2.0.0-rc.1")
    return made
