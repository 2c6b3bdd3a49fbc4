"""How a text looks to people: escapes decoded, invisible characters removed, look-alike letters mapped to one letter.

Which ids are compared this way is decided in `accounts.reservations` and `typosquats`. Sources: Unicode's
Default_Ignorable_Code_Point, and the single letters of other scripts among its confusables (UTS #39) that stand in for
a Latin one.
"""

import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from nugetproxy.nuget.identity import lower_invariant

# An address embedded in another one is percent-encoded twice.
_DECODINGS: Final = 3

# Invisible, though not of category Cf like most of their kind: joiners, fillers, variation selectors.
_FILLERS: Final = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, *range(0xFE00, 0xFE10), 0xFFA0))
)

# Cyrillic, Greek and Armenian letters, in lower case, by the Latin one that their small or capital form looks like.
_BY_SHAPE: Final = {
    "a": "\u0430\u03b1",
    "b": "\u0432\u03b2",
    "c": "\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0435\u03b5",
    "g": "\u0261\u0581",
    "h": "\u043d\u04bb\u0570",
    "i": "\u0456\u03b9\u0131",
    "j": "\u0458\u03f3",
    "k": "\u043a\u03ba",
    "l": "\u04cf",
    "m": "\u043c\u03bc",
    "n": "\u0578",
    "o": "\u043e\u03bf\u0585",
    "p": "\u0440\u03c1",
    "q": "\u051b",
    "s": "\u0455",
    "t": "\u0442\u03c4",
    "u": "\u057d",
    "v": "\u0475",
    "w": "\u051d",
    "x": "\u0445\u03c7",
    "y": "\u0443\u04af",
    "z": "\u03b6",
}
_SHAPES: Final = {ord(each): latin for latin, others in _BY_SHAPE.items() for each in others}
# Eta, nu, upsilon: in lower case they look like one Latin letter, as capitals like another.
_SMALL: Final = _SHAPES | {0x03B7: "n", 0x03BD: "v", 0x03C5: "u"}
_CAPITAL: Final = _SHAPES | {0x03B7: "h", 0x03BD: "n", 0x03C5: "y"}


def is_shown(character: str) -> bool:
    """False for soft hyphens, zero-width spaces and joiners, byte order marks and other invisible characters."""
    return unicodedata.category(character) != "Cf" and character not in _FILLERS


def readings(text: str) -> tuple[str, ...]:
    """The text as people may read it, in lower case; compatibility forms are the letters they stand for."""
    visible = "".join(filter(is_shown, text))
    plain = lower_invariant(unicodedata.normalize("NFKC", visible))
    return tuple(dict.fromkeys((plain, plain.translate(_SMALL), plain.translate(_CAPITAL))))


def decodings(text: str) -> Iterator[str]:
    """The text, and what it says without its percent-encoding, which may be several layers deep."""
    yield text
    for _ in range(_DECODINGS):
        plain = unquote(text)
        if plain == text:
            return
        text = plain
        yield text
