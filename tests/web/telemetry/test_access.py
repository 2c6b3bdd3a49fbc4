"""The access log: what a line contains, and that writing it never waits for its reader."""

import asyncio
import json
import os
import threading

import pytest
from structlog.testing import capture_logs

from nugetproxy.web.telemetry import access
from nugetproxy.web.telemetry.access import (
    LONGEST_PATH,
    AccessLine,
    AccessLog,
    json_lines,
    plain_lines,
    shown_path,
    whole_lines,
)

LINE = AccessLine(
    time=1_700_000_000.25,
    request_id="abc-1",
    remote="127.0.0.1",
    actor="alice/key ci",
    method="GET",
    path="/v3/flatcontainer/dapper/index.json",
    status=200,
    bytes=1234,
    seconds=0.0015,
    resource="versions",
    outcome="hit",
    user_agent="NuGet xplat/7.9.0 (LINUX)",
)


def test_a_json_line_holds_every_field():
    line = json.loads(json_lines([LINE]))

    assert line == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "event": "request",
        "request_id": "abc-1",
        "remote": "127.0.0.1",
        "actor": "alice/key ci",
        "method": "GET",
        "path": "/v3/flatcontainer/dapper/index.json",
        "status": 200,
        "bytes": 1234,
        "seconds": 0.0015,
        "resource": "versions",
        "outcome": "hit",
        "user_agent": "NuGet xplat/7.9.0 (LINUX)",
    }


def test_a_plain_line_is_one_readable_row():
    expected = (
        '2023-11-14T22:13:20.250Z 127.0.0.1 "alice/key ci" "GET /v3/flatcontainer/dapper/index.json" 200 1234 1.5ms '
        'versions hit "NuGet xplat/7.9.0 (LINUX)" abc-1\n'
    )

    assert expected.encode() == plain_lines([LINE])


@pytest.mark.parametrize("agent", ['a"b', "a\nb", "a\x00b", "a\x1b[31m", "ü", "\udcff", "\\"])
@pytest.mark.parametrize("render", [json_lines, plain_lines])
def test_a_client_cannot_forge_a_line(agent, render):
    """
    Whatever a client sends, a line stays one line of printable ASCII.
    """
    written = render([LINE._replace(user_agent=agent, path="/" + agent)])

    assert written.count(b"\n") == 1
    assert written.rstrip(b"\n").decode("ascii").isprintable()


def test_json_survives_what_a_client_sends():
    assert json.loads(json_lines([LINE._replace(user_agent="\udcff\n")]))["user_agent"] == "\udcff\n"


@pytest.mark.parametrize(
    ("batch", "limit", "pieces"),
    [
        (b"", 4, []),
        (b"a\nb\n", 4, [b"a\nb\n"]),
        (b"a\nb\nc\n", 4, [b"a\nb\n", b"c\n"]),
        (b"aaaaaaaa\nb\n", 4, [b"aaaaaaaa\n", b"b\n"]),
        (b"a\nbbbbbbbb\nc\n", 4, [b"a\n", b"bbbbbbbb\n", b"c\n"]),
    ],
)
def test_pieces_end_with_lines(batch, limit, pieces):
    assert pieces == list(whole_lines(batch, limit))


async def written_by(log: AccessLog, reader: int) -> bytes:
    await log.close()
    return os.read(reader, 1 << 20)


async def test_lines_arrive_when_the_log_closes():
    reader, writer = os.pipe()
    log = AccessLog(form="json", descriptor=writer)
    for _ in range(3):
        log.record(LINE)

    assert (await written_by(log, reader)).count(b"\n") == 3
    os.close(reader)
    os.close(writer)


async def test_lines_arrive_without_closing():
    reader, writer = os.pipe()
    log = AccessLog(descriptor=writer)
    log.record(LINE)

    assert plain_lines([LINE]) == await asyncio.to_thread(os.read, reader, 4096)
    await log.close()
    os.close(reader)
    os.close(writer)


async def test_a_log_switched_off_starts_nothing():
    before = threading.active_count()
    log = AccessLog(enabled=False)
    log.record(LINE)
    log.flush()

    assert before == threading.active_count()


async def test_a_reader_that_stopped_costs_lines_and_no_memory(monkeypatch):
    """
    Beyond MAX_WAITING_BYTES new lines are dropped and counted, and the event loop never waits.
    """
    monkeypatch.setattr(access, "MAX_WAITING_BYTES", 200_000)
    reader, writer = os.pipe()
    log = AccessLog(descriptor=writer)
    for _ in range(5):
        for _ in range(1000):
            log.record(LINE)
        log.flush()
    dropped = log.dropped
    drain = asyncio.create_task(asyncio.to_thread(read_to_end, reader))
    with capture_logs() as told:
        await log.close()
    os.close(writer)

    assert dropped > 0
    assert 5000 - dropped == (await drain).count(b"\n")
    assert told == [{"event": "access_log_lines_dropped", "log_level": "warning", "lines": dropped}]
    os.close(reader)


def read_to_end(descriptor: int) -> bytes:
    return b"".join(iter(lambda: os.read(descriptor, 65536), b""))


async def test_a_closed_pipe_is_logged_and_survived():
    reader, writer = os.pipe()
    os.close(reader)
    log = AccessLog(descriptor=writer)
    log.record(LINE)
    with capture_logs() as told:
        await log.close()
    os.close(writer)

    assert [event["event"] for event in told] == ["access_log_not_written"]


# In the form of a key, with a word in it that the tests look for.
KEY = "nugetproxy_abcdefghijkl" + "secret" * 6 + "ab"


def test_no_secret_of_a_user_agent_is_logged():
    for agent in (f"curl {KEY}", "curl https://me:secret@host", "Basic secretsecret"):
        for render in (json_lines, plain_lines):
            assert b"secret" not in render([LINE._replace(user_agent=agent)])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v3/index.json", "/v3/index.json"),
        ("/v3/query?q=a%20b&semVerLevel=2.0.0", "/v3/query?q=a%20b&semVerLevel=2.0.0"),
        ("/v3/query?q=a&api_key=secret", "/v3/query?q=a&..."),
        ("/v3/index.json?secret", "/v3/index.json?..."),
        ("http://user:secret@host/v3/index.json", "-"),
        ("*", "-"),
        ("/https://me:secret@host/v3/index.json", "/https://***@host/v3/index.json"),
        ("/v3/query?q=https://secret@host&take=1", "/v3/query?q=https://***@host&take=1"),
        ("/v3/query?q=https%3A%2F%2Fme%3Asecret%40host&take=1", "/v3/query?q=https%3A%2F%2F***@host&take=1"),
        ("/v3/query?q=a@b.example", "/v3/query?q=a@b.example"),
        (f"/v3/query?q={KEY}&take=1", "/v3/query?q=nugetproxy_***&take=1"),
        (f"/v3/flatcontainer/{KEY.lower()}/index.json", "/v3/flatcontainer/nugetproxy_***/index.json"),
        (f"/v3/query?q={KEY[:40]}", "/v3/query?q=nugetproxy_***"),
        (f"/v3/query?q={KEY.replace('_', '%5F')}", "/v3/query?q=nugetproxy_***"),
        ("/v3/query?q=" + KEY.replace("s", "%73"), "-"),
        ("/v3/query?q=nugetproxy%20_", "/v3/query?q=nugetproxy%20_"),
    ],
)
def test_no_secret_of_a_target_is_logged(path, expected):
    """
    Of a query only the known search parameters, nothing of an absolute URL, and never its user.
    """
    for render in (json_lines, plain_lines):
        line = render([LINE._replace(path=path)])
        assert expected.encode() in line
        assert b"secret" not in line


def test_a_long_path_is_cut():
    """
    A request line may have 32 KiB; a log line must fit in one write.
    """
    assert shown_path("/" + "a" * LONGEST_PATH) == "/" + "a" * (LONGEST_PATH - 1) + "..."
    assert len(shown_path("/?q=" + "a" * 9000)) == LONGEST_PATH + 3
