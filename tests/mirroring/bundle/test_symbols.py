"""PDBs travel with their packages, and are verified where they arrive."""

from dataclasses import replace

import pytest

from nugetproxy.errors import InvalidBundle, StorageUnavailable
from nugetproxy.mirroring.bundle.head import Head
from nugetproxy.mirroring.bundle.manifest import Kind, SymbolsFacts
from nugetproxy.mirroring.bundle.target import Pipe
from nugetproxy.mirroring.kept.symbols import KeptSymbols
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.runtime.exporting import EVERYTHING, Choice
from nugetproxy.runtime.mirror_inventory import write_inventory
from tests.flows.symbols import Build
from tests.mirroring.bundle.bundles import entry, opened
from tests.mirroring.bundle.importer import bundle, import_bytes, kept, rows
from tests.mirroring.bundle.shelf import INDEX, Shelf, files_of, paths_of
from tests.symbol_builders import make_debuggable

CORE, EXTRA = Build("Contoso.Core"), Build("Contoso.Extra")
UP = {"up": INDEX}
WITH_SYMBOLS = replace(EVERYTHING, symbols=True)


def package(package_id: str, version: str, *builds: Build) -> bytes:
    return make_debuggable(package_id, version, files={f"lib/net8.0/{each.name}.dll": each.dll for each in builds})


@pytest.fixture
async def shelf(tmp_path) -> Shelf:
    """Two packages with the same assembly, whose PDB is kept beside both; and a package whose PDB is not kept."""
    made = Shelf(tmp_path / "data")
    for name in ("Contoso.Core", "Contoso.All"):
        await made.put(name, content=package(name, "1.0.0", CORE))
        await made.keep_pdb(name, CORE)
    await made.put("Contoso.Extra", content=package("Contoso.Extra", "1.0.0", EXTRA))
    return made


def head_of(content: bytes) -> Head:
    with opened(content) as reader:
        return reader.head


def pdbs(data) -> dict[str, bytes]:
    return {path: content for path, content in kept(data).items() if path.endswith(".pdb")}


async def test_they_travel_if_asked_for(shelf, tmp_path):
    _, without = await shelf.export()
    assert head_of(without).format == 1
    assert not [path for path in paths_of(without) if path.endswith(".pdb")]
    _, content = await shelf.export(WITH_SYMBOLS)
    assert head_of(content).format == 2
    [(found, body)] = [file for file in files_of(content) if file[0].kind is Kind.SYMBOLS]
    assert (found.path, body) == (f"symbols{CORE.path}", CORE.pdb)
    assert isinstance(found.facts, SymbolsFacts)
    assert found.facts.packages == ("contoso.all/1.0.0", "contoso.core/1.0.0")
    for symbols in (1, 0):  # new, and again
        imported = await import_bytes(tmp_path / "other", content)
        assert (imported.symbols, imported.symbols_bytes) == (symbols, symbols * len(CORE.pdb))
        assert pdbs(tmp_path / "other") == pdbs(shelf.data)
        assert len(pdbs(shelf.data)) == 2
    [[total]] = rows(tmp_path / "other", "SELECT bytes FROM mirrored_totals")
    assert total == sum(len(each) for path, each in kept(tmp_path / "other").items() if not path.endswith(".nuspec"))


async def test_only_those_of_the_chosen_packages(shelf, tmp_path):
    chosen = frozenset(
        {PackageIdentity.parse("Contoso.Core", "1.0.0"), PackageIdentity.parse("Contoso.Extra", "1.0.0")}
    )
    _, content = await shelf.export(Choice(EVERYTHING.holds, chosen, symbols=True))
    await import_bytes(tmp_path / "other", content)
    assert [path.split("/")[1] for path in pdbs(tmp_path / "other")] == ["contoso.core"]


async def test_a_later_bundle_leaves_out_what_the_receiver_has(shelf, tmp_path):
    _, first = await shelf.export(WITH_SYMBOLS)
    (tmp_path / "first.bundle").write_bytes(first)
    await shelf.keep_pdb("Contoso.Extra", EXTRA)
    _, second = await shelf.export(WITH_SYMBOLS, base=tmp_path / "first.bundle")
    assert [path for path in paths_of(second) if path.endswith(".pdb")] == [f"symbols{EXTRA.path}"]
    for content in (first, second):
        await import_bytes(tmp_path / "other", content)
    assert len(pdbs(tmp_path / "other")) == 3
    (tmp_path / "have.jsonl").write_bytes(inventory := _inventory(Shelf(tmp_path / "other")))
    assert b'"format":2' in inventory
    _, third = await shelf.export(WITH_SYMBOLS, base=tmp_path / "have.jsonl")
    assert not [path for path in paths_of(third) if path.endswith(".pdb")]
    assert head_of(third).format == 2, "it assumes symbols"


def _inventory(shelf: Shelf) -> bytes:
    parts: list[bytes] = []

    class Parts:
        def write(self, content: bytes) -> None:
            parts.append(content)

    write_inventory(shelf.config(), Pipe(Parts()))  # type: ignore[arg-type]
    return b"".join(parts)


async def test_a_missing_or_changed_file_is_left_out(shelf, tmp_path):
    one = await shelf.keep_pdb("Contoso.Core", CORE)
    other = await shelf.keep_pdb("Contoso.All", CORE)
    one.unlink()
    other.write_bytes(b"x" * len(CORE.pdb))
    _, content = await shelf.export(WITH_SYMBOLS)
    assert not [path for path in paths_of(content) if path.endswith(".pdb")]


async def test_another_file_makes_the_bundle_invalid(shelf, tmp_path):
    _, content = await shelf.export(WITH_SYMBOLS)
    files = files_of(content)
    facts = files[-1][0].facts
    forged = bundle(
        *files[:-1], entry(Kind.SYMBOLS, facts, Build("Contoso.Core", body=b"").pdb), format=2, upstreams=UP
    )
    with pytest.raises(InvalidBundle, match="is not the PDB that it is said to be: its SHA256"):
        await import_bytes(tmp_path / "other", forged)
    assert not kept(tmp_path / "other")
    assert not (tmp_path / "other" / "imports").exists()


async def test_a_pdb_that_no_package_names_is_left_out(shelf, tmp_path):
    _, content = await shelf.export(WITH_SYMBOLS)
    files = files_of(content)
    facts = files[-1][0].facts
    assert isinstance(facts, SymbolsFacts)
    facts = replace(facts, packages=("contoso.core/1.0.0", "contoso.extra/1.0.0", "unknown/1.0.0"))
    imported = await import_bytes(
        tmp_path / "other", bundle(*files[:-1], entry(Kind.SYMBOLS, facts, CORE.pdb), format=2, upstreams=UP)
    )
    assert imported.symbols == 1
    assert [path.split("/")[1] for path in pdbs(tmp_path / "other")] == ["contoso.core"]


@pytest.mark.parametrize("moved", [False, True])
async def test_a_commit_that_was_interrupted_is_done_again(shelf, tmp_path, moved, monkeypatch):
    """Killed before the row of a PDB is written, with its file in place or not."""
    _, content = await shelf.export(WITH_SYMBOLS)
    data, kept_rows = tmp_path / "other", []

    async def killed(self, pdb):
        kept_rows.append(pdb)
        raise StorageUnavailable("killed")

    with monkeypatch.context() as patched:
        patched.setattr(KeptSymbols, "keep", killed)
        with pytest.raises(StorageUnavailable, match="killed"):
            await import_bytes(data, content)
    assert len(pdbs(data)) == 1
    if not moved:
        for path in (data / "mirror").rglob("*.pdb"):
            path.unlink()
    imported = await import_bytes(data, content)
    assert imported.symbols == 0, "the interrupted import was finished first"
    assert pdbs(data) == pdbs(shelf.data)
    [[count]] = rows(data, "SELECT count(*) FROM mirrored_symbols WHERE size > 0")
    assert count == 2
