"""`nugetproxy check-config --connect`: one line per upstream, and the exit code."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result

from nugetproxy.cli.main import main
from tests.ports import dead_port

INDEX = b'{"version":"3.0.0","resources":[{"@id":"http://127.0.0.1/flat/","@type":"PackageBaseAddress/3.0.0"}]}'


class Feed(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = (200, INDEX) if self.path.startswith("/v3/") else (401, b"")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def feed() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Feed) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def connect(*arguments: str) -> Result:
    # `None` removes a variable from the environment of the test run.
    environ = {name: None for proxy in ("http_proxy", "https_proxy", "all_proxy") for name in (proxy, proxy.upper())}
    return CliRunner().invoke(main, ["check-config", "--connect", *arguments], env=environ)


def test_upstreams_that_can_be_used(feed):
    ended = connect("--upstream", f"{feed}/v3/index.json?sig=s3cret")

    assert ended.exit_code == 0
    [line] = ended.output.splitlines()
    assert line.startswith(f"{feed.removeprefix('http://').replace(':', '-')}: ok after 0.")
    assert line.endswith(f" s: {feed}/v3/index.json is a V3 feed")


def test_each_upstream_has_a_line_and_one_that_fails_is_enough(feed):
    closed = f"{feed.replace('127.0.0.1', 'localhost')}/index.json"
    with dead_port() as port:
        dead = f"http://127.0.0.1:{port}/index.json"
        ended = connect("--upstream", f"{feed}/v3/index.json", "--upstream", closed, "--upstream", dead)

    assert ended.exit_code == 1
    good, refused, gone = ended.output.splitlines()
    assert ": ok after " in good
    assert f"{closed}: answered 401 Unauthorized (check the credentials: " in refused
    assert ": failed after 0.0" in gone
    assert f" s: {dead}: cannot connect to 127.0.0.1: Connection refused (check host and port" in gone


def test_wrong_settings_come_first(feed):
    ended = connect("--upstream", f"{feed}/v3/index.json", "--workers", "0")

    assert (ended.exit_code, ended.stdout) == (78, "")
    assert "server.workers" in ended.stderr


def test_no_upstream_is_contacted_when_offline():
    with dead_port() as port:
        ended = connect("--upstream", f"http://127.0.0.1:{port}/index.json", "--offline")

    assert (ended.exit_code, ended.output) == (0, "no upstream is contacted: mirroring.mode is offline\n")
