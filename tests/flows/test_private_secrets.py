"""No secret appears: not in logs, metrics, refusals, answers, the audit log, nor in any byte of the data directory."""

import asyncio
import base64
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from nugetproxy import logs
from nugetproxy.cli.main import main
from nugetproxy.hosting.publish import Publish
from tests.builders import make_nupkg
from tests.flows.mirror import Got
from tests.flows.private_feed import basic, head, official_form, opened
from tests.flows.test_private_feed import CLOSED, Visitor
from tests.private import PROTECTING, Accounts
from tests.serving import Server

PASSWORD = "Sesame-Open-4711"
WRONG_PASSWORD = "Wrong-Sesame-4712"
FOREIGN_KEY = "oy2aforeignkeythatsomebodypastedhere4713abcdefg"
PATHS = (
    "/v3/index.json", "/v3/query?q=contoso", "/v3/flatcontainer/contoso.utils/index.json",
    "/v3/flatcontainer/nobody/index.json", "/v3/flatcontainer/..%2f/index.json", "/api/v2/Packages()?$filter=nonsense(",
    "/api/v2/verifykey/contoso.utils/1.0.0", "/nowhere", "/v3/catalog0/index.json", "/symbols/a.pdb/x/a.pdb",
)  # fmt: skip


def spellings(*secrets: str) -> list[bytes]:
    """The secrets in clear text, in base64 as Basic sends them at any offset, quoted, and truncated."""
    found = set()
    for secret in secrets:
        found |= {secret, secret[4:-4], secret.upper(), secret.lower(), quote(secret), secret[::-1]}
        for offset in range(3):
            encoded = base64.b64encode(b"x" * offset + secret.encode()).decode()
            found.add(encoded[4:-4])
    return [text.encode() for text in found]


def damaged(key: str) -> str:
    return key[:-1] + ("a" if key[-1] != "a" else "b")


class Talker:
    """Sends everything with every credential, and records the answers."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.told: list[Got] = []

    async def ask(self, path: str, headers: dict[str, str], *, method: str = "GET", body: bytes = b"") -> Got:
        visitor = Visitor(*await asyncio.open_connection("127.0.0.1", self.server.port))
        try:
            length = {"Content-Length": str(len(body))} if body else {}
            got = await visitor.ask(path, {**headers, **length, "Connection": "close"}, method=method, body=body)
        finally:
            await visitor.leave()
        self.told.append(got)
        return got

    async def say_everything(self, headers: dict[str, str]) -> None:
        for path in PATHS:
            await self.ask(path, headers)
        for version in ("1.0.0", "1.0.0"):
            form, body = official_form(make_nupkg("Contoso.Utils", version))
            await self.ask("/api/v2/package/", headers | form, method="PUT", body=body)
        await self.ask("/api/v2/package", headers, method="PUT", body=b"no package")
        await self.ask("/api/v2/package", headers, method="PUT", body=make_nupkg("Elsewhere"))
        await self.ask("/api/v2/symbolpackage", headers, method="PUT", body=b"no package")
        await self.ask("/api/v2/package", headers | {"Content-Type": "multipart/form-data"}, method="PUT", body=b"x")
        await self.ask("/api/v2/package/Contoso.Utils/1.0.0", headers, method="DELETE")
        await self.ask("/api/v2/package/Contoso.Utils/1.0.0", headers, method="POST")
        await self.ask("/api/v2/package/Contoso.Utils/9.9.9?Type=HardDelete", headers, method="DELETE")
        await self.ask("/api/v2/package/Contoso.Utils/deprecations?versions=1&isLegacy=true", headers, method="PUT")
        await self.ask("/api/v2/package/create-verification-key/Contoso.Utils", headers | {"X": "y"}, method="DELETE")


@pytest.mark.parametrize("form", ["plain", "json"])
async def test_no_secret_shows_anywhere(upstream, tmp_path, form):
    data = tmp_path / "data"
    accounts = Accounts(data)
    said = f'[logs]\nformat = "{form}"\nlevel = "debug"\naccess = true\n'
    server = Server(data, upstream=upstream.url, config="\n".join((PROTECTING, CLOSED, said)))

    def furnish() -> tuple[str, str, str]:
        accounts.add_user("alice", PASSWORD)
        live, revoked = accounts.add_key("live", "alice"), accounts.add_key("old", "alice")
        accounts.run("key", "revoke", "old")
        return live, revoked, str(accounts.run("key", "rotate", "live")["key"])

    await asyncio.to_thread(server.start)
    try:
        live, revoked, rotated = await asyncio.to_thread(furnish)
        keys = (live, revoked, rotated, damaged(live), FOREIGN_KEY)
        talker = Talker(server)
        for headers in (
            basic("alice", PASSWORD), basic("alice", WRONG_PASSWORD), *(basic("x", key) for key in keys),
            *({"X-NuGet-ApiKey": key} for key in keys),
            {"X-NuGet-ApiKey": live} | basic("alice", PASSWORD), {"Authorization": f"Bearer {live}"},
            {"Authorization": PASSWORD}, {"X-NuGet-ApiKey": live, "Expect": "nonsense"},
        ):  # fmt: skip
            await talker.say_everything(headers)
        made = await talker.ask(
            "/api/v2/package/create-verification-key/Contoso.Utils", {"X-NuGet-ApiKey": live}, method="POST"
        )
        verification = made.json["Key"]
        talker.told.remove(made)  # where it is shown, only once
        await talker.ask("/api/v2/verifykey/Contoso.Utils/1.0.0", {"X-NuGet-ApiKey": verification})
        metrics = await asyncio.to_thread(server.get, "/metrics")
        audit = await asyncio.to_thread(audited, data)
        secrets = spellings(PASSWORD, WRONG_PASSWORD, *keys, verification)
        assert {got.status for got in talker.told} >= {200, 201, 204, 400, 401, 403, 404, 409}
        for got in talker.told:
            shown = f"{got.status} {got.reason} {got.headers}".encode() + got.body
            assert_none(secrets, shown, f"an answer: {shown[:300]!r}")
        assert_none(secrets, metrics, "metrics")
        assert_none(secrets, audit, "the audit log")
        assert b"package.push" in audit
        search_files(secrets, data)
    finally:
        await asyncio.to_thread(server.stop)
    assert "package_pushed" in server.log
    assert "/api/v2/package" in server.log
    assert_none(secrets, server.log.encode(), "the log")
    search_files(secrets, data)


@pytest.mark.parametrize("form", ["plain", "json"])
async def test_an_unforeseen_failure_tells_no_secret(upstream, tmp_path, monkeypatch, form):
    """
    Its traceback is logged, with lines of code and without the values of variables.
    """

    async def fail(self: Publish, actor: object, spool: object, *, address: str) -> None:
        held = PASSWORD
        raise LookupError(f"out of the blue, {len(held)}")

    monkeypatch.setattr(Publish, "push", fail)
    out = io.StringIO()
    async with opened(tmp_path, upstream) as house:
        await house.accounts.directory.set_password("alice", PASSWORD)
        with redirect_stdout(out), redirect_stderr(out):
            logs.set_up(form, "debug")
            headers = basic("alice", PASSWORD) | {"X-NuGet-ApiKey": house.key}
            got = await house.send("PUT", "/api/v2/package/", headers=headers, body=make_nupkg())
            await house.exchange(head("GET", "/v3/index.json", {"Host": "x", **headers, "Bad Name": PASSWORD}))
        secrets = spellings(PASSWORD, house.key)
        assert got.status == 500
        assert_none(secrets, f"{got}".encode(), "the answer")
        assert "out of the blue" in out.getvalue()
        assert_none(secrets, out.getvalue().encode(), "the log")


def audited(data: Path) -> bytes:
    ended = CliRunner().invoke(main, ["audit", "--json", "--limit", "10000", "--data", str(data)])
    assert ended.exit_code == 0, ended.output
    return ended.stdout.encode()


def assert_none(secrets: list[bytes], text: bytes, where: str) -> None:
    for secret in secrets:
        assert secret not in text, f"{secret!r} shows in {where}"


def search_files(secrets: list[bytes], folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert_none(secrets, path.read_bytes(), str(path))
