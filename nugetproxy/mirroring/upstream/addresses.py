"""What a host name or an address stands for: the public Internet, a network of our own, a cloud's metadata service.

Pure: nothing is resolved here. Who may be sent where is decided in `egress`, and carried out by `sessions` on the
addresses that a name resolves to.
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address


class Place(StrEnum):
    """Where an address leads; the values are words for messages."""

    PUBLIC = "a public address"
    METADATA = "a cloud's metadata service"
    LOOPBACK = "a loopback address"
    PRIVATE = "a private network"
    SHARED = "a network behind carrier-grade NAT"
    LINK_LOCAL = "a link-local address"
    UNSPECIFIED = "an unspecified address"
    MULTICAST = "a multicast address"
    BROADCAST = "a broadcast address"
    DOCUMENTATION = "a documentation network"
    BENCHMARKING = "a benchmarking network"
    RESERVED = "a reserved network"
    NAME = "a private network, by its name"


# Source: IANA IPv4 and IPv6 Special-Purpose Address Registries. The first match counts.
_SPECIAL_V4: Final = tuple(
    (IPv4Network(network), place)
    for network, place in (
        ("0.0.0.0/8", Place.UNSPECIFIED),
        ("10.0.0.0/8", Place.PRIVATE),
        ("100.64.0.0/10", Place.SHARED),
        ("127.0.0.0/8", Place.LOOPBACK),
        ("169.254.0.0/16", Place.LINK_LOCAL),
        ("172.16.0.0/12", Place.PRIVATE),
        ("192.0.2.0/24", Place.DOCUMENTATION),
        ("192.0.0.0/24", Place.RESERVED),
        ("192.88.99.0/24", Place.RESERVED),  # 6to4 relays, withdrawn by RFC 7526
        ("192.168.0.0/16", Place.PRIVATE),
        ("198.18.0.0/15", Place.BENCHMARKING),
        ("198.51.100.0/24", Place.DOCUMENTATION),
        ("203.0.113.0/24", Place.DOCUMENTATION),
        ("224.0.0.0/4", Place.MULTICAST),
        ("255.255.255.255/32", Place.BROADCAST),
        ("240.0.0.0/4", Place.RESERVED),
    )
)
_SPECIAL_V6: Final = tuple(
    (IPv6Network(network), place)
    for network, place in (
        ("::/128", Place.UNSPECIFIED),
        ("::1/128", Place.LOOPBACK),
        ("fc00::/7", Place.PRIVATE),
        ("fe80::/10", Place.LINK_LOCAL),
        ("fec0::/10", Place.PRIVATE),
        ("ff00::/8", Place.MULTICAST),
        ("64:ff9b:1::/48", Place.PRIVATE),  # NAT64 for local use (RFC 8215): what it embeds where is a local matter
        ("2001:db8::/32", Place.DOCUMENTATION),
        ("3fff::/20", Place.DOCUMENTATION),
        ("2001:2::/48", Place.BENCHMARKING),
        ("2001::/23", Place.RESERVED),  # Teredo, ORCHID and other protocols
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# IPv6 networks that carry an IPv4 address: how far right it stands (bits), and whether a public one is reached by it.
_EMBEDDING: Final = tuple(
    (IPv6Network(network), shift, is_usable)
    for network, shift, is_usable in (
        ("::ffff:0:0/96", 0, True),  # mapped
        ("64:ff9b::/96", 0, True),  # NAT64
        ("2002::/16", 80, True),  # 6to4
        ("::ffff:0:0:0/96", 0, False),  # translated (SIIT)
        ("::/96", 0, False),  # compatible, deprecated
    )
)
# Not all of these lie in networks that look private. Sources: the documentation of AWS (also ECS and EKS), Azure,
# Google Cloud, Alibaba, Tencent, Oracle and Scaleway; other clouds use the first.
_METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "169.254.0.23",
        "192.0.0.192",
        "169.254.42.42",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
    )
)
# Domains that are never delegated in the public DNS (RFC 6761, 6762, 8375; ICANN's reservation of "internal").
_PRIVATE_DOMAINS: Final = frozenset(
    {"localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa"}
)


def place_of_host(host: str) -> Place:
    """Of a canonical host as it is spelled. A name that is PUBLIC may still resolve to anything."""
    try:
        return place_of(ip_address(host))
    except ValueError:
        pass
    labels = host.split(".")
    is_private = len(labels) == 1 or labels[-1] in _PRIVATE_DOMAINS or ".".join(labels[-2:]) in _PRIVATE_DOMAINS
    return Place.NAME if is_private else Place.PUBLIC


def place_of(address: Address) -> Place:
    """Where an address leads, also through the IPv4 address that an IPv6 address may embed."""
    if isinstance(address, IPv4Address):
        if address in _METADATA:
            return Place.METADATA
        return next((place for network, place in _SPECIAL_V4 if address in network), Place.PUBLIC)
    address = IPv6Address(int(address))  # without its zone
    if address in _METADATA:
        return Place.METADATA
    for network, place in _SPECIAL_V6:
        if address in network:
            return place
    for network, shift, is_usable in _EMBEDDING:
        if address in network:
            place = place_of(IPv4Address(int(address) >> shift & 0xFFFFFFFF))
            return Place.RESERVED if place is Place.PUBLIC and not is_usable else place
    return Place.PUBLIC if address in _GLOBAL_UNICAST else Place.RESERVED
