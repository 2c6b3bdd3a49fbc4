"""nugetproxy health: what it requests, what it prints, and its exit code."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from nugetproxy.cli.health import own_url
from nugetproxy.cli.main import main
from nugetproxy.config import ServerSettings
from tests.certificates import PrivateCA
from tests.ports import free_port
from tests.serving import Server


class Answering(http.server.BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = (200, b"ready\n") if self.path == "/good/health/ready" else (503, b"the disk is gone\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    Answering.asked.clear()
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def health(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["health", *arguments], env=environ)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "http://127.0.0.1:8550"),
        ({"listen": "0.0.0.0:80"}, "http://127.0.0.1:80"),
        ({"listen": ":8551"}, "http://127.0.0.1:8551"),
        ({"listen": "[::]:8550"}, "http://[::1]:8550"),
        ({"listen": "nuget.example.com:443", "tls_cert": "a.pem"}, "https://nuget.example.com:443"),
        ({"public_url": "https://nuget.example.com/feed"}, "http://127.0.0.1:8550"),
    ],
)
def test_the_address_that_the_server_listens_on_is_asked(settings, expected):
    assert own_url(ServerSettings(**settings)) == expected


def test_a_server_that_is_ready(url):
    ended = health("--url", f"{url}/good/")

    assert (ended.exit_code, ended.stdout) == (0, f"{url}/good is ready.\n")
    assert Answering.asked == ["/good/health/ready"]


def test_the_reason_is_printed_when_it_is_not(url):
    ended = health(NUGETPROXY_SERVER__LISTEN=url.removeprefix("http://"))

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == f"nugetproxy: {url} is not ready: status 503: the disk is gone\n"


def test_credentials_in_the_url_are_not_printed(url):
    for address in (url, "http://127.0.0.1:1"):
        ended = health("--url", address.replace("//", "//alice:s3cret@") + "/good")
        assert "s3cret" not in ended.output
        assert "http://***@127.0.0.1:" in ended.output


def test_nobody_listens():
    port = free_port()
    ended = health("--listen", f"127.0.0.1:{port}")

    assert (ended.exit_code, ended.stderr) == (
        1, f"nugetproxy: http://127.0.0.1:{port} is not ready: Connection refused\n",
    )  # fmt: skip


@pytest.mark.parametrize("wrong", ["ftp://x", "nuget.example.com", "http://x:port"])
def test_an_invalid_url(wrong):
    assert "not an http or https URL" in health("--url", wrong).stderr


def test_wrong_settings_are_reported():
    ended = health(NUGETPROXY_SERVER__WORKERS="0")

    assert ended.exit_code == 78
    assert "server.workers" in ended.stderr


def test_a_server_with_tls_on_another_port(tmp_path):
    """
    Its certificate names the host that clients use, not the address requested here.
    """
    certificate, key = PrivateCA(tmp_path / "ca").issue("nuget.example.com")
    with Server(tmp_path / "data", "--offline", tls=(certificate, key)) as server:
        told = ["--tls-cert", str(certificate), "--tls-key", str(key), "--listen", f"127.0.0.1:{server.port}"]
        ended = health(*told)

        assert (ended.exit_code, ended.stdout) == (0, f"{server.base} is ready.\n")
        assert "certificate" in health("--url", server.base).stderr
