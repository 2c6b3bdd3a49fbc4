"""Lists of values in SQL."""

import pytest

from nugetproxy.storage.database.lists import LONGEST, as_rows, listed, padded


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((), (None,)),
        ("a", ("a",)),
        ("ab", ("a", "b")),
        ("abc", ("a", "b", "c", "c")),
        (range(5), (0, 1, 2, 3, 4, 4, 4, 4)),
    ],
)
def test_lists_have_few_lengths(given, wanted):
    assert padded(given) == wanted


def test_a_list_has_a_limit():
    assert len(padded(range(LONGEST - 1))) == LONGEST
    with pytest.raises(ValueError, match="16384 values, not 16385"):
        padded(range(LONGEST + 1))


def test_each_value_has_its_parameter():
    assert (listed((1, 2)), as_rows((1, 2))) == ("(?, ?)", "(?), (?)")
