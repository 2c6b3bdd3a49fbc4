"""Which addresses are in which networks, as clients and proxies write them."""

import pytest

from nugetproxy.accounts.addresses import is_within
from nugetproxy.accounts.keys import checked_networks
from nugetproxy.accounts.model import Scope
from nugetproxy.accounts.permissions import may_read_hosted, may_use_from
from nugetproxy.errors import InvalidRequest
from tests.accounts.actors import ALICE, by_key, by_password, outcome

NETWORKS = ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.255.0.1", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("2001:db9::1", False),
        ("", False),
        ("unknown", False),
        ("_hidden", False),
        ("10.0.0.1:80", False),
        ("10.0.0.1, 192.0.2.7", False),
        ("10.1", False),
        ("010.0.0.1", False),
    ],
)
def test_within(address, inside):
    assert is_within(address, NETWORKS) is inside


def test_a_key_is_refused_outside_of_its_networks():
    limited = by_key(ALICE)
    object.__setattr__(limited.key, "networks", NETWORKS)

    assert outcome(may_use_from(limited, "10.1.1.1")) == "allowed"
    for address in ("11.1.1.1", "", "unknown"):
        assert outcome(may_use_from(limited, address)) == "Forbidden"
    for other in (by_key(ALICE), by_password(ALICE)):
        assert outcome(may_use_from(other, "")) == "allowed"


@pytest.mark.parametrize(
    ("scopes", "globs", "lower_id", "expected"),
    [
        ([Scope.READ], ("Contoso.*",), "contoso.core", "allowed"),
        ([Scope.READ], ("Contoso.*",), "fabrikam", "Forbidden"),
        ([Scope.READ], ("Contoso.*",), None, "Forbidden"),
        ([Scope.READ], ("a", "*"), None, "allowed"),
        ([Scope.READ, Scope.PUSH], ("Contoso.*",), "fabrikam", "allowed"),
        ([Scope.PUSH], ("Contoso.*",), None, "allowed"),
    ],
)
def test_only_keys_that_can_do_nothing_else_are_limited_in_what_they_read(scopes, globs, lower_id, expected):
    assert outcome(may_read_hosted(by_key(ALICE, scopes=scopes, globs=globs), lower_id)) == expected


def test_networks_are_written_in_one_way():
    assert checked_networks(["10.0.0.0/8", "192.0.2.7", "2001:DB8::/32"]) == NETWORKS
    for wrong in ("10.0.0.1/8", "example.com", "", "10.0.0.0/33"):
        with pytest.raises(InvalidRequest):
            checked_networks([wrong])
    with pytest.raises(InvalidRequest):
        checked_networks(["10.0.0.0/8"] * 65)
