"""Stored files are readable only by the server's own user, whatever the umask; and spools take no space afterwards."""

import contextlib
import gc
import os
from pathlib import Path

from tests.flows.private_feed import opened

PATH = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"


async def test_nothing_is_readable_by_others(stocked, tmp_path: Path):
    """
    Mirrored packages and documents, pushed ones, every database with its side files, locks.
    """
    data = tmp_path / "data"
    before = os.umask(0)
    try:
        async with opened(data, stocked, feed={"protected_prefixes": ["Private."]}) as house:
            assert (await house.get(PATH)).status == 200
            assert (await house.push("Private.One")).status == 201
            await house.no_leftovers()
            modes = {str(path.relative_to(data)): path.stat().st_mode & 0o777 for path in (data, *data.rglob("*"))}
    finally:
        os.umask(before)
    assert {"nugetproxy.db-wal", "inventory.db", "documents/cache.db-shm"} <= modes.keys()
    assert sum(name.endswith(".nupkg") for name in modes) == 2
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


async def test_the_spools_of_pushes_are_closed_with_the_answer(upstream, tmp_path: Path):
    """
    Refused ones, too: a client that repeats a push would fill the disk with deleted files. No garbage collection helps.
    """
    async with opened(tmp_path, upstream) as house:
        gc.collect()
        gc.disable()
        try:
            for package, version, key, status in (
                ("Contoso.A", "1.0.0", None, 201),
                ("Contoso.A", "1.0.0", None, 409),
                (b"not a package", "", None, 400),
                ("Foreign.A", "1.0.0", None, 403),
                ("Contoso.A", "2.0.0", "wrong", 403),
            ):
                assert (await house.push(package, version, key=key)).status == status
                assert (spools_open(tmp_path), house.leftovers()) == ([], [])
        finally:
            gc.enable()


def spools_open(data: Path) -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(link))
    return [path for path in found if path.startswith(str(data / "spool"))]
