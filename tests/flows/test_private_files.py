"""Stored files are readable only by the server's own user, whatever the umask at start."""

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
