"""
A private feed for tests: accounts through the command line, packages that every client generation accepts, pushes.
"""

import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from click.testing import CliRunner

from nugetproxy.cli.main import main
from tests.builders import Dependencies, make_nupkg
from tests.serving import Server

PREFIX = "Contoso."
PROTECTING = f'[feed]\nprotected_prefixes = ["{PREFIX}"]\n'
"""Settings of a server on which ids under the prefix are protected."""

_RELATIONSHIPS = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/{id}.nuspec" Id="R1" />'
    "</Relationships>"
)
_TYPES = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />'
    '<Default Extension="nuspec" ContentType="application/octet" />'
    '<Default Extension="txt" ContentType="application/octet" /></Types>'
)


def package(
    package_id: str,
    version: str = "1.0.0",
    *,
    dependencies: Dependencies = (),
    said: str = "",
    more: str = "",
) -> bytes:
    """A package that 2.8.7 reads too. `said` makes one version's bytes differ from another's."""
    files = {
        "_rels/.rels": _RELATIONSHIPS.format(id=package_id).encode(),
        "[Content_Types].xml": _TYPES.encode(),
        "content/readme.txt": (said or version).encode(),
    }
    return make_nupkg(package_id, version, dependencies=dependencies, files=files, more=more)


class Accounts:
    """`nugetproxy user`, `key` and the other commands, with the settings of a running server and its directory."""

    def __init__(self, data: Path) -> None:
        self.data = data
        settings = data.with_name(f"{data.name}.toml")
        self._options = ["--json", "--data", str(data), *(["--config", str(settings)] if settings.exists() else [])]

    def run(self, *arguments: str, typed: str = "") -> Any:
        """What the command prints as JSON."""
        ended = CliRunner().invoke(main, [*arguments, *self._options], input=typed)
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)

    def add_user(self, name: str, password: str = "") -> None:
        self.run("user", "add", name, *(("--password-file", "-") if password else ()), typed=password)

    def add_key(
        self, name: str, owner: str, *, scopes: Sequence[str] = (), glob: str = "", expires: str = "365d"
    ) -> str:
        """Its text."""
        options = [option for scope in scopes for option in ("--scope", scope)]
        if glob:
            options += ["--glob", glob]
        return str(self.run("key", "add", name, "--owner", owner, "--expires", expires, *options)["key"])


class Reply(NamedTuple):
    """A status line and the body."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


def send(server: Server, method: str, path: str, *, key: str = "", body: bytes | None = None) -> Reply:
    """One request, with a key."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body, {"X-NuGet-ApiKey": key} if key else {})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, answer.reason, headers, answer.read())
    finally:
        connection.close()


def push(server: Server, key: str, *packages: bytes) -> None:
    """Each must be accepted."""
    for each in packages:
        reply = send(server, "PUT", "/api/v2/package/", key=key, body=each)
        assert reply.status == 201, reply


def hosted_ids_asked(requests: Sequence[dict[str, Any]]) -> list[str]:
    """The upstream requests that name one of our ids, in any casing or encoding."""
    asked = [unquote(f"{request['path']}?{request['query']}") for request in requests]
    return [each for each in asked if PREFIX.rstrip(".").lower() in each.lower()]
