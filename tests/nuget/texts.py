"""Hypothesis strategies for the strings of this floor: versions, ranges, ids."""

import string

from hypothesis import strategies as st

_LABEL_CHARACTERS = string.ascii_letters + string.digits + "-"
_SMALL = st.integers(0, 12)


def _labels(*, signed: bool) -> st.SearchStrategy[str]:
    numbers = st.one_of(_SMALL, st.integers(0, 2**40)).map(str)
    words = st.one_of(
        st.sampled_from(["alpha", "Alpha", "BETA", "beta", "rc", "rc1", "rc10", "a-b"]),
        st.text(_LABEL_CHARACTERS, min_size=1, max_size=6).filter(lambda t: not t.lstrip("-").isdigit()),
    )
    negative = _SMALL.map(lambda n: f"-{n}")
    return st.one_of(numbers, words, negative) if signed else st.one_of(numbers, words)


@st.composite
def version_texts(draw: st.DrawFn, *, signed_labels: bool = True) -> str:
    """Valid versions, similar enough that equal and adjacent ones are frequent."""
    numbers = draw(st.lists(st.one_of(_SMALL, st.integers(0, 2**31 - 1)), min_size=1, max_size=4))
    text = ".".join("0" * draw(st.integers(0, 1)) + str(number) for number in numbers)
    labels = draw(st.lists(_labels(signed=signed_labels), max_size=3))
    if labels:
        text += "-" + ".".join(labels)
    if draw(st.booleans()):
        text += "+" + ".".join(
            draw(st.lists(st.text(_LABEL_CHARACTERS, min_size=1, max_size=4), min_size=1, max_size=2))
        )
    return text


@st.composite
def range_texts(draw: st.DrawFn) -> str:
    """Mostly valid ranges, some with bounds in the wrong order."""
    lower, upper = draw(version_texts()), draw(version_texts())
    spaces = draw(st.sampled_from(["", " "]))
    return draw(
        st.sampled_from(
            [
                lower,
                f"[{lower}]",
                f"[{lower},{spaces})",
                f"({lower},{spaces})",
                f"({spaces},{spaces}{upper}]",
                f"({spaces},{spaces}{upper})",
                f"[{lower},{spaces}{upper}]",
                f"[{lower},{spaces}{upper})",
                f"({lower},{spaces}{upper}]",
                f"({lower},{spaces}{upper})",
            ]
        )
    )


@st.composite
def id_texts(draw: st.DrawFn) -> str:
    """Valid ids, by the lenient rule."""
    word = st.text("abcXYZ019_äßЖ漢İK", min_size=1, max_size=6)
    words = draw(st.lists(word, min_size=1, max_size=5))
    text = words[0]
    for following in words[1:]:
        text += draw(st.sampled_from(".-")) + following
    return text
