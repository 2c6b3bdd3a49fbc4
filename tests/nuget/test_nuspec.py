import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.manifest import Dependency, DependencyGroup, PackageType
from nugetproxy.nuget.nuspec import read_nuspec
from tests.builders import make_nuspec

YEARS = ["2010/07", "2011/08", "2011/10", "2012/06", "2013/01", "2013/05"]

FULL = """<?xml version="1.0"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata minClientVersion="3.3">
    <id> Contoso.Utils </id>
    <version>01.2.0-RC.1+abc</version>
    <title>Contoso &amp; Utils</title>
    <authors>Ann, Bob</authors>
    <owners>contoso</owners>
    <description>Line <!-- a comment -->one
line two</description>
    <summary>In short</summary>
    <releaseNotes><![CDATA[<b>new</b>]]></releaseNotes>
    <copyright>© Contoso</copyright>
    <language>en-US</language>
    <projectUrl>https://contoso.example/</projectUrl>
    <iconUrl>https://contoso.example/icon.png</iconUrl>
    <licenseUrl>https://licenses.nuget.org/MIT</licenseUrl>
    <license type="expression">MIT</license>
    <icon>images\\icon.png</icon>
    <readme>docs/README.md</readme>
    <tags> one, two;three  four</tags>
    <requireLicenseAcceptance>TRUE</requireLicenseAcceptance>
    <developmentDependency>1</developmentDependency>
    <repository type="git" url="https://contoso.example/utils.git" branch="main" commit="abc" />
    <packageTypes><packageType name="DotnetTool" /><packageType name="Own" version="2.0" /></packageTypes>
    <dependencies>
      <group targetFramework=".NETStandard2.0"><dependency id="A" version="[1.0.0, )" exclude="Build" /></group>
      <group targetFramework="net8.0" />
      <group><dependency id="B" /></group>
      <dependency id="Ignored" version="1.0" />
    </dependencies>
  </metadata>
  <files><file src="a" /></files>
</package>""".encode()


def test_every_element():
    manifest = read_nuspec(FULL)

    assert (manifest.id.text, manifest.version.full) == ("Contoso.Utils", "1.2.0-RC.1+abc")
    assert manifest.verbatim_version == "01.2.0-RC.1+abc"
    assert manifest.title == "Contoso & Utils"
    assert manifest.authors == "Ann, Bob"
    assert manifest.owners == "contoso"
    assert manifest.description == "Line one\nline two"
    assert manifest.summary == "In short"
    assert manifest.release_notes == "<b>new</b>"
    assert manifest.copyright == "© Contoso"
    assert manifest.language == "en-US"
    assert manifest.project_url == "https://contoso.example/"
    assert manifest.icon_url == "https://contoso.example/icon.png"
    assert manifest.license_url == "https://licenses.nuget.org/MIT"
    assert (manifest.license_expression, manifest.license_file) == ("MIT", "")
    assert manifest.icon == "images\\icon.png"
    assert manifest.readme == "docs/README.md"
    assert manifest.min_client_version == "3.3"
    assert manifest.tags == ("one", "two", "three", "four")
    assert manifest.require_license_acceptance
    assert manifest.development_dependency
    assert (manifest.repository_type, manifest.repository_url) == ("git", "https://contoso.example/utils.git")
    assert (manifest.repository_branch, manifest.repository_commit) == ("main", "abc")
    assert manifest.package_types == (PackageType("DotnetTool"), PackageType("Own", "2.0"))


def test_dependency_groups():
    """
    Groups keep their order, including empty ones; flat entries next to groups are ignored.
    """
    assert read_nuspec(FULL).dependency_groups == (
        DependencyGroup(".NETStandard2.0", (Dependency("A", "[1.0.0, )"),)),
        DependencyGroup("net8.0"),
        DependencyGroup(None, (Dependency("B"),)),
    )


def test_flat_dependencies_are_one_group_without_framework():
    manifest = read_nuspec(make_nuspec(dependencies=[("A", "1.0"), ("B", "[2.0]")]))

    assert manifest.dependency_groups == (DependencyGroup(None, (Dependency("A", "1.0"), Dependency("B", "[2.0]"))),)


def test_a_license_file():
    manifest = read_nuspec(make_nuspec(license_file="LICENSE.txt"))

    assert (manifest.license_expression, manifest.license_file) == ("", "LICENSE.txt")


def test_a_minimal_nuspec():
    manifest = read_nuspec(b"<package><metadata><id>A</id><version>1</version></metadata></package>")

    assert str(manifest.identity) == "A 1.0.0"
    assert manifest.as_dict() == {"id": "A", "version": "1"}


@pytest.mark.parametrize(
    "namespace",
    ["", *(f"http://schemas.microsoft.com/packaging/{year}/nuspec.xsd" for year in YEARS), "urn:something-else"],
)
def test_every_schema_year(namespace):
    assert read_nuspec(make_nuspec("A", "1.0", namespace=namespace)).id.text == "A"


def test_a_namespace_only_on_metadata():
    xml = f'<package><metadata xmlns="http://schemas.microsoft.com/packaging/{YEARS[0]}/nuspec.xsd">'
    xml += "<id>A</id><version>1.0</version></metadata></package>"

    assert read_nuspec(xml.encode()).id.text == "A"


XML = "<package><metadata><id>Ä</id><version>1.0</version></metadata></package>"


@pytest.mark.parametrize(
    "data",
    [
        XML.encode(),
        b"\xef\xbb\xbf" + XML.encode(),
        XML.encode("utf-16"),
        b"\xff\xfe" + XML.encode("utf-16-le"),
        b"\xfe\xff" + XML.encode("utf-16-be"),
        XML.encode("utf-16-le"),
        XML.encode("utf-16-be"),
        f'<?xml version="1.0" encoding="utf-16"?>{XML}'.encode("utf-16"),
        f'<?xml version="1.0" encoding="utf-16"?>{XML}'.encode("utf-16-le"),
        f'<?xml version="1.0" encoding="utf-8"?>{XML}'.encode(),
        b"\xef\xbb\xbf" + f'<?xml version="1.0" encoding="utf-8"?>{XML}'.encode(),
        f'<?xml version="1.0" encoding="iso-8859-1"?>{XML}'.encode("latin-1"),
    ],
)
def test_every_encoding(data):
    assert read_nuspec(data).id.text == "Ä"


LAUGHS = """<!DOCTYPE package [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>"""
HERE = "<id>A</id><version>1.0</version>"


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("", "not XML"),
        ("not xml", "not XML"),
        ("<package>", "not XML"),
        (f"<package><metadata>{HERE}</metadata></package>x", "not XML"),
        (f"<package><metadata>{HERE}<title>&unknown;</title></metadata></package>", "not XML"),
        (f"<package><metadata>{HERE}<title>\x00</title></metadata></package>", "not XML"),
        (f"<package>{'<a>' * 100_000}{'</a>' * 100_000}</package>", "no metadata"),
        (f"<!DOCTYPE package><package><metadata>{HERE}</metadata></package>", "document type"),
        (
            f'<!DOCTYPE package SYSTEM "file:///etc/passwd"><package><metadata>{HERE}</metadata></package>',
            "document type",
        ),
        (f"{LAUGHS}<package><metadata>{HERE}<title>&d;</title></metadata></package>", "document type"),
        ("<package />", "no metadata"),
        ("<package><other /></package>", "no metadata"),
        ("<package><metadata /></package>", "no valid id and version"),
        ("<package><metadata><id>A</id></metadata></package>", "no valid id and version"),
        ("<package><metadata><version>1.0</version></metadata></package>", "no valid id and version"),
        ("<package><metadata><id>../A</id><version>1.0</version></metadata></package>", "no valid id and version"),
        ("<package><metadata><id>A</id><version>$version$</version></metadata></package>", "no valid id and version"),
        (
            f"<package><metadata><id>A</id><version>1.0-{'a' * 300}</version></metadata></package>",
            "no valid id and version",
        ),
    ],
)
def test_refusals(xml, why):
    with pytest.raises(InvalidPackage, match=why) as refused:
        read_nuspec(xml.encode())

    assert "\n" not in str(refused.value)


def test_a_document_type_cannot_bring_a_file_in(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    xml = f'<!DOCTYPE p [<!ENTITY x SYSTEM "{secret.as_uri()}">]><package><metadata><id>&x;</id></metadata></package>'

    with pytest.raises(InvalidPackage) as refused:
        read_nuspec(xml.encode())
    assert "the secret" not in str(refused.value)


def test_the_first_of_duplicate_elements_counts():
    assert read_nuspec(make_nuspec("A", "1.0", more="<id>B</id>")).id.text == "A"


def test_dependencies_and_package_types_without_a_name_are_dropped():
    more = '<dependencies><dependency version="1.0" /></dependencies><packageTypes><packageType /></packageTypes>'
    manifest = read_nuspec(make_nuspec(more=more))

    assert (manifest.dependency_groups, manifest.package_types) == ((), ())
