"""Push rules for dependencies, frameworks, licences, icons and readmes."""

import pytest

from nugetproxy.nuget.push_rules_parts import LARGEST_PART
from tests.builders import make_nupkg, make_nuspec
from tests.nuget.test_push_rules import warnings, why_not, with_nuspec

PNG = b"\x89PNG\r\n\x1a\n...."


# --- dependencies and frameworks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dependencies", "why"),
    [
        ([("B", "1.*")], "its dependency B has the floating version '1.*'; specify the lowest version"),
        ([("B", "[1.0, *)")], "floating"),
        ([("B", "1.0.0+abc")], "build metadata in '1.0.0+abc'; remove the '+' and what follows"),
        ([("B", "[1.0, 2.0+x]")], "build metadata"),
        ([("B", "(1.0")], "no valid version range: '(1.0' is not a NuGet version range"),
        ([("B", "[2.0, 1.0]")], "no valid version range"),
        ([("B", "1.0" + " " * 300)], ""),
        ([("B", "[1.0," + " " * 300 + "2.0]")], "a version range of more than 256 characters"),
        ([("not an id", "1.0")], "it has a dependency without a valid id: 'not an id' is not a package id"),
        ([("", "1.0")], "without a valid id"),
        ([("B", "1.0"), ("b", "2.0")], "it depends on b twice; list each package once per group"),
        ({"net8.0": [("B", "1.0"), ("B", "1.0")]}, "it depends for 'net8.0' on B twice"),
        ({"net8.0": [("B", "1.*")]}, "its dependency B for 'net8.0' has the floating"),
        ({"net8.0": [("B", "1.0")], "net9.0": [("B", "2.0")]}, ""),
        ([("B", "")], ""),
        ([("B", "[1.0, 2.0)"), ("C", "(, 3.0]")], ""),
        ({None: [("B", "1.0")]}, ""),
        ({f"net8.{n}": [("B" * 90, "1.0"), ("C" * 90, "1.0")] for n in range(200)}, "the limit is 32767"),
        ({f"net8.{n}{'0' * 150}": [] for n in range(250)}, "the limit is 32767"),
        ({"not a framework!": [("B", "1.0")]}, "'not a framework!' is not a target framework such as net8.0"),
        ({"net8.0" + "0" * 300: [("B", "1.0")]}, "is not a target framework"),
        ({"42": []}, "'42' is not a target framework"),
        ({".NETPortable0.0-Profile259": [], ".NETFramework,Version=v4.5": [], "monoandroid10": []}, ""),
    ],
)
def test_dependencies(dependencies, why):
    package = with_nuspec(dependencies=dependencies)

    if why:
        assert why in why_not(package)
    else:
        assert warnings(package)


def test_a_framework_of_the_future_causes_a_warning():
    told = warnings(with_nuspec(dependencies={"netquantum1.0": [("B", "1.0")]}))

    assert told[2:] == ("The target framework 'netquantum1.0' is unknown. Clients that do not know it ignore it.",)


def test_frameworks_of_other_elements_are_checked():
    assemblies = '<frameworkAssembly assemblyName="System" targetFramework="net45, %s" />'
    references = '<references><group targetFramework="%s" /></references>'

    assert warnings(with_nuspec(more=f"<frameworkAssemblies>{assemblies % 'net40'}</frameworkAssemblies>"))
    assert "'4?'" in why_not(with_nuspec(more=f"<frameworkAssemblies>{assemblies % '4?'}</frameworkAssemblies>"))
    assert "'4?'" in why_not(with_nuspec(more=references % "4?"))


def test_flat_dependencies_beside_groups_cause_a_warning():
    told = warnings(with_nuspec(more='<dependencies><group /><dependency id="A" version="1.0" /></dependencies>'))

    assert told[2:] == ("Dependencies outside groups are ignored when there are groups.",)


# --- licences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "why"),
    [
        ('<license type="expression">MIT</license>', ""),
        ('<license type="expression" version="1.0.0">MIT</license>', ""),
        ("<license>MIT</license>", "the type of its license is ''; expected expression or file"),
        ('<license type="text">MIT</license>', "the type of its license is 'text'"),
        ('<license type="expression">MIT and me</license>', "is not an SPDX expression such as 'MIT OR Apache-2.0'"),
        ('<license type="expression"></license>', "its license is empty"),
        ('<license type="expression" version="2.0.0">MIT</license>', "only 1.0.0 is supported"),
        ('<license type="expression">MIT<b/></license>', "its license contains elements"),
        (f'<license type="expression">{"M" * 501}</license>', "its license has 501 characters; the limit is 500"),
        (
            '<license type="file">LICENSE.txt</license>',
            "names the license 'LICENSE.txt', but the package has no such file",
        ),
    ],
)
def test_license_elements(element, why):
    package = with_nuspec(more=element)

    if why:
        assert why in why_not(package)
    else:
        assert len(warnings(package)) == 1


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "files", "why"),
    [
        ({"readme": "README.md"}, {"README.md": "Größe".encode()}, ""),
        ({"readme": "docs\\readme.MD"}, {"docs/README.md": b"x"}, ""),
        ({"readme": "README.md"}, {}, "its nuspec names the readme 'README.md', but the package has no such file"),
        (
            {"readme": "README.txt"},
            {"README.txt": b"x"},
            "its readme 'README.txt' has the wrong extension; allowed: .md",
        ),
        ({"readme": "README.md"}, {"README.md": b" \n"}, "its readme 'README.md' is empty"),
        ({"readme": "README.md"}, {"README.md": b"\xff\xfeh\0"}, "is not UTF-8 text"),
        ({"readme": "README.md"}, {"README.md": b"a\0b"}, "is not UTF-8 text"),
        ({"readme": "README.md"}, {"README.md": b"x" * (LARGEST_PART + 1)}, "larger than the limit of 1048576 bytes"),
        ({"icon": "i.png"}, {"i.png": PNG}, ""),
        ({"icon": "i.JPEG"}, {"i.jpeg": b"\xff\xd8\xff\xe0"}, ""),
        ({"icon": "i.png"}, {"i.png": b"\xff\xd8\xff\xe0"}, ""),
        (
            {"icon": "i.svg"},
            {"i.svg": b"<svg/>"},
            "its icon 'i.svg' has the wrong extension; allowed: .png, .jpg, .jpeg",
        ),
        ({"icon": "i.png"}, {"i.png": b"<svg/>"}, "is neither a PNG nor a JPEG image"),
        ({"license_file": "LICENSE"}, {"LICENSE": b"free"}, ""),
        ({"license_file": "l/LICENSE.md"}, {"l/LICENSE.md": b""}, ""),
        ({"license_file": "LICENSE.rtf"}, {"LICENSE.rtf": b"x"}, "has the wrong extension; allowed: none, .txt, .md"),
        ({"license_file": "LICENSE.txt"}, {"LICENSE.txt": b"\xe4"}, "its license 'LICENSE.txt' is not UTF-8 text"),
    ],
)
def test_named_files(arguments, files, why):
    package = make_nupkg(nuspec=make_nuspec(**arguments), files=files)

    if why:
        assert why in why_not(package)
    else:
        warnings(package)
