"""Keys, ids and checksums of PDBs, and the debug directories that refer to them."""

import struct
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.debug_directory import PdbChecksum, read_debug_directory
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.portable_pdb import PdbId, PortablePdb
from tests.nuget.test_hostile_input import BOUNDED, EDITS, Edit, edited, refusal
from tests.shared import shared
from tests.symbol_builders import GUID, KEY, STAMP, checksum_of, make_assembly, make_pdb

PDB = make_pdb()
DLL = make_assembly(PDB)


def test_the_key_is_the_guid_and_an_age_of_all_f():
    """
    The GUID is printed as integers: its first three fields are little-endian in the file.
    """
    assert KEY == PortablePdb.parse(PDB).id.key


def test_the_stamp_is_the_last_four_bytes_of_the_id():
    assert PdbId(GUID, STAMP) == PortablePdb.parse(PDB).id


def test_the_stream_is_found_wherever_it_is_named():
    identity = GUID.bytes_le + struct.pack("<L", STAMP)

    for others in ((), ((b"#A", b"x"), (b"#Longer", b""), (b"#GUIDs!", b"yy"))):
        assert KEY == PortablePdb.parse(make_pdb(streams=[*others, (b"#Pdb", identity)])).id.key


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
def test_the_checksum_takes_the_id_as_zeros(algorithm):
    assert checksum_of(PDB, algorithm) == PortablePdb.parse(PDB).checksum(algorithm)
    other = make_pdb(uuid.UUID(int=1), 2)
    assert PortablePdb.parse(other).checksum(algorithm) == PortablePdb.parse(PDB).checksum(algorithm)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "damaged"),
        (b"BSJB", "damaged"),
        (b"Microsoft C/C++ MSF 7.00\r\n", "'x.pdb' is a Windows PDB; only portable PDBs are supported: build with"),
        (b"MZ".ljust(40), "does not start with BSJB"),
        (make_pdb(streams=[]), "has no #Pdb stream"),
        (make_pdb(streams=[(b"#Pdb", bytes(19))]), "has no #Pdb stream"),
        (make_pdb(streams=[(b"#pdb", bytes(20))]), "has no #Pdb stream"),
        (PDB[:-8], "damaged"),
        (b"BSJB" + bytes(8) + b"\xff\xff\xff\xff", "damaged"),
        (make_pdb(streams=[(b"#" * 40, b"")]), "damaged"),
        (make_pdb(streams=[(b"#A", b"")] * 40), "has no #Pdb stream"),
    ],
)
def test_a_file_that_is_not_a_portable_pdb_is_refused(data, why):
    with pytest.raises(InvalidPackage, match=why):
        PortablePdb.parse(data, "x.pdb")


@pytest.mark.parametrize("wide", [True, False])
def test_an_assembly_names_its_pdb(wide):
    directory = read_debug_directory(make_assembly(PDB, wide=wide))

    assert (PdbId(GUID, STAMP),) == directory.ids
    assert (PdbChecksum("SHA256", checksum_of(PDB)),) == directory.checksums


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [(STAMP, 0, 2, b"RSDS" + bytes(20) + b"C:\\x.pdb\0")],  # a Windows PDB
        [(0, 0, 16, b"")],  # reproducible builds say so
        [(STAMP, 0x504D, 2, b"NB10" + bytes(20))],
    ],
)
def test_an_assembly_may_name_no_portable_pdb(entries):
    assert () == read_debug_directory(make_assembly(entries=entries)).ids


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ",
        b"MZ".ljust(0x40, b"\xff"),
        b"#!/bin/sh".ljust(100),
        DLL[:100],
        DLL[:-1],
        DLL.replace(b"\x0b\x02", b"\x0c\x02", 1),
        make_assembly(entries=[(STAMP, 0x504D, 2, b"RSDS")]),
        make_assembly(entries=[(0, 0, 16, b"")] * 65),
    ],
)
def test_a_file_that_is_not_an_assembly_is_refused(data):
    with pytest.raises(InvalidPackage, match=r"'x\.dll' is not a readable assembly"):
        read_debug_directory(data, "x.dll")


@given(edits=EDITS)
@BOUNDED
def test_edited_bytes_are_read_or_refused(edits: list[Edit]):
    assert "\n" not in refusal(PortablePdb.parse, edited(PDB, edits))
    assert "\n" not in refusal(read_debug_directory, edited(DLL, edits))


@given(data=st.binary(max_size=300), place=st.integers(0, len(DLL) - 4), number=st.integers(0, 2**32 - 1))
@example(data=b"BSJB" + bytes(100), place=0x3C, number=2**32 - 1)
@BOUNDED
def test_any_bytes_and_numbers_are_read_or_refused(data: bytes, place: int, number: int):
    """
    Readers of such formats tend to break on four-byte sizes, counts and offsets.
    """
    word = struct.pack("<L", number)
    for whole, read in ((PDB, PortablePdb.parse), (DLL, read_debug_directory)):
        assert "\n" not in refusal(read, data)
        at = place % (len(whole) - 4)
        assert "\n" not in refusal(read, whole[:at] + word + whole[at + 4 :])


def test_pdbs_of_real_packages_are_those_of_their_assemblies():
    """
    Packages of several compilers contain both; ids always match, and so do checksums if present.
    """
    compared = checked = 0
    for path in sorted((shared() / "nuget-org" / "packages").rglob("*.nupkg")):
        with path.open("rb") as file:
            package = Nupkg(file)
            for name in (entry.name for entry in package.entries):
                assembly = package.find(name[:-4] + ".dll") if name.endswith(".pdb") else None
                content = package.read(name, 2**25) if assembly else b""
                if assembly is None or not content.startswith(b"BSJB"):
                    continue
                pdb, directory = PortablePdb.parse(content), read_debug_directory(package.read(assembly, 2**25))
                assert pdb.id in directory.ids, name
                assert all(pdb.checksum(known.algorithm) == known.digest for known in directory.checksums), name
                compared, checked = compared + 1, checked + len(directory.checksums)
    assert compared > 20
    assert checked > 20
