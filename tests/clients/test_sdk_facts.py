"""What the SDK adds to projects, compared with its own targets: no package is fetched, and no project is built."""

import re

import pytest

from nugetproxy.nuget.closure.sdk import prunes_by_default
from nugetproxy.nuget.closure.sdk_facts import shipped_facts
from nugetproxy.nuget.closure.sdk_folder import folder_facts
from nugetproxy.nuget.framework import find_framework
from nugetproxy.nuget.projects.sources import Options, read_sources
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace, clients_folder
from tests.nuget import sdk_projects

pytestmark = [pytest.mark.clients, not_in_fleet("needs no server")]

_MISSING = re.compile(r"NU110[12]: Unable to find package (\S+?)\.? ", re.ASCII)

_STATED = "".join(
    f"<{name} Condition=\"'$(My_{name})' != ''\">$(My_{name})</{name}>" for name in sdk_projects.PROPERTIES
)
_PROJECT = f"""<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>{_STATED}</PropertyGroup>
  <ItemGroup Condition="'$(My_FrameworkReference)' != ''">
    <FrameworkReference Include="Microsoft.$(My_FrameworkReference)" />
  </ItemGroup>
  <Target Name="Write"
          DependsOnTargets="CollectPackageReferences;CollectPackageDownloads;CollectPrunePackageReferences">
    <ItemGroup>
      <Line Include="D %(PackageDownload.Identity) %(PackageDownload.Version)" Condition="'@(PackageDownload)' != ''" />
      <Line Include="R %(PackageReference.Identity) %(PackageReference.Version) %(PackageReference.PrivateAssets)"
            Condition="'@(PackageReference)' != ''" />
      <Line Include="P %(PrunePackageReference.Identity) %(PrunePackageReference.Version)"
            Condition="'@(PrunePackageReference)' != ''" />
      <Line Include="X $(RestoreEnablePackagePruning)" />
    </ItemGroup>
    <WriteLinesToFile File="$(Number).txt" Lines="@(Line)" Overwrite="true" />
  </Target>
</Project>
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Projects, and the lines that the SDK writes for them; those that it refuses are left out."""
    place = Workplace(tmp_path_factory.mktemp("sdk") / "work", "http://127.0.0.1:9/index.json")
    projects = sdk_projects.made(1_004_01, 120)
    rows = "".join(
        f'<P Include="p.csproj"><AdditionalProperties>Number={number};'
        + ";".join(f"My_{name}={value.replace(';', '%3B')}" for name, value in project.items())
        + "</AdditionalProperties></P>"
        for number, project in enumerate(projects)
    )
    (place.folder / "p.csproj").write_text(_PROJECT)
    (place.folder / "all.proj").write_text(
        f'<Project><ItemGroup>{rows}</ItemGroup><Target Name="All">'
        '<MSBuild Projects="@(P)" Targets="Write" ContinueOnError="true" /></Target></Project>'
    )
    place.dotnet("msbuild", "all.proj", "-v:q", "-nologo")
    return [
        (project, [line.split() for line in file.read_text().splitlines()])
        for number, project in enumerate(projects)
        if (file := place.folder / f"{number}.txt").is_file()
    ]


def test_the_sdk_adds_what_our_rules_say(answers):
    facts = shipped_facts("10.0.401")
    assert len(answers) > 80
    for project, written in answers:
        downloads = {f"{name} {version}".lower() for kind, name, version, *_ in filter(_of("D"), written)}
        references = {
            f"{name} {version}{' private' if private == ['All'] or private == ['all'] else ''}".lower()
            for kind, name, version, *private in filter(_of("R"), written)
        }
        assert sdk_projects.lines(sdk_projects.implied_for(project, facts)) == downloads | references, project


def test_the_sdk_prunes_what_our_tables_say(answers):
    facts = shipped_facts("10.0.401")
    counted = 0
    for project, written in answers:
        framework = find_framework(project["TargetFramework"])
        assert framework is not None
        pruned = {name.lower(): version for _, name, version in filter(_of("P"), written)}
        assert prunes_by_default([framework]) == (["X", "true"] in written)
        if pruned:
            ours = sdk_projects.implied_for(project, facts).pruned
            assert {name: version.normalized for name, version in ours.items()} == pruned, project
            counted += 1
    assert counted > 5


def test_an_installed_sdk_says_what_the_shipped_table_says(answers):
    installed, shipped = folder_facts(clients_folder() / "dotnet10"), shipped_facts("10.0.401")
    assert (installed.version, installed.host, installed.known) == (shipped.version, shipped.host, shipped.known)
    assert (installed.implicit, installed.windows) == (shipped.implicit, shipped.windows)
    assert installed.bundled == shipped.bundled
    framework = find_framework("net10.0")
    assert framework is not None
    names = ("Microsoft.NETCore.App", "Microsoft.AspNetCore.App")
    assert len(installed.prune_data) == 2
    assert installed.packages_in(framework, names) == shipped.packages_in(framework, names)


def _of(kind):
    return lambda line: line[0] == kind


def test_a_restore_without_any_packages_asks_for_what_our_rules_say(tmp_path):
    """Also for frameworks together, and by the file of the project."""
    place = Workplace(tmp_path / "work", "http://127.0.0.1:9/index.json")
    (place.folder / "empty").mkdir()
    (place.folder / "nuget.config").write_text(
        '<configuration><packageSources><clear /><add key="e" value="empty" /></packageSources></configuration>'
    )
    file = place.folder / "p.csproj"
    file.write_text(
        '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>'
        "<TargetFrameworks>net8.0;net10.0;netstandard2.0;net472;netcoreapp2.1</TargetFrameworks>"
        "<OutputType>Exe</OutputType><RuntimeIdentifiers>linux-x64;win-x64</RuntimeIdentifiers>"
        "<PublishAot Condition=\"'$(TargetFramework)' == 'net10.0'\">true</PublishAot>"
        "<NuGetAudit>false</NuGetAudit></PropertyGroup></Project>"
    )
    failed = place.dotnet("restore", cwd=place.folder).must_fail()
    missing = {found[1].lower() for found in _MISSING.finditer(failed.output)}
    sources = read_sources([file], Options(sdk=shipped_facts("10.0.401")))
    targets = next(iter(sources.projects.values())).targets
    downloads = {each.lower_id for target in targets for each in target.downloads}
    assert missing == downloads | {each.id.lower for target in targets for each in target.references}
    assert "microsoft.dotnet.ilcompiler" in missing
    assert len(missing) > 15
