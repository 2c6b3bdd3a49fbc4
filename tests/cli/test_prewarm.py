"""nugetproxy prewarm: fills the mirror from files that build agents have, and lists what could not be fetched."""

import asyncio
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nugetproxy.cli.main import main
from nugetproxy.mirroring.prewarm.patience import Patience
from nugetproxy.nuget.signature import content_hash
from tests.fakes.faults import corrupt, status
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.clients import skipping
from tests.serving import Server

IDS = ("Contoso.Base", "Contoso.Utils", "Contoso.Tools")


@pytest.fixture
async def gallery(upstream: FakeUpstream) -> FakeUpstream:
    """One version of each of three packages."""
    for name in IDS:
        upstream.add_package(name, "1.0.0", padding=100_000)
    return upstream


def hash_of(upstream: FakeUpstream, name: str) -> str:
    return content_hash(io.BytesIO(upstream.gallery.packages[name.lower()]["1.0.0"].nupkg))


def lock_file(folder: Path, hashes: dict[str, str]) -> Path:
    file = folder / "packages.lock.json"
    packages = {
        name: {"type": "Direct", "requested": "[1.0.0, )", "resolved": "1.0.0", "contentHash": digest}
        for name, digest in hashes.items()
    }
    file.write_text(json.dumps({"version": 1, "dependencies": {"net8.0": packages}}))
    return file


def assets_file(folder: Path, hashes: dict[str, str]) -> Path:
    file = folder / "project.assets.json"
    libraries: dict[str, Any] = {f"{name}/1.0.0": {"type": "package", "sha512": d} for name, d in hashes.items()}
    file.write_text(json.dumps({"version": 3, "libraries": libraries | {"My.App/1.0.0": {"type": "project"}}}))
    return file


def plain_list(folder: Path, *lines: str) -> Path:
    file = folder / "packages.txt"
    file.write_text("# what we need\n" + "\n".join(lines) + "\n")
    return file


async def prewarm(upstream: FakeUpstream | None, data: Path, *files: Path | str) -> Result:
    arguments = ["prewarm", *map(str, files), "--data", str(data)]
    arguments += ["--upstream", upstream.url] if upstream is not None else []
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


def kept(data: Path) -> set[str]:
    return {path.name for path in (data / "mirror").rglob("*.nupkg")}


ALL = {f"{name.lower()}.1.0.0.nupkg" for name in IDS}


@pytest.mark.parametrize("form", ["lock", "assets", "list"])
async def test_every_form_of_file_is_understood(gallery, tmp_path, form):
    hashes = {name: hash_of(gallery, name) for name in IDS}
    file = {
        "lock": lambda: lock_file(tmp_path, hashes),
        "assets": lambda: assets_file(tmp_path, hashes),
        "list": lambda: plain_list(tmp_path, *(f"{name} 1.0" for name in IDS)),
    }[form]()
    ended = await prewarm(gallery, tmp_path / "data", file)
    assert ended.exit_code == 0, ended.output
    assert "Packages: 3 (0 kept before, 3 fetched" in ended.output
    assert kept(tmp_path / "data") == ALL


async def test_a_second_run_fetches_nothing(gallery, tmp_path):
    file = plain_list(tmp_path, *(f"{name} 1.0.0" for name in IDS))
    await prewarm(gallery, tmp_path / "data", file)
    asked = len(gallery.log)
    ended = await prewarm(gallery, tmp_path / "data", file)
    assert "Packages: 3 (3 kept before, 0 fetched, 0.0 MB). Ids with documents: 3. Problems: 0." in ended.output
    assert len(gallery.log) == asked


async def test_an_interrupted_run_can_be_continued(gallery, tmp_path):
    await prewarm(gallery, tmp_path / "data", plain_list(tmp_path, "Contoso.Base 1.0.0"))
    ended = await prewarm(gallery, tmp_path / "data", plain_list(tmp_path, *(f"{name} 1.0.0" for name in IDS)))
    assert "Packages: 3 (1 kept before, 2 fetched" in ended.output
    assert gallery.requests_for("*.nupkg") == 3


async def test_a_hash_that_differs_is_named(gallery, tmp_path):
    """
    A locked restore would fail with NU1403; better to learn it now. The package itself is kept.
    """
    file = lock_file(tmp_path, {"Contoso.Base": hash_of(gallery, "Contoso.Utils")})
    ended = await prewarm(gallery, tmp_path / "data", file)
    assert ended.exit_code == 1
    assert "Contoso.Base 1.0.0: the lock file states contentHash" in ended.output
    assert "NU1403" in ended.output
    assert kept(tmp_path / "data") == {"contoso.base.1.0.0.nupkg"}


async def test_a_package_named_by_several_files_counts_once(gallery, tmp_path):
    """
    Two lock files that disagree about its hash still name one package.
    """
    files = []
    for name, hashed in (("one", "Contoso.Base"), ("two", "Contoso.Utils")):
        (tmp_path / name).mkdir()
        files.append(lock_file(tmp_path / name, {"Contoso.Base": hash_of(gallery, hashed)}))
    ended = await prewarm(
        gallery, tmp_path / "data", *files, plain_list(tmp_path, "contoso.BASE 1.0", "Contoso.Base 1.0.0")
    )
    size = len(gallery.gallery.packages["contoso.base"]["1.0.0"].nupkg)

    assert ended.exit_code == 1
    assert (
        f"Packages: 1 (0 kept before, 1 fetched, {size / 1e6:.1f} MB). Ids with documents: 1. Problems: 1."
        in ended.output
    )
    assert gallery.requests_for("*.nupkg") == 1


async def test_missing_packages_are_named_and_the_rest_fetched(gallery, tmp_path):
    lines = ["Contoso.Base 1.0.0", "Contoso.Base 9.0.0", "Nobody 1.0.0", "Nobody 2.0.0"]
    ended = await prewarm(gallery, tmp_path / "data", plain_list(tmp_path, *lines))
    assert ended.exit_code == 1
    for told in (
        "Could not be fetched: Contoso.Base 9.0.0: package 'Contoso.Base' has no version '9.0.0'",
        "Could not be fetched: Nobody: package 'Nobody' does not exist here",
        "Packages: 4 (0 kept before, 1 fetched",
        "Problems: 2.",
    ):
        assert told in ended.output
    assert kept(tmp_path / "data") == {"contoso.base.1.0.0.nupkg"}


@pytest.mark.parametrize(("fault", "why"), [(status(403), "403"), (corrupt(90_000), "sent an invalid answer")])
async def test_a_failing_upstream_is_named(gallery, tmp_path, fault, why):
    gallery.fault("*contoso.base.1.0.0.nupkg", fault)
    lines = [f"{name} 1.0.0" for name in IDS]
    ended = await prewarm(gallery, tmp_path / "data", plain_list(tmp_path, *lines))
    assert ended.exit_code == 1
    refused = next(
        line for line in ended.output.splitlines() if line.startswith("Could not be fetched: Contoso.Base 1.0.0")
    )
    assert why in refused
    assert kept(tmp_path / "data") == ALL - {"contoso.base.1.0.0.nupkg"}


async def test_waiting_for_an_upstream_is_reported(gallery, tmp_path, monkeypatch):
    in_time, made = skipping(monkeypatch), Patience.__init__

    async def sleep(seconds: float) -> None:
        in_time(seconds)

    monkeypatch.setattr(Patience, "__init__", lambda self, resting: made(self, resting, sleep))
    monkeypatch.setenv("NUGETPROXY_MIRRORING__UPSTREAM__0__PATIENCE", "1s")
    gallery.fault("*.nupkg", status(429, retry_after=400), times=4)
    ended = await prewarm(gallery, tmp_path / "data", plain_list(tmp_path, *(f"{name} 1.0.0" for name in IDS)))
    assert ended.exit_code == 0, ended.output
    assert re.search(r"Waiting (29\d|300) s: upstream", ended.output)
    assert "answered 429 Too Many Requests" in ended.output
    assert kept(tmp_path / "data") == ALL


@pytest.mark.parametrize(
    ("name", "content"),
    [("packages.txt", "Contoso.Base 1.x\n"), ("packages.lock.json", "{"), ("packages.lock.json", '{"version": 1}')],
)
async def test_a_file_that_cannot_be_read_ends_it_before_any_request(gallery, tmp_path, name, content):
    file = tmp_path / name
    file.write_text(content)
    ended = await prewarm(gallery, tmp_path / "data", file)
    assert ended.exit_code == 2
    assert name in ended.output
    assert gallery.log == []


async def test_an_empty_list_is_not_a_failure(gallery, tmp_path):
    ended = await prewarm(gallery, tmp_path / "data", plain_list(tmp_path))
    assert (ended.exit_code, gallery.log) == (0, [])


async def test_it_runs_beside_a_server_and_everything_is_available_offline(gallery, tmp_path):
    """
    On one data directory: the running server serves the prewarmed packages. Offline nothing is missing, even without
    knowing which upstream it came from.
    """
    data = tmp_path / "data"
    server = Server(data, upstream=gallery.url)
    try:
        await asyncio.to_thread(server.start)
        file = plain_list(tmp_path, *(f"{name} 1.0.0" for name in IDS))
        assert (await prewarm(gallery, data, file)).exit_code == 0
        asked = gallery.requests_for("*.nupkg")
        for name in IDS:
            lower = name.lower()
            body = await asyncio.to_thread(server.get, f"/v3/flatcontainer/{lower}/1.0.0/{lower}.1.0.0.nupkg")
            assert body == gallery.gallery.packages[lower]["1.0.0"].nupkg
        assert (gallery.requests_for("*.nupkg"), asked) == (3, 3)
    finally:
        await asyncio.to_thread(server.stop)

    await gallery.die()
    offline = Server(data, "--offline")
    try:
        await asyncio.to_thread(offline.start)
        for name in IDS:
            lower = name.lower()
            for path in (f"flatcontainer/{lower}/index.json", f"flatcontainer/{lower}/1.0.0/{lower}.1.0.0.nupkg",
                         f"registration/{lower}/index.json", f"registration-gz-semver2/{lower}/index.json",
                         "vulnerabilities/index.json", "vulnerabilities/base.json"):  # fmt: skip
                assert await asyncio.to_thread(offline.get, f"/v3/{path}"), path
        found = json.loads(await asyncio.to_thread(offline.get, "/v3/query?q=contoso"))
        assert found["totalHits"] == 3
    finally:
        await asyncio.to_thread(offline.stop)


async def test_offline_it_says_what_is_not_kept(gallery, tmp_path):
    data = tmp_path / "data"
    await prewarm(gallery, data, plain_list(tmp_path, "Contoso.Base 1.0.0"))
    ended = await prewarm(gallery, data, plain_list(tmp_path, "Contoso.Base 1.0.0", "Contoso.Utils 1.0.0"), "--offline")
    assert ended.exit_code == 1
    assert "Could not be fetched: Contoso.Utils 1.0.0: 'Contoso.Utils 1.0.0' is not in this mirror" in ended.output


async def test_root_leaves_a_directory_of_others_alone(gallery, tmp_path, monkeypatch):
    """
    The server could neither read nor replace the files that root writes there.
    """
    data = tmp_path / "data"
    data.mkdir()
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    run = await prewarm(gallery, data, plain_list(tmp_path, "Contoso.Base 1.0.0"))

    assert run.exit_code == 1
    assert "run this as" in run.output
    assert list(data.iterdir()) == []
