"""Importing beside a running server, and a server that finishes what an import began."""

import asyncio
import json
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import Result

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.bundle.committing import Committing
from nugetproxy.mirroring.bundle.imported import newest_created
from nugetproxy.mirroring.bundle.manifest import HostedFacts, Kind
from nugetproxy.mirroring.bundle.signature import PrivateKey
from nugetproxy.runtime import imports
from nugetproxy.storage.documents.urls import kept_urls
from tests.builders import make_nupkg
from tests.cli.command_line import ME, CommandLine
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Mirror, running
from tests.mirroring.bundle.bundles import TRUSTED, File, entry, sha512
from tests.mirroring.bundle.importer import FEED, bundle, document, import_bytes, package
from tests.runtime.serving import Served, serving

STRANGER = PrivateKey.generate()
UPSTREAM = [{"name": "nuget.org", "service_index": FEED}]
LIST = "/v3/flatcontainer/contoso.a/index.json"
NUPKG = "/v3/flatcontainer/contoso.a/1.0.0/contoso.a.1.0.0.nupkg"
A, B = package("Contoso.A"), package("Contoso.A", "2.0.0", payload=b"x" * 2000)
INDEX = document(
    FEED, b'{"version":"3.0.0","resources":[{"@id":"https://feed.test/flat/","@type":"PackageBaseAddress/3.0.0"}]}'
)


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    path = tmp_path / "builds.pub"
    path.write_text(TRUSTED[0].to_text())
    return path


def command(data: Path, trusted: Path, file: str, typed: bytes = b"") -> Result:
    """In this process: it has its own stores, as another process would."""
    return CommandLine(data).run("import", "--trust", str(trusted), "--json", file, typed=typed)


async def versions(mirror: Mirror) -> list[str]:
    got = await mirror.get(LIST)
    return got.json["versions"] if got.status == 200 else []


async def test_the_next_request_sees_it_and_no_request_fails_meanwhile(tmp_path: Path, trusted: Path):
    data, one, other = tmp_path / "data", tmp_path / "one.bundle", tmp_path / "other.bundle"
    one.write_bytes(bundle(*A))
    other.write_bytes(bundle(*B, sequence=2))
    async with running(data, UPSTREAM, offline=True) as mirror:
        assert (await mirror.get(NUPKG)).status == 404
        assert await versions(mirror) == []

        assert (await asyncio.to_thread(command, data, trusted, str(one))).exit_code == 0

        assert await versions(mirror) == ["1.0.0"]
        assert (await mirror.get(NUPKG)).body == A[0][1]
        seen = [await versions(mirror) for _ in range(3)]  # it is hot now
        importing = asyncio.ensure_future(asyncio.to_thread(command, data, trusted, str(other)))
        while not importing.done():
            seen.append(await versions(mirror))
            assert (await mirror.get(NUPKG)).body == A[0][1]
        assert (await importing).exit_code == 0

        assert await versions(mirror) == ["1.0.0", "2.0.0"]
        assert all(each in (["1.0.0"], ["1.0.0", "2.0.0"]) for each in seen)
        assert (await mirror.get(NUPKG.replace("1.0.0", "2.0.0"))).body == B[0][1]
        assert newest_created(data) == 1795975200.0


async def test_a_start_finishes_an_import_that_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = tmp_path / "data"

    async def killed(*_: object) -> None:
        raise StorageUnavailable("as if killed")

    with monkeypatch.context() as patch:
        patch.setattr(Committing, "_commit_packages", killed)
        with pytest.raises(StorageUnavailable):
            await import_bytes(data, bundle(*A))

    async with running(data, UPSTREAM, offline=True) as mirror:
        async with asyncio.timeout(10):
            while await versions(mirror) != ["1.0.0"]:
                await asyncio.sleep(0.02)
            while (data / "imports").exists():
                await asyncio.sleep(0.02)
        assert (await mirror.get(NUPKG)).body == A[0][1]


async def test_an_online_server_asks_before_it_trusts_an_imported_document(upstream: FakeUpstream, tmp_path: Path):
    """
    What changed upstream between export and import was not followed here.
    """
    upstream.add_package("Contoso.A", "1.0.0")
    upstream.add_package("Contoso.A", "3.0.0")
    async with running(tmp_path, upstream) as mirror:
        await versions(mirror)
    [url] = kept_urls(tmp_path / "documents", "contoso.a/index.json")
    old = document(url, b'{"versions":["1.0.0"]}', confirmed=time.time() + 5)

    await import_bytes(tmp_path, bundle(old))

    async with running(tmp_path, upstream) as mirror:
        assert await versions(mirror) == ["1.0.0", "3.0.0"]


def test_it_is_in_the_audit_log_where_there_is_one(tmp_path: Path, trusted: Path):
    data, file = tmp_path / "data", tmp_path / "team.bundle"
    file.write_bytes(bundle(*A, *B))
    CommandLine(data).done("user", "add", "alice", "--admin")

    assert command(data, trusted, str(file)).exit_code == 0

    last = CommandLine(data).audited()[-1]
    assert (last["actor"], last["action"], last["detail"]) == (ME, "bundle.import", "2 packages, 0 documents")


def hosted(package_id: str, *owners: str) -> File:
    content = make_nupkg(package_id, "1.0.0")
    facts = HostedFacts(package_id, "1.0.0", sha512(content), owners, listed=False, published=1_700_000_000_000_000,
                        created=1, last_edited=1, downloads=7,
                        deprecation='{"reasons":["Legacy"],"message":"old","alternate":["","*"]}')  # fmt: skip
    return entry(Kind.HOSTED_PACKAGE, facts, content)


def test_hosted_packages_come_by_option_with_all_that_is_known(tmp_path: Path, trusted: Path):
    data, file = tmp_path / "data", tmp_path / "team.bundle"
    file.write_bytes(bundle(*A, hosted("Own.One", "nobody", "Team", "alice"), hosted("Own.Two", "gone")))
    line = CommandLine(data)
    line.done("user", "add", "alice", "--admin")
    line.done("org", "add", "Team", "--admin", "alice")
    line.done("prefix", "reserve", "Own.*", "--owner", "Team")

    without = command(data, trusted, str(file))
    assert (without.exit_code, json.loads(without.stdout)["hosted"]) == (0, {"left_out": 2})
    assert line.json("package", "list") == []

    some = line.run("import", "--trust", str(trusted), "--json", "--hosted", str(file))
    report = json.loads(some.stdout)["hosted"]
    assert (some.exit_code, report["imported"], report["refused"]) == (1, 1, 1)
    assert "--owner" in some.stdout

    rest = line.json("import", "--trust", str(trusted), "--hosted", "--owner", "Team", str(file))["hosted"]
    assert (rest["imported"], rest["kept"]) == (1, 1)
    assert line.json("owner", "list", "Own.One")["owners"] == ["alice", "Team"]
    [one, _] = rest["files"]
    assert (one["published"], one["listed"], one["deprecated"], one["downloads"]) == (
        "2023-11-14T22:13:20.0000000Z", False, True, 7,
    )  # fmt: skip


def test_a_pipe_and_volumes(tmp_path: Path, trusted: Path):
    content, file = bundle(*A, *B), tmp_path / "team.bundle"

    piped = command(tmp_path / "piped", trusted, "-", content)

    assert (piped.exit_code, json.loads(piped.stdout)["packages"]["new"]) == (0, 2)
    half = len(content) // 2
    for number, part in enumerate((content[:half], content[half:]), 1):
        (tmp_path / f"team.bundle.{number:03}").write_bytes(part)
    assert command(tmp_path / "volumes", trusted, str(file)).exit_code == 0
    later = command(tmp_path / "later", trusted, f"{file}.002")
    assert (later.exit_code, "team.bundle.001" in later.stderr) == (2, True)
    (tmp_path / "team.bundle.002").unlink()
    missing = command(tmp_path / "missing", trusted, str(file))
    assert (missing.exit_code, "truncated" in missing.stderr) == (1, True)


@pytest.mark.parametrize(
    ("content", "says"),
    [(bundle(*A, signer=STRANGER), "cannot be trusted"), (b"PK\3\4" * 400, "bundle.json"), (b"", "truncated")],
    ids=["other key", "a zip", "empty"],
)
def test_the_exit_code_and_the_reason(tmp_path: Path, trusted: Path, content: bytes, says: str):
    file = tmp_path / "x.bundle"
    file.write_bytes(content)

    ended = command(tmp_path / "data", trusted, str(file))

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert says in json.loads(ended.stderr)["error"]
    assert not (tmp_path / "data").exists()


def fetched(served: Served, path: str) -> object:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.port}{path}") as answer:
        return json.load(answer)


def test_a_new_upstream_is_served_when_the_import_has_ended(tmp_path: Path, trusted: Path):
    data, file = tmp_path / "data", tmp_path / "team.bundle"
    upstreams = {"corp": "https://corp.test/v3/index.json", "nuget.org": FEED}
    file.write_bytes(bundle(*package("Corp.A", upstreams=("corp",)), *A, upstreams=upstreams))
    with serving(data, "--offline", application=None) as served:
        before = served.workers()

        imported = command(data, trusted, str(file))

        assert imported.exit_code == 0
        assert "does not serve" not in imported.stderr
        assert fetched(served, "/v3/flatcontainer/corp.a/index.json") == {"versions": ["1.0.0"]}
        assert fetched(served, LIST) == {"versions": ["1.0.0"]}
        assert served.workers() - before


def test_a_server_whose_settings_name_upstreams_is_left_alone(
    tmp_path: Path, trusted: Path, monkeypatch: pytest.MonkeyPatch
):
    data, file = tmp_path / "data", tmp_path / "team.bundle"
    file.write_bytes(
        bundle(*package("Corp.A", upstreams=("corp",)), upstreams={"corp": "https://corp.test/index.json"})
    )
    monkeypatch.setattr(imports, "REPLACED_WITHIN", 0.6)
    with serving(data, "--offline", "--upstream", FEED, application=None) as served:
        before = served.workers()

        imported = command(data, trusted, str(file))

        assert imported.exit_code == 0
        assert "a running server does not serve packages of new upstreams yet" in imported.stderr
        assert served.workers() == before
