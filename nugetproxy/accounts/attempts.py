"""How many wrong passwords and keys one address may try. Pure; the clock is an argument.

A build farm behind one address must not be locked out, neither by its own success nor by one broken agent. So only
failures count, and requests without credentials (NuGet sends every request that way first) are not failures. There are
two buckets: an agent with wrong credentials empties the bucket of its user name; the bucket of the whole address is
WIDTH times as large, and stops a client that tries one password with many names. Credentials that were right before in
this process are always checked; known wrong ones are not checked again, because they are no new guess.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Final

from nugetproxy.accounts.addresses import network_of
from nugetproxy.accounts.model import LONGEST_NAME

WIDTH: Final = 10
"""How many user names may use up their failures from one address before the address has used up its own."""

_BUCKETS: Final = 50_000
_REMEMBERED: Final = 20_000
# The cost of known wrong credentials when they must be checked again, because accounts changed.
_REPEATED: Final = 0.1


class Attempts:
    """One process's record of failures. `now` is always in seconds of a clock that never goes back."""

    def __init__(self, per_minute: int) -> None:
        """`per_minute` failures are allowed for a user name from an address, WIDTH times as many for all names from it,
        and as many are restored each minute; 0 means no limit.
        """
        self._per_minute = per_minute
        self._buckets: OrderedDict[tuple[str, str | None], tuple[float, float]] = OrderedDict()
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, int] = OrderedDict()
        # Right and wrong credentials are remembered as keyed hashes: this process keeps no password for them.
        self._pepper = secrets.token_bytes(32)

    def wait(self, address: str, name: str, credentials: str, now: float) -> float:
        """Seconds until these credentials can be checked; 0 when they can be now.

        `name`: the user's, empty if there is none. `credentials`: everything that was sent (user name and password, or
        the key), as one text.
        """
        if not self._per_minute or self._hash(credentials) in self._right:
            return 0.0
        return max(self._until_one(bucket, now) for bucket in _buckets(address, name))

    def is_wrong(self, credentials: str, revision: int) -> bool:
        """Whether they were wrong at this revision of accounts, and so still are."""
        return self._wrong.get(self._hash(credentials)) == revision

    def failed(self, address: str, name: str, credentials: str, revision: int, now: float) -> None:
        """Record wrong credentials; `revision` is that of accounts before they were checked.

        Repeating the same ones guesses nothing new, so they count little.
        """
        if not self._per_minute:
            return
        key = self._hash(credentials)
        self._right.pop(key, None)
        weight = _REPEATED if key in self._wrong else 1.0
        self._wrong[key] = revision
        self._wrong.move_to_end(key)
        if len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)
        for bucket in _buckets(address, name):
            self._buckets[bucket] = (max(0.0, self._left(bucket, now) - weight), now)
            self._buckets.move_to_end(bucket)
        while len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)

    def succeeded(self, credentials: str) -> None:
        """Record right credentials; the address does not matter."""
        if not self._per_minute:
            return
        key = self._hash(credentials)
        self._wrong.pop(key, None)
        self._right[key] = None
        self._right.move_to_end(key)
        if len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)

    def _until_one(self, bucket: tuple[str, str | None], now: float) -> float:
        left = self._left(bucket, now)
        return 0.0 if left >= 1 else (1 - left) * 60 / self._size(bucket)

    def _left(self, bucket: tuple[str, str | None], now: float) -> float:
        size = float(self._size(bucket))
        left, then = self._buckets.get(bucket, (size, now))
        return min(size, left + max(0.0, now - then) * size / 60)

    def _size(self, bucket: tuple[str, str | None]) -> int:
        return self._per_minute * WIDTH if bucket[1] is None else self._per_minute

    def _hash(self, credentials: str) -> bytes:
        return hmac.digest(self._pepper, credentials.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _buckets(address: str, name: str) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
    """The buckets that a failure is taken from: that of the name (cut off), and that of the address."""
    network = network_of(address)
    return (network, name.lower()[: LONGEST_NAME + 1]), (network, None)
