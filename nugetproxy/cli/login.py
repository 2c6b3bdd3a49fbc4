"""nugetproxy login: a credential for restores on this machine, without a password or a key that anybody types."""

import http.client
import json
import socket
import ssl
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from nugetproxy.cli.output import note, refuse, report

_TIMEOUT: Final = 30.0
_LARGEST: Final = 65_536


@click.command()
@click.argument("url")
@click.option("--name", default="nugetproxy", show_default=True, metavar="SOURCE", help="The name of the source.")
@click.option("--config-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The NuGet.Config to write.  [default: ~/.nuget/NuGet/NuGet.Config]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def login(url: str, name: str, config_file: Path | None, as_json: bool) -> None:
    """Sign in with a browser, for NuGet clients here.

    Writes the credential for the server at URL into the NuGet.Config of this user.

    It prints an address and a code. Open the address in any browser, on any machine, sign in, and allow it. The
    credential is a key that reads for 30 days; it is listed in your account, where you can revoke it.
    """
    from nugetproxy.cli.nuget_config import checked_source_name, default_path, write_credentials
    from nugetproxy.errors import NugetproxyError

    try:
        checked_source_name(name)
        base = _base(url)
        path = config_file or default_path()
        begun = _ask(base, "/device/code", {"label": socket.gethostname()[:40] or "command line"})
        note(f"open {begun['verification_uri_complete']} and allow the code {begun['user_code']}")
        got = _wait(base, begun)
        write_credentials(path, name, f"{base}/v3/index.json", str(got["username"]), str(got["apiKey"]))
    except NugetproxyError as error:
        refuse(error)
    told = f"Signed in as {got['username']}. Wrote the source {name} and its credential to {path}."
    report(as_json, {"username": got["username"], "source": name, "file": str(path)}, told)


def _base(url: str) -> str:
    """The server's URL without the path of its service index. Raises InvalidRequest."""
    from nugetproxy.errors import InvalidRequest

    base = url.rstrip("/").removesuffix("/v3/index.json")
    try:
        parts = urlsplit(base)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        is_usable = False
    if not is_usable:
        raise InvalidRequest("expected the URL of the server, such as https://nuget.example.com")
    return base


def _wait(base: str, begun: dict[str, Any]) -> dict[str, Any]:
    """Ask until it is allowed. Raises Forbidden when nobody does in time."""
    from nugetproxy.errors import Forbidden

    ends = time.monotonic() + float(begun["expires_in"])
    while time.monotonic() < ends:
        time.sleep(max(0.1, float(begun["interval"])))
        got = _ask(base, "/device/token", {"device_code": begun["device_code"]}, pending=True)
        if "apiKey" in got:
            return got
        if got.get("error") != "authorization_pending":
            break
    raise Forbidden("the code was not allowed in time; run this again")


def _ask(base: str, path: str, body: dict[str, str], *, pending: bool = False) -> dict[str, Any]:
    """The JSON object that the server answers. `pending`: 400 is an answer, too. Raises UpstreamUnavailable."""
    from nugetproxy.errors import UpstreamUnavailable

    parts = urlsplit(base)
    host = parts.hostname or ""
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    connection = (
        http.client.HTTPConnection(host, parts.port, timeout=_TIMEOUT)
        if secure is None
        else http.client.HTTPSConnection(host, parts.port, timeout=_TIMEOUT, context=secure)
    )
    try:
        connection.request("POST", parts.path + path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read(_LARGEST)
    except (OSError, http.client.HTTPException) as error:
        raise UpstreamUnavailable(base, str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if answer.status != 200 and not (pending and answer.status == 400):
        raise UpstreamUnavailable(base, f"status {answer.status} {answer.reason}")
    try:
        got = json.loads(text)
    except ValueError:
        got = None
    if not isinstance(got, dict):
        raise UpstreamUnavailable(base, "its answer is not a JSON object: is this the URL of the server?")
    return got
