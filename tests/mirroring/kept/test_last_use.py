"""Last uses: gathered in memory, written in batches, never lost to a full disk."""

from contextlib import closing
from functools import partial

import pytest

from nugetproxy.errors import StorageUnavailable
from nugetproxy.mirroring.kept.files import KeptFiles
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, open_ledger
from nugetproxy.mirroring.kept.last_use import LastUse
from nugetproxy.nuget.nuspec import read_nuspec
from tests.builders import make_nuspec


@pytest.fixture
async def files(tmp_path):
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        manifest = read_nuspec(make_nuspec("Contoso.Utils", "1.0.0"))
        Inventory(database).add(KeptPackage("up", manifest, 10, "hash", 100))
        await database.write(lambda _: None)
        yield KeptFiles(database)


PACKAGE = read_nuspec(make_nuspec("Contoso.Utils", "1.0.0")).identity


async def used(files: KeptFiles) -> list[int]:
    return [file.used for file in await files.all()]


async def test_the_last_use_counts(files):
    moments = iter([150, 200])
    uses = LastUse(files, lambda: next(moments))
    uses.note("up", PACKAGE)
    uses.note("up", PACKAGE)
    assert await used(files) == [100]
    await uses.flush()
    assert await used(files) == [200]


async def test_an_older_batch_of_another_process_changes_nothing(files):
    for moment in (200, 150):
        uses = LastUse(files, partial(float, moment))
        uses.note("up", PACKAGE)
        await uses.flush()
    assert await used(files) == [200]


async def test_after_the_clock_was_set_back_later_uses_become_now(files):
    uses = LastUse(files, lambda: 9_000)
    uses.note("up", PACKAGE)
    await uses.flush()
    await files.bring_back_to(500)
    assert await used(files) == [500]


async def test_what_cannot_be_written_is_written_later(files, monkeypatch):
    async def full(_):
        raise StorageUnavailable("no space left on device")

    uses = LastUse(files, lambda: 200)
    uses.note("up", PACKAGE)
    with monkeypatch.context() as patched:
        patched.setattr(files, "note_uses", full)
        await uses.flush()
    await uses.flush()
    assert await used(files) == [200]
