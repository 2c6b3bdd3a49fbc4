"""What debuggers ask symbol servers for, from what assemblies say."""

import io
import uuid

import pytest

from nugetproxy.nuget.debug_directory import PdbChecksum, pdb_requests, read_debug_directory
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.package_pdbs import wanted_pdbs
from tests.builders import make_nupkg
from tests.shared import shared
from tests.symbol_builders import GUID, KEY, STAMP, checksum_of, codeview, make_assembly, make_pdb

PDB = make_pdb()
OTHER = uuid.UUID(int=7)
PORTABLE = (STAMP, 0x504D, 2, codeview())


def requests_of(assembly: bytes):
    return [(each.file, each.key, each.is_portable) for each in pdb_requests(read_debug_directory(assembly))]


def test_a_portable_pdb_is_requested_with_its_checksums():
    [request] = pdb_requests(read_debug_directory(make_assembly(PDB)))

    assert ("x.pdb", KEY.lower(), True) == (request.file, request.key, request.is_portable)
    assert (PdbChecksum("SHA256", checksum_of(PDB)),) == request.checksums


@pytest.mark.parametrize(
    ("path", "file"),
    [
        (b"/_/src/obj/Release/net8.0/Contoso.Utils.pdb", "contoso.utils.pdb"),
        (b"C:\\agent\\_work\\1\\Contoso.Utils.PDB", "contoso.utils.pdb"),
        (b"D:\\a/b\\c.pdb", "c.pdb"),
        ("Größe.pdb".encode(), "größe.pdb"),
        (b"a" * 251 + b".pdb", "a" * 251 + ".pdb"),
    ],
)
def test_the_file_is_the_last_part_of_the_path_of_either_system(path, file):
    assert [(file, KEY.lower(), True)] == requests_of(make_assembly(PDB, path=path))


@pytest.mark.parametrize(
    "path",
    [b"", b"/", b"a\\", b"..", b"/x/.pdb", b"a\nb.pdb", b"a:b.pdb", b"*.pdb", b"\xff.pdb", b"a" * 252 + b".pdb"],
)
def test_a_name_that_no_server_could_have_is_not_requested(path):
    assert [] == requests_of(make_assembly(PDB, path=path))


def test_a_windows_pdb_is_requested_by_its_age_and_without_checksums():
    assembly = make_assembly(entries=[(STAMP, 0, 2, codeview(age=26)), (0, 0, 19, b"SHA256\0" + bytes(32))])
    [request] = pdb_requests(read_debug_directory(assembly))

    assert (f"{GUID.hex}1a", False, ()) == (request.key, request.is_portable, request.checksums)


def test_an_assembly_may_name_a_portable_and_a_native_pdb():
    """Those compiled ahead of time name the PDB of their machine code, too."""
    native = (STAMP, 0, 2, codeview(b"x.ni.pdb", OTHER))

    assert [("x.pdb", KEY.lower(), True), ("x.ni.pdb", f"{OTHER.hex}1", False)] == requests_of(
        make_assembly(entries=[PORTABLE, native, PORTABLE])
    )


def test_an_embedded_pdb_needs_no_server():
    assert [] == requests_of(make_assembly(entries=[PORTABLE, (0, 0x100, 17, b"MPDB" + bytes(8))]))


def test_a_package_wants_the_pdbs_that_can_be_verified():
    second = make_assembly(make_pdb(OTHER), guid=OTHER, path=b"Y.pdb")
    package = make_nupkg(
        files={
            "lib/net8.0/X.dll": make_assembly(PDB),
            "lib/net9.0/X.dll": make_assembly(PDB),  # the same build
            "runtimes/win/lib/net8.0/Y.dll": second,
            "ref/net8.0/Z.dll": make_assembly(PDB, path=b"Z.pdb"),
            "lib/net8.0/beside.dll": make_assembly(PDB, path=b"beside.pdb"),
            "lib/net8.0/beside.pdb": PDB,
            "lib/net8.0/de/X.resources.dll": make_assembly(PDB, path=b"texts.pdb"),
            "lib/net8.0/old.dll": make_assembly(PDB, algorithm="", path=b"old.pdb"),
            "lib/net8.0/odd.dll": make_assembly(
                entries=[(STAMP, 0x504D, 2, codeview(b"odd.pdb")), (0, 0, 19, b"MD5\0" + bytes(16))]
            ),
            "lib/net8.0/native.dll": make_assembly(entries=[(STAMP, 0, 2, codeview(b"native.pdb"))]),
            "lib/net8.0/damaged.dll": b"MZ",
        }
    )

    found = wanted_pdbs(Nupkg(io.BytesIO(package)))

    assert [("x.pdb", KEY.lower()), ("y.pdb", f"{OTHER.hex}ffffffff")] == [(each.file, each.key) for each in found]


@pytest.mark.parametrize(
    ("package", "file", "guids"),
    [
        ("automapper.17.0.0", "automapper.pdb", "25fdb766 cf612564 ee4152cc 3b92a408"),
        ("castle.core.5.2.1", "castle.core.pdb", "c99c8125 ad59789e 627193bc 90355151"),
        ("microsoft.entityframeworkcore.10.0.5", "microsoft.entityframeworkcore.pdb", "40f12a3b"),
        (
            "newtonsoft.json.13.0.1",
            "newtonsoft.json.pdb",
            "569bdfed a9856db0 b8d45e77 b661a8c3 02e75114 277a7174 ea1459bd",
        ),
        ("npgsql.10.0.3", "npgsql.pdb", "e1568901 189ece99 e1caa657"),
        ("serilog.4.3.0", "serilog.pdb", "d644c6a1 8580a216 c043b112 0bbb8d79 780b4246 a46926df"),
        ("dapper.2.1.86", "", ""),  # embedded
        ("log4net.3.5.0", "", ""),  # beside the assembly
        ("microsoft.csharp.4.4.1", "", ""),  # without checksums
    ],
)
def test_the_pdbs_of_real_packages(package, file, guids):
    """The beginnings of their GUIDs were found by searching the files for RSDS, without a reader of executables."""
    [path] = (shared() / "nuget-org" / "packages").rglob(f"{package}.nupkg")
    with path.open("rb") as content:
        found = wanted_pdbs(Nupkg(content))

    assert guids.split() == [each.key[:8] for each in found]
    assert {file} - {""} == {each.file for each in found}
    # Deterministic compilers derive the id from the checksum, so the two belong to the same PDB.
    assert all(uuid.UUID(each.key[:32]).bytes_le[:4] == each.checksums[0].digest[:4] for each in found)
