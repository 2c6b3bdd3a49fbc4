import pytest

from nugetproxy.protocol.times import (
    TICKS_PER_SECOND,
    stamp_in_url,
    text_of_microseconds,
    text_of_ticks,
    ticks_in_url,
)

# 2026-01-02T03:04:05Z
MOMENT = 1_767_323_045 * TICKS_PER_SECOND


def test_a_tick_is_the_seventh_digit():
    assert text_of_ticks(MOMENT + 1) == "2026-01-02T03:04:05.0000001Z"


def test_microseconds_have_seven_digits_too():
    assert text_of_microseconds(MOMENT // 10 + 250_000, "+00:00") == "2026-01-02T03:04:05.2500000+00:00"


def test_the_epoch():
    assert text_of_ticks(0) == "1970-01-01T00:00:00.0000000Z"


@pytest.mark.parametrize("ticks", [0, 1, MOMENT, MOMENT + 9_999_999])
def test_a_stamp_in_a_url_is_read_back(ticks):
    assert ticks_in_url(stamp_in_url(ticks)) == ticks


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026.01.02.03.04.05",
        "2026.01.02.03.04.05.123",
        "2026.13.02.03.04.05.0000000",
        "2026.01.02.03.04.61.0000000",
        "2026-01-02T03:04:05.0000000Z",
        "٢026.01.02.03.04.05.0000000",
        " 2026.01.02.03.04.05.0000000",
    ],
)
def test_an_invalid_stamp_is_rejected(text):
    assert ticks_in_url(text) is None
