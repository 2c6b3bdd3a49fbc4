"""A read-only data directory: a mirror on read-only media, with packages pushed before it was copied there."""

import asyncio
import contextlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import structlog

from nugetproxy.errors import StorageUnavailable
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import files_below, running
from tests.flows.private_feed import House, opened
from tests.runtime.serving import serving

PROTECTED = {"protected_prefixes": ["Private."]}
MIRRORED = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
PUSHED = "/v3/flatcontainer/private.one/1.0.0/private.one.1.0.0.nupkg"
REASON = "this server serves a read-only data directory: nothing can be pushed or changed here"
READ = (
    MIRRORED, PUSHED, "/v3/flatcontainer/contoso.utils/index.json", "/v3/registration/contoso.utils/index.json",
    "/v3/registration/private.one/index.json", "/v3/query?q=one", "/v3/query?q=contoso", "/v3/index.json",
    "/v3/vulnerabilities/index.json", "/v3/catalog0/index.json", "/health/ready", "/metrics",
)  # fmt: skip


async def fill(house: House) -> str:
    """Something mirrored and something pushed; the key that pushed it."""
    for path in READ:
        await house.get(path)
    assert (await house.push("Private.One")).status == 201
    assert (await house.get(PUSHED)).status == 200
    return house.key


def snapshot(data: Path) -> dict[str, tuple[int, int]]:
    return {name: ((data / name).stat().st_mtime_ns, (data / name).stat().st_size) for name in files_below(data)}


@pytest.fixture
def unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No directory reports that it is writable; any write anyway is then detected."""
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))


async def test_what_is_kept_is_served_and_nothing_is_written(stocked, tmp_path: Path, request: pytest.FixtureRequest):
    """
    Including what a killed server left in the logs of its databases.
    """
    live, data = tmp_path / "live", tmp_path / "data"
    async with opened(live, stocked, feed=PROTECTED) as house:
        key = await fill(house)
        shutil.copytree(live, data, ignore=shutil.ignore_patterns("*-shm"))
        assert (data / "nugetproxy.db-wal").stat().st_size > 0
    before = snapshot(data)
    request.getfixturevalue("unwritable")
    with structlog.testing.capture_logs() as lines:
        async with served_offline(data, stocked) as house:
            for path in READ:
                assert (await house.get(path)).status == 200, path
            assert (await house.json("/v3/query?q=one"))["totalHits"] == 1
            for method, path in (("PUT", "/api/v2/package/"), ("PUT", "/api/v2/symbolpackage/"),
                                 ("DELETE", "/api/v2/package/Private.One/1.0.0"),
                                 ("POST", "/api/v2/package/Private.One/1.0.0")):  # fmt: skip
                got = await house.send(method, path, key=key, body=b"x")
                assert (got.status, got.reason) == (503, REASON)
    assert snapshot(data) == before
    told = {line["event"] for line in lines if line["log_level"] in ("warning", "error")}
    assert told - {"loop_lagged"} == {"database_copied", "cannot_answer"}  # the machine may be busy


async def test_a_mirror_that_came_without_its_databases_is_read_from_its_files(
    stocked, tmp_path: Path, request: pytest.FixtureRequest
):
    """
    The inventory is built in memory; nothing is hosted.
    """
    async with opened(tmp_path, stocked, feed=PROTECTED) as house:
        await fill(house)
    for file in ("nugetproxy.db", "inventory.db", "revisions", "upstreams.json"):
        (tmp_path / file).unlink()
    for folder in ("documents", "locks", "spool"):
        shutil.rmtree(tmp_path / folder)
    before = snapshot(tmp_path)
    request.getfixturevalue("unwritable")
    async with served_offline(tmp_path, stocked) as house:
        assert (await house.get(MIRRORED)).status == 200
        assert (await house.get(PUSHED)).status == 404
        assert (await house.get("/health/ready")).status == 200
        async with asyncio.timeout(20):
            while (await house.json("/v3/query?q=contoso"))["totalHits"] != 1:
                await asyncio.sleep(0.05)  # the files are read in the background
    assert snapshot(tmp_path) == before


async def test_online_it_is_refused_with_what_would_be_right(stocked, tmp_path: Path, unwritable):
    told = f"the data directory {tmp_path} is read-only for this user: choose one that is writable, or serve its "
    with pytest.raises(StorageUnavailable, match=told + "content with --offline"):
        async with running(tmp_path, stocked):
            pass


@contextlib.asynccontextmanager
async def served_offline(data: Path, upstream: FakeUpstream) -> AsyncIterator[House]:
    async with running(data, upstream, offline=True, feed=PROTECTED) as mirror:
        yield House(mirror.services, data, mirror.port)


def mounted(data: Path) -> list[str]:
    """Run the rest of the command where the directory is mounted read-only."""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(data)]


def without_the_right(data: Path) -> list[str]:
    """Run the rest of the command by a user who may not write there; root without its capabilities is one."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else ["env"]


@pytest.mark.parametrize("how", [mounted, without_the_right], ids=["mounted read-only", "without the right"])
async def test_a_whole_server_and_the_commands_that_read(stocked, how: Callable[[Path], list[str]]):
    """
    With real rights: root may write everywhere but on a read-only mount.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        async with opened(data, stocked, feed=PROTECTED) as house:
            key = await fill(house)
        before = how(data)
        for path in (data, *data.rglob("*")) if how is without_the_right else ():
            path.chmod(0o555 if path.is_dir() else 0o444)
        if shutil.which(before[0]) is None or subprocess.run([*before, "true"], capture_output=True).returncode:
            pytest.skip(f"{before[0]} is not there, or needs rights that are missing")
        then = snapshot(data)
        log = Path(folder) / "log"
        command = [*before, sys.executable, "-m", "nugetproxy", "user", "list", "--data", str(data)]

        listed = subprocess.run(command, capture_output=True, text=True)
        assert (listed.returncode, "alice" in listed.stdout) == (0, True), listed.stderr
        with serving(data, "--offline", before=before, application=None, log=log) as served:
            for address in READ:
                assert await asyncio.to_thread(status, served.port, "GET", address) == (200, "OK"), address
            pushing = await asyncio.to_thread(status, served.port, "PUT", "/api/v2/package/", {"X-NuGet-ApiKey": key})
            assert pushing == (503, REASON)
            told = re.findall(r" (?:warning|error) +(\w+)", served.log)
            assert [event for event in told if event != "loop_lagged"] == ["cannot_answer"], served.log
        assert snapshot(data) == then
        for path in (data, *data.rglob("*")):  # so that it can be removed
            path.chmod(0o700)


def status(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.reason
