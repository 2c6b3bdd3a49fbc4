"""Client addresses: the networks that one is in, and the unit for counting failures. Pure."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

# A client with one IPv6 address can usually use its whole network.
_IPV6_NETWORK_BITS: Final = 64


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks (CIDR). False for what is no address."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in map(_network, networks))


def network_of(address: str) -> str:
    """The unit for counting failures: one IPv4 address, or a whole IPv6 network."""
    parsed = _parsed(address)
    if parsed is None:
        return address
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> (128 - _IPV6_NETWORK_BITS) << (128 - _IPV6_NETWORK_BITS)))
    return str(parsed)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Without its zone; an IPv4 address that an IPv6 socket reports is itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed


@lru_cache(maxsize=1024)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)
