"""Decisions derived from bytes: the only source of randomness of all fuzzing targets.

The bytes may come from a seeded random generator, from Hypothesis, which shrinks them, or from a coverage-guided
fuzzer: the same bytes always make the same input. When they are used up, every decision is the first possible one, so
shorter bytes make simpler inputs.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

# Values at which counters overflow, buffers end and signs change.
_EDGES: Final = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 65, 100, 127, 128, 129, 254, 255, 256, 257, 1000, 1023, 1024, 4096),
    *(2**15 - 1, 2**15, 2**16 - 2, 2**16 - 1, 2**16, 2**17, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**32),
    *(2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1),
)


class Choices:
    """Reads decisions from `data`, front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_used_up(self) -> bool:
        return self._at >= len(self._data)

    def below(self, limit: int) -> int:
        """A number from 0 up to, not including, `limit` (at least 1)."""
        size = ((limit - 1).bit_length() + 7) // 8
        return int.from_bytes(self._take(size), "little") % limit

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def chance(self, one_in: int) -> bool:
        """True once in `one_in` times; False when the bytes are used up. `one_in` is at least 2."""
        return self.below(one_in) == 1

    def number(self) -> int:
        """A number of up to 64 bits, mostly a small one or one at an edge."""
        match self.below(4):
            case 0:
                return self.below(16)
            case 1 | 2:
                return self.one_of(_EDGES)
        return int.from_bytes(self._take(8), "little")

    def some(self, make: Callable[[], T], most: int) -> list[T]:
        """A list of at most this length; short ones are more likely."""
        made: list[T] = []
        while len(made) < most and self.below(4):
            made.append(make())
        return made

    def text(self, alphabet: Sequence[str], most: int) -> str:
        """A text of at most this many pieces of the alphabet."""
        return "".join(self.one_of(alphabet) for _ in range(self.below(most + 1)))

    def raw(self, most: int) -> bytes:
        """At most this many bytes, unchanged."""
        return self._take(self.below(most + 1), filled=False)

    def edited(self, content: bytes, most: int = 4) -> bytes:
        """`content` with a few places replaced, inserted, cut, flipped or copied elsewhere; it may stay as it is."""
        changed = bytearray(content)
        for _ in range(self.below(most + 1)):
            at = self.below(len(changed) + 1)
            match self.below(6):
                case 0:
                    changed[at : at + 1] = self._take(1)
                case 1:
                    changed[at:at] = self.raw(6)
                case 2:
                    del changed[at : at + 1 + self.below(8)]
                case 3:
                    width = self.one_of((1, 2, 4, 8))
                    number = self.number() % 256**width
                    changed[at : at + width] = number.to_bytes(width, self.one_of(("little", "big")))
                case 4:
                    if at < len(changed):
                        changed[at] ^= 1 << self.below(8)
                case _:
                    start = self.below(len(changed) + 1)
                    changed[at:at] = changed[start : start + self.below(64)]
        return bytes(changed)

    def _take(self, size: int, *, filled: bool = True) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken.ljust(size, b"\0") if filled else taken
