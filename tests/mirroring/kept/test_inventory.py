"""The inventory rebuilt for a tree that came without one."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from nugetproxy.mirroring.kept import inventory as ledger
from nugetproxy.mirroring.kept.inventory import Inventory, open_ledger
from tests.builders import make_nupkg, make_nuspec


@pytest.fixture
def inventory(tmp_path):
    with closing(open_ledger(tmp_path / "inventory.db")) as database:
        yield Inventory(database)


@pytest.fixture
def tree(tmp_path):
    return tmp_path / "mirror"


def put(tree: Path, count: int) -> None:
    for number in range(count):
        folder = tree / "up" / f"contoso.p{number}" / "1.0.0"
        folder.mkdir(parents=True)
        (folder / f"contoso.p{number}.1.0.0.nupkg").write_bytes(make_nupkg(f"Contoso.P{number}"))
        (folder / f"contoso.p{number}.nuspec").write_bytes(make_nuspec(f"Contoso.P{number}"))


async def test_every_package_is_entered(inventory, tree, monkeypatch):
    """
    Nothing is lost between batches.
    """
    monkeypatch.setattr(ledger, "_BATCH", 3)
    put(tree, 10)

    assert await inventory.reconcile(tree) == 10
    assert inventory.totals().packages == 10


async def test_an_interrupted_walk_is_begun_again(inventory, tree, monkeypatch):
    """
    Otherwise a server stopped halfway would never add the rest.
    """
    monkeypatch.setattr(ledger, "_BATCH", 3)
    put(tree, 10)
    monkeypatch.setattr(inventory._database, "write", _failing_after(inventory._database.write, 2))
    with pytest.raises(InterruptedError):
        await inventory.reconcile(tree)
    monkeypatch.undo()

    assert await inventory.reconcile(tree) == 10
    assert inventory.totals().packages == 10


async def test_a_package_without_its_nuspec_beside_it_is_entered(inventory, tree):
    put(tree, 1)
    next(tree.rglob("*.nuspec")).unlink()

    assert await inventory.reconcile(tree) == 1


async def test_it_is_done_once(inventory, tree):
    put(tree, 1)
    await inventory.reconcile(tree)
    shutil.rmtree(tree / "up" / "contoso.p0")
    put(tree, 1)

    assert await inventory.reconcile(tree) == 0


def _failing_after(write, count):
    async def failing(work):
        nonlocal count
        if not count:
            raise InterruptedError
        count -= 1
        return await write(work)

    return failing
