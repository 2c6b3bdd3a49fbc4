"""An export beside a server that fetches and serves packages."""

import asyncio
from pathlib import Path

from nugetproxy.mirroring.bundle.manifest import Kind
from nugetproxy.mirroring.bundle.reading import open_bundle
from nugetproxy.mirroring.bundle.signature import PublicKey, write_key_pair
from nugetproxy.mirroring.bundle.volumes import VolumeStream
from tests.cli.command_line import CommandLine
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Mirror, running

COUNT = 12


async def fetch(mirror: Mirror, number: int) -> None:
    for path in (f"contoso.p{number}/index.json", f"contoso.p{number}/1.0.0/contoso.p{number}.1.0.0.nupkg"):
        assert (await mirror.get(f"/v3/flatcontainer/{path}")).status == 200


def packages_in(bundle: Path, key: PublicKey) -> int:
    """After reading all of it."""
    with VolumeStream(bundle) as stream, open_bundle(stream.read, str(bundle), [key]) as reader:
        return sum(bool(file.read()) and file.entry.kind is Kind.PACKAGE for file in reader.files())


async def test_what_was_kept_before_is_in_it(upstream: FakeUpstream, tmp_path: Path) -> None:
    """
    Clients go on fetching while bundles are written: each bundle holds at least what was kept before it was begun.
    """
    for number in range(COUNT):
        upstream.add_package(f"Contoso.P{number}", "1.0.0", padding=50_000)
    key = write_key_pair(tmp_path / "builds", "builds")
    line = CommandLine(tmp_path / "data")
    async with running(line.data, upstream) as mirror:
        await fetch(mirror, 0)

        async def fetch_on() -> None:
            for number in range(1, COUNT):
                await fetch(mirror, number)
                await asyncio.sleep(0.1)

        fetching = asyncio.create_task(fetch_on())
        while not fetching.done():
            # An answer may end before its package is in place.
            before = len(list((line.data / "mirror").rglob("*.nupkg")))
            to = tmp_path / f"{before}.bundle"
            await asyncio.to_thread(line.done, "export", "--key", str(tmp_path / "builds"), "--to", str(to))
            assert before <= packages_in(to, key) <= COUNT
        await fetching
        await asyncio.to_thread(line.done, "export", "--key", str(tmp_path / "builds"), "--to", str(to))
    assert COUNT == packages_in(to, key)
