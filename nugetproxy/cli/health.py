"""nugetproxy health: whether the server of these settings is ready, for container engines, scripts and people."""

import http.client
import re
import ssl
import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

import click

from nugetproxy.cli.options import load_config, server_options
from nugetproxy.cli.output import REFUSED, complain
from nugetproxy.cli.serve import reachable_host

if TYPE_CHECKING:
    from nugetproxy.config import ServerSettings

_PATH: Final = "/health/ready"
_LONGEST_REASON: Final = 500
_USERINFO: Final = re.compile(r"(?<=//)[^/?#]*@")


@click.command()
@server_options
@click.option("--url", metavar="URL", help="Ask this server instead, such as https://nuget.example.com.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=5.0, show_default=True, metavar="SECONDS")
def health(url: str | None, timeout: float, **options: object) -> None:
    """Check that the server is ready. Exits with 0 if it is, or with 1 and a reason if it is not.

    It requests the address that `serve` listens on with the same options, environment and file.
    """
    base = url.rstrip("/") if url else own_url(load_config(options).server)
    named = _USERINFO.sub("***@", base)
    if why := problem(base, timeout, is_own=url is None):
        complain([f"{named} is not ready: {why}"])
        sys.exit(REFUSED)
    click.echo(f"{named} is ready.")


def own_url(server: "ServerSettings") -> str:
    """The URL of a server with these settings, from this machine."""
    from nugetproxy.config import parse_listen

    host, port = parse_listen(server.listen)
    return f"{'https' if server.tls_cert else 'http'}://{reachable_host(host)}:{port}"


def problem(base: str, timeout: float, *, is_own: bool) -> str:
    """Why the server at this URL is not ready; empty if it is.

    `is_own`: its certificate is not verified, because it names the host that clients use and not this address.
    """
    status, body, why = ask(base, _PATH, timeout, is_own=is_own, most=_LONGEST_REASON)
    if why:
        return why
    text = body.decode("utf-8", "replace").strip()
    return "" if status == http.client.OK else f"status {status}: {text or http.client.responses.get(status, '')}"


def ask(base: str, path: str, timeout: float, *, is_own: bool, most: int) -> tuple[int, bytes, str]:
    """The status of a GET of `path` below `base`, at most `most` bytes of the body, and an empty text; else why not.

    `is_own` as in `problem`.
    """
    parts = urlsplit(base)
    try:
        connection = _connection(parts, timeout, is_own=is_own)
    except ValueError:
        return 0, b"", "not an http or https URL"
    try:
        connection.request("GET", parts.path + path)
        answer = connection.getresponse()
        return answer.status, answer.read(most), ""
    except TimeoutError:
        return 0, b"", f"no answer within {timeout:g} s"
    except ssl.SSLCertVerificationError as error:
        return 0, b"", f"its certificate is not accepted: {error.verify_message}"
    except (OSError, http.client.HTTPException) as error:
        return 0, b"", getattr(error, "strerror", None) or str(error) or type(error).__name__
    finally:
        connection.close()


def _connection(parts: SplitResult, timeout: float, *, is_own: bool) -> http.client.HTTPConnection:
    """Raises ValueError for an invalid URL."""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(parts.geturl())
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    context = ssl.create_default_context()
    if is_own:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
