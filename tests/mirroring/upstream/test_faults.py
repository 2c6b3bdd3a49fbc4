"""How long to wait, and what an upstream's answers mean."""

from datetime import UTC, datetime

import pytest

from nugetproxy.mirroring.upstream.faults import Pacing, read_retry_after, result_of

NOON = datetime(2024, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "shortest", "longest"), [(1, 0.1, 0.2), (2, 0.2, 0.4), (3, 0.4, 0.8), (5, 1.5, 3.0), (5000, 1.5, 3.0)]
)
def test_pauses_double_up_to_a_limit_and_are_spread(failures, shortest, longest):
    pacing = Pacing()

    assert pytest.approx(shortest) == pacing.pause(failures, None, chance=0.0)
    assert pytest.approx(longest) == pacing.pause(failures, None, chance=1.0)


@pytest.mark.parametrize(("retry_after", "pause"), [(0.0, 0.2), (7.0, 7.0)])
def test_a_pause_is_never_shorter_than_asked_for(retry_after, pause):
    assert pytest.approx(pause) == Pacing().pause(1, retry_after, chance=1.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("-7", None),
        ("7.5", None),
        ("٧", None),
        ("300", 300.0),
        ("301", 300.0),
        ("9" * 5000, 300.0),
        ("soon", None),
        ("Mon, 01 Jan 2024 12:01:00 GMT", 60.0),
        ("Mon, 01 Jan 2024 12:01:00", 60.0),
        ("Mon, 01 Jan 2024 11:00:00 GMT", 0.0),
        ("Mon, 01 Jan 2024 12:10:00 GMT", 300.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
        ("Mon, 99 Jan 2024 11:00:00 GMT", None),
        pytest.param("Mon, 01 Jan 2024 12:00:00 +99999999999999", None, id="an absurd time zone"),
        pytest.param("Mon, 01 Jan " + "9" * 30 + " 12:00:00 GMT", None, id="an absurd year"),
    ],
)
def test_retry_after(text, seconds):
    assert seconds == read_retry_after(text, NOON)


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "2xx"), (206, "2xx"), (304, "304"), (404, "404"), (410, "404"), (403, "4xx"), (429, "429"), (503, "5xx")],
)
def test_the_metrics_word_for_a_status(status, result):
    assert result == result_of(status)
