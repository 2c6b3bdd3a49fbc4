"""Kept files that somebody cut short or changed are never served: they go to quarantine and are fetched again."""

import os
from pathlib import Path

import pytest

from nugetproxy.web.answers import transfer
from tests.flows.mirror import running

PATH = "/v3/flatcontainer/big/1.0.0/big.1.0.0.nupkg"
NUSPEC = "/v3/flatcontainer/big/1.0.0/big.nuspec"


def cut(path: Path) -> None:
    os.truncate(path, 1000)


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, change])
@pytest.mark.parametrize("offline", [False, True])
async def test_a_damaged_package_is_not_served(upstream, tmp_path, damage, offline):
    package = upstream.add_package("Big", "1.0.0", padding=300_000)
    async with running(tmp_path, upstream) as mirror:
        assert (await mirror.get(PATH)).body == package.nupkg
    [kept] = tmp_path.rglob("*.nupkg")
    damage(kept)
    async with running(tmp_path, upstream, offline=offline) as mirror:
        if offline:
            assert (await mirror.get(PATH)).status == 404
            assert not list((tmp_path / "mirror").rglob("*.nupkg"))
        else:
            for _ in range(2):
                assert (await mirror.get(PATH)).body == package.nupkg
            assert kept.read_bytes() == package.nupkg
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    assert upstream.requests_for("*.nupkg") == (1 if offline else 2)


async def test_a_copied_package_is_served(upstream, tmp_path):
    """
    A data directory that was copied without its times.
    """
    package = upstream.add_package("Big", "1.0.0", padding=300_000)
    async with running(tmp_path, upstream) as mirror:
        await mirror.get(PATH)
    for each in tmp_path.rglob("big.*"):
        os.utime(each)
    async with running(tmp_path, upstream, offline=True) as mirror:
        assert (await mirror.get(PATH)).body == package.nupkg
        assert (await mirror.get(NUSPEC)).body == package.nuspec


async def test_a_changed_nuspec_is_not_served(upstream, tmp_path):
    package = upstream.add_package("Big", "1.0.0")
    async with running(tmp_path, upstream) as mirror:
        for _ in range(2):  # the second waits until it is stored
            await mirror.get(PATH)
        [nuspec] = tmp_path.rglob("*.nuspec")
        nuspec.write_bytes(package.nuspec.replace(b"1.0.0", b"6.6.6"))
        assert (await mirror.get(NUSPEC)).body == package.nuspec
    assert upstream.requests_for("*.nuspec") == 0


async def test_a_file_that_goes_away_between_lookup_and_opening_is_fetched_again(upstream, tmp_path, monkeypatch):
    package = upstream.add_package("Big", "1.0.0", padding=300_000)
    async with running(tmp_path, upstream, server={"hot_memory": 0}) as mirror:
        for _ in range(2):
            await mirror.get(PATH)
        [kept] = tmp_path.rglob("*.nupkg")
        opened = transfer._opened

        def evicting(file):
            kept.unlink(missing_ok=True)
            return opened(file)

        monkeypatch.setattr(transfer, "_opened", evicting)
        assert (await mirror.get(PATH)).body == package.nupkg
