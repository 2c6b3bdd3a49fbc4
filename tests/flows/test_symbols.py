"""Debuggers get the PDBs of mirrored packages, and the upstream learns nothing about other programs."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from nugetproxy.cli.main import main
from tests.cli.command_line import CommandLine
from tests.fakes.faults import Fault
from tests.fakes.gallery import Document
from tests.flows.mirror import Mirror, running
from tests.flows.symbols import SERVER, Build, publish, publish_symbols, symbols_of
from tests.symbol_builders import checksum_of

UTILS = Build("Contoso.Utils")
OTHER = Build("Fabrikam.Other")
NUPKG = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
PDB = f"/symbols{UTILS.path}"
ASKED = f"{SERVER}/*"


def mirroring(data, upstream, **sections):
    return running(data, upstream, upstream_settings=symbols_of(upstream), **sections)


async def restore(mirror: Mirror, lower_id: str = "contoso.utils") -> None:
    """Until the package is in the inventory, where it arrives a moment after the client has it."""
    await mirror.get(NUPKG.replace("contoso.utils", lower_id))
    assert mirror.services.care is not None
    async with asyncio.timeout(5):
        while not mirror.services.care.inventory.keeps(lower_id, "1.0.0"):
            await asyncio.sleep(0.005)


async def kept_bytes(mirror: Mirror) -> int:
    assert mirror.services.care is not None
    return mirror.services.care.inventory.totals().bytes


@pytest.fixture
def package(upstream) -> bytes:
    publish_symbols(upstream, UTILS)
    return publish(upstream, "Contoso.Utils", "1.0.0", UTILS)


async def test_a_pdb_is_fetched_once_and_kept_beside_its_package(upstream, tmp_path, package):
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        got = await asyncio.gather(*(mirror.get(PDB) for _ in range(5)))
        assert [(each.status, each.body) for each in got] == [(200, UTILS.pdb)] * 5
        assert await kept_bytes(mirror) == len(package) + len(UTILS.pdb)
    [request] = upstream.recorded(ASKED)
    assert request.path == SERVER + UTILS.path
    assert request.headers["symbolchecksum"] == f"SHA256:{checksum_of(UTILS.pdb, guid=UTILS.guid).hex()}"
    assert (tmp_path / "mirror/up/contoso.utils/1.0.0" / f"{UTILS.guid.hex}ffffffff.pdb").read_bytes() == UTILS.pdb
    async with mirroring(tmp_path, upstream, offline=True) as mirror:
        assert (await mirror.get(PDB.upper().replace("/SYMBOLS", "/symbols"))).body == UTILS.pdb
        assert (await mirror.get(PDB, {"SymbolChecksum": "SHA256:" + "0" * 64})).status == 404


async def test_what_no_kept_package_names_is_not_asked_for(upstream, tmp_path, package):
    private = Build("Contoso.Payroll")
    publish_symbols(upstream, private)
    async with mirroring(tmp_path, upstream) as mirror:
        assert (await mirror.get(PDB)).status == 404, "the package was never requested"
        await restore(mirror)
        assert (await mirror.get(f"/symbols{private.path}")).status == 404
        assert (await mirror.get(PDB.replace("contoso.utils", "other"))).status == 404
        assert (await mirror.get(PDB.replace("FFFFFFFF", "1"))).status == 404
    assert upstream.requests_for(ASKED) == 0


async def test_an_absence_is_remembered(upstream, tmp_path, package):
    upstream.gallery.extra.clear()
    for _ in range(2):
        async with mirroring(tmp_path, upstream) as mirror:
            await restore(mirror)
            assert (await mirror.get(PDB)).status == 404
    assert upstream.requests_for(ASKED) == 1


async def test_a_redirect_is_followed_as_far_as_the_upstream_may_lead(upstream, tmp_path, package):
    """nuget.org answers with the address of a storage account."""
    upstream.gallery.extra["/blobs/1"] = upstream.gallery.extra.pop(SERVER + UTILS.path)
    upstream.fault(ASKED, Fault(status=302, headers={"Location": "http://elsewhere.example/1"}), times=1)
    upstream.fault(ASKED, Fault(status=302, headers={"Location": "/blobs/1"}), times=1)
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        refused = await mirror.get(PDB)
        assert (refused.status, "is not an allowed host" in refused.reason) == (502, True)
        assert (await mirror.get(PDB)).body == UTILS.pdb


async def test_packages_with_the_same_assembly_share_what_is_known(upstream, tmp_path, package):
    """One request for both, whether the symbol server has the PDB or not; each keeps its own copy."""
    publish(upstream, "Contoso.All", "1.0.0", UTILS, OTHER)
    publish(upstream, "Contoso.Other", "1.0.0", OTHER)
    async with mirroring(tmp_path, upstream) as mirror:
        for name in ("contoso.all", "contoso.other", "contoso.utils"):
            await restore(mirror, name)
        symbols = mirror.services.symbols
        assert symbols is not None
        for name in ("contoso.all", "contoso.utils"):
            [pdb] = [each for each in await symbols.of(("up", name, "1.0.0")) if each.lower_name == "contoso.utils.pdb"]
            assert (await symbols.fetch(pdb)).is_kept
        assert (await mirror.get(f"/symbols{OTHER.path}")).status == 404
    assert sorted(path.parts[-3] for path in tmp_path.rglob("*.pdb")) == ["contoso.all", "contoso.utils"]
    assert upstream.requests_for(ASKED) == 2


async def test_a_failure_is_not_an_absence(upstream, tmp_path, package):
    upstream.fault(ASKED, Fault(status=403), times=1)
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        assert (await mirror.get(PDB)).status == 503
        assert (await mirror.get(PDB)).body == UTILS.pdb


@pytest.mark.parametrize(
    "sent", [b"<html>", UTILS.pdb + b"x", Build("Other").pdb, Build("Contoso.Utils", body=b"").pdb]
)
async def test_another_file_is_never_kept(upstream, tmp_path, package, sent):
    upstream.gallery.extra[SERVER + UTILS.path] = Document(sent, "application/octet-stream")
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        got = await mirror.get(PDB)
        assert got.status == 502
        assert "is not that PDB" in got.reason
        assert not list(tmp_path.rglob("*.pdb"))
        assert not list((tmp_path / "spool").iterdir())
        assert await kept_bytes(mirror) == len(package)


async def test_a_damaged_pdb_is_fetched_again(upstream, tmp_path, package):
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        await mirror.get(PDB)
        [kept] = tmp_path.rglob("*.pdb")
        os.utime(kept)
        assert (await mirror.get(PDB)).body == UTILS.pdb
        assert upstream.requests_for(ASKED) == 1, "it was only touched"
        kept.write_bytes(b"x" * len(UTILS.pdb))
        assert (await mirror.get(PDB)).body == UTILS.pdb
        assert upstream.requests_for(ASKED) == 2
        assert await kept_bytes(mirror) == len(package) + len(UTILS.pdb)


async def test_verification_finds_damaged_pdbs(upstream, tmp_path, package):
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        await mirror.get(PDB)
        care = mirror.services.care
        assert care is not None
        assert (await care.verification.verify(2**40)).is_clean
        [kept] = tmp_path.rglob("*.pdb")
        status = kept.stat()
        kept.write_bytes(b"x" * len(UTILS.pdb))
        os.utime(kept, ns=(status.st_mtime_ns, status.st_mtime_ns))
        found = await care.verification.verify(2**40)
        assert [each.why for each in found.damaged] == ["its PDB contoso.utils.pdb was missing or changed"]
        assert (await mirror.get(PDB)).body == UTILS.pdb
        assert (await care.verification.verify(2**40)).is_clean


async def test_pdbs_go_with_their_package(upstream, tmp_path, package):
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        await mirror.get(PDB)
    async with mirroring(tmp_path, upstream) as mirror:
        care = mirror.services.care
        assert care is not None
        evicted = await care.eviction.evict(await care.files.all())
        assert evicted.bytes == len(package) + len(UTILS.pdb)
        assert await kept_bytes(mirror) == 0
        assert not (tmp_path / "mirror/up/contoso.utils").exists()
        assert (await mirror.get(PDB)).status == 404


async def test_pdbs_are_found_again_without_the_inventory(upstream, tmp_path, package):
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        await mirror.get(PDB)
    for each in tmp_path.glob("inventory.db*"):
        each.unlink()
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        assert (await mirror.get(PDB)).body == UTILS.pdb
        assert await kept_bytes(mirror) == len(package) + len(UTILS.pdb)
    assert upstream.requests_for(ASKED) == 1


async def test_protected_and_withheld_packages_have_no_symbols(upstream, tmp_path, package):
    rule = {"name": "none", "action": "block", "ids": ["contoso.*"]}
    async with mirroring(tmp_path, upstream) as mirror:
        await restore(mirror)
        await mirror.get(PDB)
    for status, sections in (
        (404, {"feed": {"protected_prefixes": ["Contoso."]}}),
        (403, {"policy": {"rule": [rule]}}),
    ):
        async with mirroring(tmp_path, upstream, **sections) as mirror:
            assert (await mirror.get(NUPKG)).status == status
            assert (await mirror.get(PDB)).status == status
    assert upstream.requests_for(ASKED) == 1


async def test_a_symbol_server_is_only_asked_where_there_is_one(upstream, tmp_path, package):
    for settings in ({}, {"symbols": "off"}):
        async with running(tmp_path, upstream, upstream_settings=settings) as mirror:
            await restore(mirror)
            assert (await mirror.get(PDB)).status == 404
    assert upstream.requests_for(ASKED) == 0


async def test_across_the_air_gap(upstream, tmp_path, package):
    """Fetched ahead on one side, carried in a bundle, and found by a debugger on the other."""
    publish(upstream, "Fabrikam.Other", "1.0.0", OTHER)
    config = tmp_path / "nugetproxy.toml"
    server = symbols_of(upstream)["symbols"]
    config.write_text(f'[[mirroring.upstream]]\nname = "up"\nservice_index = "{upstream.url}"\nsymbols = "{server}"\n')
    wanted = tmp_path / "packages.txt"
    wanted.write_text("Contoso.Utils 1.0.0\nFabrikam.Other 1.0.0\n")
    await asyncio.to_thread(_carry, tmp_path, str(wanted), str(config))
    await upstream.die()
    async with mirroring(tmp_path / "there", upstream, offline=True) as mirror:
        checksum = f"SHA256:{checksum_of(UTILS.pdb, guid=UTILS.guid).hex()}"
        assert (await mirror.get(PDB, {"SymbolChecksum": checksum})).body == UTILS.pdb
        assert (await mirror.get(f"/symbols{OTHER.path}")).status == 404


def _carry(folder: Path, wanted: str, config: str) -> None:
    here, there = CommandLine(folder / "here"), CommandLine(folder / "there")
    key, bundle = folder / "builds", str(folder / "team.bundle")
    for ran in (
        here.run("prewarm", "--include-symbols", "--config", config, wanted),
        CliRunner().invoke(main, ["bundle-key", "new", str(key)]),
        here.run("export", "--include-symbols", "--key", str(key), "--to", bundle),
    ):
        assert ran.exit_code == 0, ran.output
    assert "1 PDB" in ran.output
    shown = CliRunner().invoke(main, ["bundle", "show", bundle, "--json"])
    assert (json.loads(shown.stdout)["format"], json.loads(shown.stdout)["counts"]["symbols"]) == (2, 1)
    imported = there.run("import", "--trust", f"{key}.pub", "--json", bundle)
    assert json.loads(imported.stdout)["symbols"] == {"new": 1, "new_bytes": len(UTILS.pdb)}


async def test_readers_without_credentials_get_those_of_mirrored_packages(upstream, tmp_path, package):
    """They are asked for credentials where only a hosted package could have the PDB."""
    async with mirroring(tmp_path, upstream, accounts={"anonymous_read": "mirrored"}) as mirror:
        await restore(mirror)
        got = await mirror.get(PDB)
        assert (got.status, got.body) == (200, UTILS.pdb)
        assert (await mirror.get(f"/symbols{OTHER.path}")).status == 401
    async with mirroring(tmp_path, upstream, accounts={"anonymous_read": "none"}) as mirror:
        assert (await mirror.get(PDB)).status == 401


async def test_without_a_private_feed(upstream, tmp_path, package):
    async with mirroring(tmp_path, upstream, hosting={"enabled": False}) as mirror:
        await restore(mirror)
        assert (await mirror.get(PDB)).body == UTILS.pdb
