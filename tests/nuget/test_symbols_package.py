"""What a .snupkg may contain, and which assemblies its PDBs may belong to."""

import io
import uuid
from typing import Any

import pytest
from hypothesis import given

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.symbols_package import SymbolsLimits, SymbolsPackage
from tests.builders import make_nupkg, make_nuspec
from tests.nuget.test_hostile_input import BOUNDED, EDITS, Edit, edited, refusal
from tests.symbol_builders import KEY, make_assembly, make_debuggable, make_pdb, make_snupkg

NOW = 1_767_355_200.0
PATH = "lib/net8.0/Contoso.Utils.pdb"
DLL = "lib/net8.0/Contoso.Utils.dll"
PDB = make_pdb()
PACKAGE, SNUPKG = make_debuggable(), make_snupkg()


def opened(package: bytes, limits: SymbolsLimits = SymbolsLimits()) -> SymbolsPackage:  # noqa: B008 - frozen
    return SymbolsPackage(io.BytesIO(package), limits, NOW)


def described(more: str, **texts: Any) -> bytes:
    return make_snupkg(nuspec=make_nuspec(authors="", package_types=["SymbolsPackage"], more=more, **texts))


def key_in(package: bytes, *, pdb: bytes = PDB, path: str = PATH, limits: SymbolsLimits = SymbolsLimits()) -> str:  # noqa: B008 - frozen
    symbols = opened(make_snupkg(files={path: pdb}), limits)
    return symbols.pdb_of(Nupkg(io.BytesIO(package)), symbols.pdb_names[0]).id.key


def test_a_symbols_package_names_its_version_and_its_pdbs():
    symbols = opened(make_snupkg(files={PATH: PDB, "lib/net9.0/Contoso.Utils.PDB": PDB, "a.xml": b"<a/>"}))

    assert str(symbols.identity) == "Contoso.Utils 1.0.0"
    assert (PATH, "lib/net9.0/Contoso.Utils.PDB") == symbols.pdb_names


@pytest.mark.parametrize(
    ("package", "why"),
    [
        (b"PDB", "not a ZIP archive"),
        (make_snupkg(files={"a.xml": b""}), r"it has no \.pdb file; pack with DebugType=portable"),
        (make_snupkg(files={PATH: PDB, DLL: b"MZ"}), r"'lib/net8\.0/Contoso\.Utils\.dll' is not allowed in a symbols"),
        (make_snupkg(files={PATH: PDB, "../x.pdb": PDB}), r"entry '\.\./x\.pdb' has '\.' or '\.\.' in its path"),
        (make_snupkg(files={"lib/" + "x" * 252 + ".pdb": PDB}), "file or folder name of more than 255 bytes"),
        (make_snupkg(nuspec=make_nuspec(authors="")), "lacks the package type SymbolsPackage: push packages to"),
        (make_snupkg(nuspec=make_nuspec(package_types=["SymbolsPackage"])), "has the element authors, which belongs"),
        (described("<owners>me</owners>"), "element owners"),
        (described("", license_expression="MIT"), "element license,"),
        (described("<licenseUrl>https://x</licenseUrl>"), "element licenseUrl"),
        (described("", icon="icon.png"), "element icon"),
        (described("<requireLicenseAcceptance>true</requireLicenseAcceptance>"), "element requireLicenseAcceptance"),
    ],
)
def test_a_package_that_breaks_a_rule_is_refused(package, why):
    with pytest.raises(InvalidPackage, match=why):
        opened(package)


def test_limits_of_the_archive_apply():
    limits = SymbolsLimits(archive=ArchiveLimits(max_entries=2))

    with pytest.raises(InvalidPackage, match="it has 3 entries; the limit is 2"):
        opened(make_snupkg(files={PATH: PDB, "a.xml": b""}), limits)


@pytest.mark.parametrize(
    "assembly",
    [
        make_assembly(PDB),
        make_assembly(PDB, algorithm="SHA384"),
        make_assembly(PDB, algorithm="SHA512", wide=False),
        make_assembly(PDB, algorithm=""),  # older compilers wrote no checksum
    ],
)
def test_a_pdb_of_the_assembly_beside_it_is_accepted(assembly):
    assert KEY == key_in(make_debuggable(files={DLL: assembly}))


def test_programs_have_pdbs_too():
    assert KEY == key_in(make_debuggable(files={"tools/x.EXE": make_assembly(PDB)}), path="tools/X.pdb")


def test_of_an_exe_and_a_dll_one_is_enough():
    """
    A .NET program has a native launcher next to its assembly, which has no PDB.
    """
    files = {"tools/x.dll": make_assembly(PDB), "tools/x.exe": make_assembly(entries=[])}

    assert KEY == key_in(make_debuggable(files=files), path="tools/x.pdb")


@pytest.mark.parametrize(
    ("assembly", "pdb", "why"),
    [
        (make_assembly(PDB), b"Microsoft C/C++ MSF 7.00", "is a Windows PDB"),
        (make_assembly(make_pdb(uuid.UUID(int=7)), guid=uuid.UUID(int=7)), PDB, "is from another build than"),
        (make_assembly(PDB, stamp=1), PDB, "is from another build than"),
        (make_assembly(PDB), make_pdb(body=b"lies"), "was changed after"),
        (make_assembly(entries=[]), PDB, "was built without a portable PDB"),
        (b"not an assembly", PDB, "is not a readable assembly"),
    ],
)
def test_a_pdb_of_another_build_is_refused(assembly, pdb, why):
    with pytest.raises(InvalidPackage, match=why):
        key_in(make_debuggable(files={DLL: assembly}), pdb=pdb)


def test_a_pdb_without_its_assembly_is_refused():
    with pytest.raises(InvalidPackage, match=r"the package has no 'lib/net8\.0/Contoso\.Utils\.dll'"):
        key_in(make_nupkg())


def test_a_file_larger_than_the_limit_is_not_held_in_memory():
    with pytest.raises(InvalidPackage, match="is larger than the limit of 10 bytes"):
        key_in(make_debuggable(), limits=SymbolsLimits(file_size=10))


@given(edits=EDITS)
@BOUNDED
def test_edited_bytes_are_read_or_refused(edits: list[Edit]):
    def read(data: bytes) -> None:
        symbols = opened(data)
        for name in symbols.pdb_names:
            symbols.pdb_of(Nupkg(io.BytesIO(PACKAGE)), name)

    assert "\n" not in refusal(read, edited(SNUPKG, edits))
