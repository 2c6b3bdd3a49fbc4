"""How many wrong passwords and keys one address may try: a bucket for each. Pure; the clock is an argument.

A build farm behind one address must never be locked out by its own success, nor by a neighbour's typing errors. So only
failures count, requests without credentials (NuGet sends every request so first) are not failures, and credentials that
were right before are always looked at, however many wrong ones came from the same address.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

_ADDRESSES: Final = 50_000
_REMEMBERED: Final = 20_000
# What the same wrong credentials count when they come again: looking at them is work all the same.
_REPEATED: Final = 0.1
# Who is given one IPv6 address can usually use all of its network.
_IPV6_NETWORK_BITS: Final = 64


class Attempts:
    """One process's memory of failures. `now` everywhere in seconds of any clock that only goes forward."""

    def __init__(self, per_minute: int) -> None:
        """`per_minute` failures are free for an address, and so many come back each minute; 0 means no limit."""
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        # What was right is remembered as a keyed hash: this process's memory holds no password for it.
        self._pepper = secrets.token_bytes(32)

    def wait(self, address: str, credentials: str, now: float) -> float:
        """Seconds until these credentials are looked at; 0 when they may be now.

        `credentials`: all that was sent (user name and password, or the key), as one text.
        """
        if not self._per_minute or self._hash(credentials) in self._right:
            return 0.0
        left = self._left(network_of(address), now)
        return 0.0 if left >= 1 else (1 - left) * 60 / self._per_minute

    def failed(self, address: str, credentials: str, now: float) -> None:
        """These credentials were wrong. The same ones again guess nothing new, so they count little: one restore with
        a wrong password sends it some eighteen times.
        """
        if not self._per_minute:
            return
        key = self._hash(credentials)
        self._right.pop(key, None)
        weight = _REPEATED if key in self._wrong else 1.0
        self._wrong[key] = None
        self._wrong.move_to_end(key)
        if len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)
        network = network_of(address)
        self._buckets[network] = (max(0.0, self._left(network, now) - weight), now)
        self._buckets.move_to_end(network)
        if len(self._buckets) > _ADDRESSES:
            self._buckets.popitem(last=False)

    def succeeded(self, credentials: str) -> None:
        """These credentials were right; the address does not matter."""
        if not self._per_minute:
            return
        key = self._hash(credentials)
        self._wrong.pop(key, None)
        self._right[key] = None
        self._right.move_to_end(key)
        if len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)

    def _left(self, network: str, now: float) -> float:
        left, then = self._buckets.get(network, (float(self._per_minute), now))
        return min(float(self._per_minute), left + max(0.0, now - then) * self._per_minute / 60)

    def _hash(self, credentials: str) -> bytes:
        return hmac.digest(self._pepper, credentials.encode("utf-8", "surrogatepass"), hashlib.sha256)


def network_of(address: str) -> str:
    """Whose failures count together: one IPv4 address, or all of somebody's IPv6 network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> (128 - _IPV6_NETWORK_BITS) << (128 - _IPV6_NETWORK_BITS)))
    return address
