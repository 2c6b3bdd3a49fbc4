"""Facts: the meaning of signature states."""

import pytest

from nugetproxy.feeds.policy.facts import SignatureState


@pytest.mark.parametrize("state", SignatureState)
def test_only_trusted_signatures_are_valid(state):
    assert state.is_valid == (state in {SignatureState.AUTHOR, SignatureState.REPOSITORY})
