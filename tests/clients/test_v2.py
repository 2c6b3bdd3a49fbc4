"""Clients that use V2, with packages from their time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import make_nupkg
from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

RELATIONSHIPS = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/{id}.nuspec" Id="R1" />'
    "</Relationships>"
)
TYPES = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />'
    '<Default Extension="nuspec" ContentType="application/octet" />'
    '<Default Extension="txt" ContentType="application/octet" /></Types>'
)
FILES: tuple[tuple[str, str, list[tuple[str, str]]], ...] = (
    ("Alpha.Lib", "1.0.0", [("Beta.Lib", "1.0.0")]),
    ("Alpha.Lib", "1.1.0", [("Beta.Lib", "[1.0.0, 2.0.0)")]),
    ("Alpha.Lib", "1.2.0-beta", [("Beta.Lib", "1.2.0")]),
    ("Alpha.Lib", "2.0.0-rc.1", []),
    ("Beta.Lib", "1.0.0", []),
    ("Beta.Lib", "1.2.0", []),
)


@pytest.fixture(scope="module")
def nuget_org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("packages")
    for package_id, version, dependencies in FILES:
        files = {
            "_rels/.rels": RELATIONSHIPS.format(id=package_id).encode(),
            "[Content_Types].xml": TYPES.encode(),
            "content/readme.txt": version.encode(),
        }
        package = make_nupkg(package_id, version, dependencies=dependencies, files=files)
        (folder / f"{package_id}.{version}.nupkg").write_bytes(package)
    with StandIn("--packages", str(folder), "--no-made") as standin:
        yield standin


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, nuget_org: StandIn) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("v2") / "data", upstream=nuget_org.url) as running:
        yield running


@pytest.fixture
def source(server: Server) -> str:
    return f"{server.base}/api/v2"


def lines(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.strip()]


def installed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


def test_old_list(workplace: Workplace, source: str) -> None:
    listed = workplace.old_nuget("list", "Lib", "-Source", source).must_succeed()

    assert lines(listed.output) == ["Alpha.Lib 1.1.0", "Beta.Lib 1.2.0"]


def test_old_list_with_prereleases_shows_what_it_can_read(workplace: Workplace, source: str) -> None:
    """
    2.8.7 fails on a SemVer 2 version, so to it 1.2.0-beta is the latest although 2.0.0-rc.1 is there.
    """
    listed = workplace.old_nuget("list", "Alpha", "-Prerelease", "-Source", source).must_succeed()

    assert lines(listed.output) == ["Alpha.Lib 1.2.0-beta"]


def test_old_list_of_all_versions(workplace: Workplace, source: str) -> None:
    listed = workplace.old_nuget("list", "Alpha", "-AllVersions", "-Prerelease", "-Source", source).must_succeed()

    assert lines(listed.output) == ["Alpha.Lib 1.0.0", "Alpha.Lib 1.1.0", "Alpha.Lib 1.2.0-beta"]


def test_old_install_brings_dependencies(workplace: Workplace, source: str) -> None:
    workplace.old_nuget("install", "Alpha.Lib", "-OutputDirectory", "out", "-Source", source).must_succeed()

    # A dependency is resolved to its lowest version, as always.
    assert installed(workplace.folder / "out") == {"Alpha.Lib.1.1.0", "Beta.Lib.1.0.0"}


def test_old_install_of_a_version(workplace: Workplace, source: str) -> None:
    """
    "1.0" is requested as written and found as 1.0.0.
    """
    ran = workplace.old_nuget("install", "Alpha.Lib", "-Version", "1.0", "-OutputDirectory", "out", "-Source", source)
    ran.must_succeed()

    assert "Alpha.Lib.1.0.0" in installed(workplace.folder / "out")


def test_old_install_of_an_unknown_id(workplace: Workplace, source: str) -> None:
    output = workplace.old_nuget("install", "No.Such", "-OutputDirectory", "out", "-Source", source).must_fail().output

    assert "Unable to find package 'No.Such'" in output


def test_old_restore_and_update(workplace: Workplace, source: str) -> None:
    config = workplace.old_project("project", ("Alpha.Lib", "1.0.0"), ("Beta.Lib", "1.0.0"))
    folder = workplace.folder / "packages"
    restored = workplace.old_nuget(
        "restore", str(config), "-PackagesDirectory", str(folder), "-Source", source, cwd=config.parent
    )
    restored.must_succeed()
    assert installed(folder) == {"Alpha.Lib.1.0.0", "Beta.Lib.1.0.0"}

    updated = workplace.old_nuget(
        "update", str(config), "-RepositoryPath", str(folder), "-Source", source, "-NonInteractive", cwd=config.parent
    )
    updated.must_succeed()
    assert 'id="Alpha.Lib" version="1.1.0"' in config.read_text(), updated.output


def test_nuget_5_installs_over_v2(workplace: Workplace, source: str) -> None:
    workplace.nuget_exe(
        "install", "Alpha.Lib", "-PreRelease", "-OutputDirectory", "out", "-NonInteractive", "-Source", source
    ).must_succeed()

    # It says semVerLevel=2.0.0, so the SemVer 2 version is the latest to it.
    assert installed(workplace.folder / "out") == {"Alpha.Lib.2.0.0-rc.1"}


def test_nuget_5_lists_over_v2(workplace: Workplace, source: str) -> None:
    listed = workplace.nuget_exe("list", "Lib", "-NonInteractive", "-Source", source).must_succeed()

    assert lines(listed.output) == ["Alpha.Lib 1.1.0", "Beta.Lib 1.2.0"]


def test_nuget_5_lists_a_v3_source_through_the_legacy_gallery(workplace: Workplace) -> None:
    listed = workplace.nuget_exe("list", "Lib", "-NonInteractive", "-Source", workplace.source).must_succeed()

    assert lines(listed.output) == ["Alpha.Lib 1.1.0", "Beta.Lib 1.2.0"]


def test_dotnet_restores_from_a_v2_source(tmp_path: Path, source: str) -> None:
    """
    The newest SDK still uses V2 if the source is a V2 URL.
    """
    workplace = Workplace(tmp_path / "v2", source)
    (workplace.folder / "nuget.config").write_text(
        "<configuration><packageSources><clear />"
        f'<add key="here" value="{source}" allowInsecureConnections="true" /></packageSources></configuration>'
    )
    project = workplace.project("one", ("Alpha.Lib", "1.0.0"), audit=False)
    workplace.dotnet("restore", cwd=project).must_succeed()

    assert (workplace.packages / "beta.lib" / "1.0.0").is_dir()


def test_old_install_without_the_upstream(workplace: Workplace, source: str, nuget_org: StandIn) -> None:
    """
    A package installed once can be installed again when the upstream is down: V2 is built from stored content. The last
    test here: the upstream stays down.
    """
    workplace.old_nuget("install", "Alpha.Lib", "-OutputDirectory", "one", "-Source", source).must_succeed()
    nuget_org.die()
    workplace.forget()
    workplace.old_nuget("install", "Alpha.Lib", "-OutputDirectory", "two", "-Source", source).must_succeed()

    assert installed(workplace.folder / "two") == {"Alpha.Lib.1.1.0", "Beta.Lib.1.0.0"}
