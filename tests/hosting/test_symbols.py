"""Symbols: what a push stores and refuses, and what a debugger finds."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.accounts.model import ANONYMOUS, Actor
from nugetproxy.errors import (
    DocumentNotFound,
    Forbidden,
    InvalidPackage,
    NotAuthenticated,
    PackageNotFound,
    PartNotFound,
    StorageUnavailable,
    VersionNotFound,
)
from nugetproxy.feeds.base import LocalFile, PackageContent
from nugetproxy.hosting import symbols as module
from nugetproxy.hosting.symbols import FOLDER, PushedSymbols, Symbols
from nugetproxy.hosting.upkeep import check_blobs, sweep_unreferenced_blobs
from nugetproxy.nuget.identity import PackageIdentity
from tests.builders import insert_stored
from tests.hosting.house import House
from tests.symbol_builders import KEY, STAMP, make_assembly, make_debuggable, make_pdb, make_snupkg

ONE = PackageIdentity.parse("Contoso.Utils", "1.0.0")
NAME = "Contoso.Utils.pdb"
PDB = make_pdb()
HERE = "192.0.2.1"


def path_of(found: PackageContent) -> Path:
    assert isinstance(found, LocalFile)
    return found.path


class Desk:
    """A house with one debuggable package and its symbols."""

    def __init__(self, house: House, alice: Actor) -> None:
        self.house, self.alice = house, alice
        self.symbols = Symbols(
            house.database,
            house.blobs,
            house.ownership,
            house.audit,
            house.revisions,
            house.spools,
            clock=house.tick,
        )

    async def push(self, content: bytes | None = None, actor: Actor | None = None) -> PushedSymbols:
        spool = self.house.spool(make_snupkg() if content is None else content)
        return await self.symbols.push(actor or self.alice, spool, address=HERE)

    async def push_package(self, content: bytes | None = None) -> None:
        await self.house.publish.push(self.alice, self.house.spool(content or make_debuggable()), address=HERE)

    async def pdb(self, name: str = NAME, key: str = KEY, checksums: str = "") -> bytes:
        return path_of(await self.symbols.find(name, key, checksums)).read_bytes()

    def kept(self) -> list[str]:
        """The extensions of the symbol files on disk."""
        return sorted(path.suffix for path in self.house.files() if FOLDER in path.parts)


@pytest.fixture
async def desk(house: House) -> Desk:
    desk = Desk(house, await house.actor())
    await desk.push_package()
    return desk


# --- what is found ----------------------------------------------------------------------------------------------------


async def test_a_debugger_finds_the_exact_bytes(desk: Desk):
    pushed = await desk.push()

    assert PushedSymbols(ONE, 1) == pushed
    assert PDB == await desk.pdb()


@pytest.mark.parametrize(("name", "key"), [(NAME.lower(), KEY.lower()), (NAME.upper(), KEY.upper())])
async def test_casing_does_not_matter(desk: Desk, name: str, key: str):
    await desk.push()

    assert PDB == await desk.pdb(name, key)


@pytest.mark.parametrize(("name", "key"), [("Other.pdb", KEY), (NAME, "0" * 32 + "FFFFFFFF"), (NAME, KEY[:32] + "1")])
async def test_an_unknown_file_is_not_found(desk: Desk, name: str, key: str):
    await desk.push()

    with pytest.raises(DocumentNotFound, match="no symbol file of this name with this key was pushed here"):
        await desk.pdb(name, key)


async def test_the_symbols_package_comes_back_unchanged(desk: Desk):
    content = make_snupkg()
    await desk.push(content)

    assert content == path_of(await desk.symbols.snupkg(ONE)).read_bytes()


async def test_an_encoded_name_is_found_decoded(desk: Desk):
    files = {"tools/My%20Tool.dll": make_assembly(PDB)}
    await desk.push_package(make_debuggable(version="2.0.0", files=files))
    await desk.push(make_snupkg(version="2.0.0", files={"tools/My%20Tool.pdb": PDB}))

    assert PDB == await desk.pdb("My Tool.pdb")


@pytest.mark.parametrize(
    ("package", "error"),
    [
        (ONE, PartNotFound),
        (PackageIdentity.parse("Contoso.Utils", "2.0.0"), VersionNotFound),
        (PackageIdentity.parse("Contoso.Other", "1.0.0"), PackageNotFound),
    ],
)
async def test_a_version_without_symbols_has_no_symbols_package(desk: Desk, package: PackageIdentity, error: Any):
    with pytest.raises(error):
        await desk.symbols.snupkg(package)


async def test_another_process_finds_them_immediately(desk: Desk, other: House):
    before = other.revisions.hosting
    await desk.push()

    assert PDB == await Desk(other, desk.alice).pdb()
    assert other.revisions.hosting > before


# --- several PDBs, one key --------------------------------------------------------------------------------------------


async def push_twin(desk: Desk) -> bytes:
    """Another version with a PDB of the same id but different content."""
    twin = make_pdb(body=b"other sources")
    files = {"lib/net8.0/Contoso.Utils.dll": make_assembly(twin)}
    await desk.push_package(make_debuggable(version="2.0.0", files=files))
    await desk.push(make_snupkg(version="2.0.0", files={"lib/net8.0/Contoso.Utils.pdb": twin}))
    return twin


def described(pdb: bytes, algorithm: str = "sha256") -> str:
    identity = pdb.index(STAMP.to_bytes(4, "little")) - 16
    plain = pdb[:identity] + bytes(20) + pdb[identity + 20 :]
    return f"{algorithm.upper()}:{hashlib.new(algorithm, plain).hexdigest()}"


async def test_checksums_choose_among_files_of_one_key(desk: Desk):
    await desk.push()
    twin = await push_twin(desk)

    assert PDB == await desk.pdb(checksums=described(PDB))
    assert twin == await desk.pdb(checksums=described(twin, "sha512").lower())
    assert twin == await desk.pdb(checksums="SHA256:00;" + described(twin, "sha384"))


async def test_without_checksums_the_first_stays(desk: Desk):
    """
    A later push of a PDB with a known id does not replace the first.
    """
    await desk.push()
    await push_twin(desk)

    assert PDB == await desk.pdb()


async def test_a_file_that_a_checksum_excludes_is_not_found(desk: Desk):
    await desk.push()

    with pytest.raises(DocumentNotFound, match="with these checksums"):
        await desk.pdb(checksums="SHA256:" + "0" * 64)


@pytest.mark.parametrize("checksums", ["MD5:00", "nonsense", ";;", "SHA1:" + "0" * 40])
async def test_checksums_that_we_cannot_compare_exclude_nothing(desk: Desk, checksums: str):
    await desk.push()

    assert PDB == await desk.pdb(checksums=checksums)


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_the_package_comes_first(desk: Desk):
    with pytest.raises(PackageNotFound):
        await desk.push(make_snupkg("Contoso.Other"))
    with pytest.raises(VersionNotFound):
        await desk.push(make_snupkg(version="2.0.0"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"nothing", "not a ZIP archive"),
        (make_debuggable(), "lacks the package type SymbolsPackage"),
        (make_snupkg(files={"lib/net8.0/Contoso.Utils.pdb": make_pdb(body=b"lies")}), "was changed after"),
        (make_snupkg(files={"lib/net9.0/Contoso.Utils.pdb": PDB}), "the package has no"),
        (insert_stored(make_snupkg(), "a.xml", b"<good/>").replace(b"<good/>", b"<evil/>"), r"'a\.xml' is damaged"),
    ],
)
async def test_a_push_that_breaks_a_rule_leaves_nothing(desk: Desk, content: bytes, why: str):
    with pytest.raises(InvalidPackage, match=why):
        await desk.push(content)

    assert [] == desk.kept()
    assert [] == desk.house.leftovers()


async def test_one_bad_pdb_fails_the_whole_push(desk: Desk):
    files = {"lib/net8.0/Contoso.Utils.pdb": PDB, "lib/net9.0/Contoso.Utils.pdb": PDB}
    with pytest.raises(InvalidPackage):
        await desk.push(make_snupkg(files=files))

    assert [] == desk.house.leftovers()
    with pytest.raises(DocumentNotFound):
        await desk.pdb()


async def test_only_owners_push_symbols(desk: Desk):
    bob = await desk.house.actor("bob")
    with pytest.raises(Forbidden, match="bob is not an owner of Contoso"):
        await desk.push(actor=bob)
    with pytest.raises(NotAuthenticated):
        await desk.push(actor=ANONYMOUS)

    assert [] == desk.kept()
    lines = [line for line in await desk.house.audit.entries() if line.action == "package.push-symbols"]
    assert [("bob", "refused")] == [(line.actor, line.result) for line in lines]


async def test_an_act_has_its_audit_line(desk: Desk):
    await desk.push()

    line = (await desk.house.audit.latest(1))[0]
    assert ("alice", "package.push-symbols", "Contoso.Utils 1.0.0", HERE) == (
        line.actor,
        line.action,
        line.subject,
        line.address,
    )


# --- replacing and removing -------------------------------------------------------------------------------------------


async def test_symbols_are_replaced(desk: Desk):
    await desk.push()
    again = make_snupkg(files={"lib/net8.0/Contoso.Utils.pdb": PDB, "readme.xml": b"<a/>"})
    await desk.push(again)

    assert again == path_of(await desk.symbols.snupkg(ONE)).read_bytes()
    assert PDB == await desk.pdb()
    assert [".pdb", ".snupkg"] == desk.kept()


async def test_of_many_concurrent_pushes_one_remains(desk: Desk):
    contents = [make_snupkg(files={"lib/net8.0/Contoso.Utils.pdb": PDB, f"{n}.xml": b""}) for n in range(8)]
    await asyncio.gather(*(desk.push(content) for content in contents))

    assert path_of(await desk.symbols.snupkg(ONE)).read_bytes() in contents
    assert PDB == await desk.pdb()
    assert [".pdb", ".snupkg"] == desk.kept()


async def test_symbols_are_removed_with_their_version(desk: Desk):
    """
    Their bytes are left for the sweep, which removes nothing that is needed.
    """
    await push_twin(desk)
    await desk.push()
    root = await desk.house.actor("root", administrator=True)
    await desk.house.publish.delete(root, ONE, address=HERE, allow_reuse=True)

    with pytest.raises(DocumentNotFound):
        await desk.pdb(checksums=described(PDB))
    swept = await sweep_unreferenced_blobs(
        desk.house.database, desk.symbols, desk.house.blobs, FOLDER, unneeded_for=0, older_than=0, now=2e9
    )
    assert swept.blobs == 2
    assert [".pdb", ".snupkg"] == desk.kept()
    assert () == await check_blobs(desk.house.database, desk.symbols, desk.house.blobs)


async def test_symbols_do_not_outlive_what_was_pushed(desk: Desk):
    """
    A version that was released and pushed again has no symbols until they are pushed, too.
    """
    await desk.push()
    root = await desk.house.actor("root", administrator=True)
    await desk.house.publish.delete(root, ONE, address=HERE, allow_reuse=True)
    await desk.push_package()

    with pytest.raises(PartNotFound):
        await desk.symbols.snupkg(ONE)
    with pytest.raises(DocumentNotFound):
        await desk.pdb()


async def test_unlisting_changes_nothing(desk: Desk):
    await desk.push()
    await desk.house.publish.unlist(desk.alice, ONE, address=HERE)

    assert PDB == await desk.pdb()


async def test_the_sweep_of_packages_leaves_symbols_alone(desk: Desk):
    await desk.push()
    await sweep_unreferenced_blobs(
        desk.house.database, desk.house.packages, desk.house.blobs, unneeded_for=0, older_than=0, now=2e9
    )

    assert [".pdb", ".snupkg"] == desk.kept()


async def test_a_version_deleted_during_the_push_refuses_it(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """
    The transaction checks again what was judged outside it.
    """
    found = await desk.house.packages.find(ONE)
    assert found is not None
    monkeypatch.setattr(module, "_required", lambda *_: replace(found, push=found.push + 1))

    with pytest.raises(VersionNotFound):
        await desk.push()
    assert [] == desk.kept()


async def test_a_cancelled_caller_does_not_stop_the_push(desk: Desk):
    task = asyncio.create_task(desk.push())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await desk.symbols.close()

    assert PDB == await desk.pdb()
    assert [] == desk.house.leftovers()


async def test_a_missing_file_is_our_failure(desk: Desk):
    await desk.push()
    path_of(await desk.symbols.find(NAME, KEY)).unlink()

    with pytest.raises(StorageUnavailable):
        await desk.symbols.find(NAME, KEY)
    assert len(await check_blobs(desk.house.database, desk.symbols, desk.house.blobs)) == 1
