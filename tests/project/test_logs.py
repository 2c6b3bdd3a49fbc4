"""The log: one event per line, in both formats, and never a secret."""

import io
import logging

import orjson
import pytest
import structlog

from nugetproxy import logs


@pytest.fixture
def written():
    """Call with a format to set up the log; call without to read what was written."""
    stream = io.StringIO()

    def lines(shape: logs.Format | None = None, level: logs.Level = "info") -> list[str]:
        if shape is not None:
            logs.set_up(shape, level, stream)
        return stream.getvalue().splitlines()

    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield lines
    structlog.reset_defaults()
    logging.getLogger().handlers[:], logging.getLogger().level = before[0], before[1]


def test_a_plain_line_has_time_level_event_and_fields(written):
    written("plain")
    structlog.get_logger().info("mirrored", package="A 1.0.0", bytes=3)

    time, rest = written()[0].split(" ", 1)
    assert time.endswith("Z")
    assert rest == 'info    mirrored package="A 1.0.0" bytes=3'


def test_a_json_line_is_one_object(written):
    written("json")
    structlog.get_logger().warning("stale", age=3.5)

    event = orjson.loads(written()[0])
    assert (event["level"], event["event"], event["age"]) == ("warning", "stale", 3.5)


@pytest.mark.parametrize("shape", ["plain", "json"])
def test_untrusted_line_breaks_stay_inside_the_line(written, shape):
    written(shape)
    structlog.get_logger().info("asked", target="/a\n2026 error forged\x1b[2J")

    assert len(written()) == 1
    assert "\x1b" not in written()[0]


@pytest.mark.parametrize("shape", ["plain", "json"])
def test_unencodable_text_still_gives_a_line(written, shape):
    written(shape)
    structlog.get_logger().info("odd", number=2**70, text="\ud800", thing=object())

    assert len(written()) == 1


@pytest.mark.parametrize("shape", ["plain", "json"])
@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"api_key": "hunter2"},
        {"X-NuGet-ApiKey": "hunter2"},
        {"headers": {"Authorization": "Basic hunter2", "Accept": "*/*"}},
        {"headers": [{"Cookie": "hunter2"}]},
        {"url": "https://me:hunter2@feed.example.com/index.json"},
        {"url": "https://hunter2@feed.example.com/index.json"},
        {"url": "https://blobs.example.com/a?se=1&sig=hunter2&x=1"},
        {"why": "refused 'Authorization: Bearer hunter2hunter2'"},
        {"failure": ValueError("https://me:hunter2@feed.example.com")},
        {"q": "nugetproxy_abcdefghijklhunter2hunter2hunter2"},
        {"path": "/v3/query?q=nugetproxy%5Fabcdefghijklhunter2hunter2"},
        {"why": "NUGETPROXY_ABCDEFGHIJKLhunter2HUNTER2 is no id"},
    ],
)
def test_secrets_do_not_reach_the_log(written, shape, fields):
    written(shape)
    structlog.get_logger().info("asked", **fields)

    assert "hunter2" not in written()[0]
    assert "***" in written()[0]


def test_a_traceback_is_masked_too(written):
    written("json")
    try:
        raise ValueError("https://me:hunter2@feed.example.com")
    except ValueError:
        structlog.get_logger().exception("failed")

    assert "hunter2" not in written()[0]
    assert "ValueError" in orjson.loads(written()[0])["exception"]


def test_an_event_has_the_id_of_its_request(written):
    written("json")
    with logs.about(request="r1"):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")

    inside, outside = map(orjson.loads, written())
    assert inside["request"] == "r1"
    assert "request" not in outside


def test_library_logs_have_our_format(written):
    written("json")
    logging.getLogger("aiohttp.client").warning("odd %s", "thing")

    event = orjson.loads(written()[0])
    assert (event["event"], event["logger"], event["level"]) == ("odd thing", "aiohttp.client", "warning")


def test_the_level_is_applied(written):
    written("plain", "warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert len(written()) == 1
