"""Tokens: how texts and ids are cut into pieces for searching. Pure.

Stored texts and queries are cut the same way. As at nuget.org, words are separated by everything that is not a letter
or digit, by camel case and between letters and digits; case and accents are ignored.

Rule: a token contains only letters and digits, or is a part of an id; never a quote or a space. So no text, whatever it
contains, can become syntax of the index.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

SHORTEST_PART = 3
"""Letters that a part from the middle of an id needs to be searched for; fewer would match nearly everything."""

_LONGEST_TOKEN: Final = 128
# Per text; what comes later in a description no longer summarises the package.
_LONGEST_TEXT: Final = 16_384

_RUN: Final = re.compile(r"[^\W_]+")
_PIECE: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ID_PART: Final = re.compile(r"[\w.\-]+")
_PARTED: Final = re.compile(r"[._\-]+")
# Scripts without spaces between words: each character is a token, and a word is a phrase of them.
_UNSPACED: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def tokens(text: str) -> list[str]:
    """The pieces of a text, in order: `HtmlAgilityPack.Core2` is html, agility, pack, core, 2."""
    return [piece for run in _runs(text) for piece in _pieces(run)]


def joined_tokens(text: str) -> list[str]:
    """The runs of letters and digits that `tokens` splits, each in one piece: `htmlagilitypack`, `core2`."""
    return [_token(run) for run in _runs(text) if _is_cut(run)]


def indexed(text: str) -> str:
    """All tokens of a text as stored in the index: the pieces in order, for phrases, then the joined ones."""
    text = text[:_LONGEST_TEXT]
    return " ".join([*tokens(text), *dict.fromkeys(joined_tokens(text))])


def indexed_name(package_id: str) -> str:
    """As `indexed`, for an id: also the id without separators, marked so that no other prefix matches it."""
    return f"{indexed(package_id)} {squashed(tokens(package_id))}"


def squashed(pieces: Iterable[str]) -> str:
    """The token of an id written without dots and dashes."""
    return f"-{''.join(pieces)}"[:_LONGEST_TOKEN]


def inner_parts(package_id: str) -> str:
    """The parts of an id that do not start at the beginning of a word: see `id_part`.

    The endings of words, and the endings of the id that span several words. These are marked: every id has different
    ones, and a search for a word prefix should not have to read them all.
    """
    folded = fold(package_id)
    words = _PARTED.split(folded)
    in_words = [word[start:] for word in words for start in range(1, len(word) - SHORTEST_PART + 1)]
    over_words = [f".{ending}" for start in range(len(folded)) if _PARTED.search(ending := folded[start:])]
    return " ".join([*dict.fromkeys(in_words), *over_words])


def id_part(text: str) -> str | None:
    """A text as the prefix of one of an id's `inner_parts`; None when no id has such a part, or it is too short."""
    folded = fold(text)
    if not _ID_PART.fullmatch(folded):
        return None
    folded = folded.strip("._-") if _PARTED.search(folded.strip("._-")) is None else folded
    if len(folded) < SHORTEST_PART:
        return None
    return (f".{folded}" if _PARTED.search(folded) else folded)[:_LONGEST_TOKEN]


def fold(text: str) -> str:
    """Without case and accents. ASCII texts keep their length and order."""
    return text.lower() if text.isascii() else _without_marks(text).casefold()


def _runs(text: str) -> Iterable[str]:
    return _RUN.findall(text if text.isascii() else _without_marks(text))


def _without_marks(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.category(character).startswith("M"))


def _is_cut(run: str) -> bool:
    return len(_pieces(run)) > 1 and not _UNSPACED.search(run)


def _pieces(run: str) -> list[str]:
    if run.isascii():
        # Most words have a single case and no digits.
        return [_token(run)] if run.islower() and run.isalpha() else [_token(piece) for piece in _PIECE.findall(run)]
    return [_token(piece) for piece in _wide_pieces(run)]


def _wide_pieces(run: str) -> list[str]:
    """As `_PIECE`, for letters of every script."""
    pieces = [""]
    for place, character in enumerate(run):
        last = pieces[-1][-1:]
        following = run[place + 1 : place + 2]
        if last and (
            _UNSPACED.match(character)
            or _UNSPACED.match(last)
            or character.isdigit() != last.isdigit()
            or (character.isupper() and (last.islower() or (last.isupper() and following.islower())))
        ):
            pieces.append("")
        pieces[-1] += character
    return pieces


def _token(piece: str) -> str:
    return fold(piece)[:_LONGEST_TOKEN]
