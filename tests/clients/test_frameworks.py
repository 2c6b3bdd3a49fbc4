"""Compatibility of frameworks, compared with NuGet's own library and with real restores."""

import json
import zipfile
from pathlib import Path

import pytest

from nugetproxy.nuget.compatibility import nearest
from nugetproxy.nuget.framework import find_framework
from nugetproxy.nuget.framework_support import supports
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace
from tests.nuget import frameworks
from tests.nuget.test_compatibility import NEAREST, SUPPORTS, place_of_nearest, recorded

pytestmark = [pytest.mark.clients, not_in_fleet("needs no server")]

_PROJECT = """<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework>
    <UseAppHost>false</UseAppHost><NuGetAudit>false</NuGetAudit>
  </PropertyGroup>
  <ItemGroup><Reference Include="$(MSBuildToolsPath)/NuGet.Frameworks.dll" /></ItemGroup>
</Project>
"""
_PROGRAM = """
using NuGet.Frameworks;
var reducer = new FrameworkReducer();
foreach (var line in System.IO.File.ReadLines(args[0])) {
    var words = line.Split(' ').Select(NuGetFramework.Parse).ToList();
    if (words.Count == 2) {
        System.Console.WriteLine(DefaultCompatibilityProvider.Instance.IsCompatible(words[0], words[1]) ? 1 : 0);
        continue;
    }
    var found = reducer.GetNearest(words[0], words.Skip(2));
    System.Console.WriteLine(found == null ? -1 : words.FindIndex(2, each => each.Equals(found)) - 2);
}
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A function that asks NuGet's library: whether two frameworks fit, or which of those after `any` is nearest."""
    place = Workplace(tmp_path_factory.mktemp("frameworks") / "work", "http://127.0.0.1:9/index.json")
    folder = place.folder / "asked"
    folder.mkdir()
    (folder / "asked.csproj").write_text(_PROJECT)
    (folder / "program.cs").write_text("using System.Linq;" + _PROGRAM)
    place.dotnet("build", "-v", "q", cwd=folder).must_succeed()

    def ask(lines: list[str]) -> list[int]:
        (folder / "lines.txt").write_text("\n".join(lines))
        ran = place.dotnet(str(folder / "bin/Debug/net10.0/asked.dll"), "lines.txt", cwd=folder).must_succeed()
        return [int(number) for number in ran.output.split()]

    return ask


def test_frameworks_fit_and_are_near_as_for_nuget(asked):
    made = frameworks.pairs(20_261, 3_000)
    said = asked([f"{project} {offered}" for project, offered in made])
    ours = [int(supports(frameworks.meaning(project), frameworks.meaning(offered))) for project, offered in made]
    assert [(pair, theirs) for pair, theirs, own in zip(made, said, ours, strict=True) if theirs != own] == []
    assert 300 < sum(said) < 2_000

    choices = frameworks.choices(20_261, 600)
    said = asked([f"{project} any {' '.join(offered)}" for project, offered in choices])
    own = [place_of_nearest(project, offered) for project, offered in choices]
    differing = [
        (choice, choice[1][theirs]) for choice, theirs, us in zip(choices, said, own, strict=True) if theirs != us
    ]
    assert differing == []
    assert sum(number >= 0 for number in said) > 300


def test_the_recorded_tables_are_what_nuget_says(asked):
    pairs = [(project, offered) for project in recorded(SUPPORTS) for offered in recorded(SUPPORTS)]
    said = asked([f"{project} {offered}" for project, offered in pairs])
    assert {pair for pair, fits in zip(pairs, said, strict=True) if fits} == {
        (project, offered) for project, fitting in recorded(SUPPORTS).items() for offered in fitting
    }
    lines = [line.split() for line in NEAREST.read_text().splitlines()]
    said = asked([f"{project} any {' '.join(offered)}" for project, _, *offered in lines])
    assert said == [int(number) for _, number, *_ in lines]


_FALLBACKS = ("net461", "net462", "net47", "net471", "net472", "net48", "net481")
_PACKAGE = """<package><metadata><id>{id}</id><version>1.0.0</version><authors>a</authors><description>d</description>
<dependencies>{groups}</dependencies></metadata></package>"""


def _package(folder: Path, package_id: str, groups: str) -> None:
    with zipfile.ZipFile(folder / f"{package_id}.1.0.0.nupkg", "w") as archive:
        archive.writestr(f"{package_id}.nuspec", _PACKAGE.format(id=package_id, groups=groups))
        archive.writestr("tools/_._", "")


@pytest.mark.parametrize("framework", ["net10.0", "net472"])
def test_a_restore_takes_the_nearest_group_of_dependencies(tmp_path, framework):
    """Each package has a group for each of many frameworks, with a dependency that is named after its place."""
    place = Workplace(tmp_path / "work", "http://127.0.0.1:9/index.json")
    folder = place.folder / "packages"
    folder.mkdir()
    for number in range(10):
        _package(folder, f"Chosen{number}", "")
    wanted = find_framework(framework)
    assert wanted is not None
    fallbacks = tuple(
        filter(None, map(find_framework, ["net461", "net462", "net47", "net471", "net472", "net48", "net481"]))
    )
    expected: dict[str, int | None] = {}
    for number, (_, offered) in enumerate(frameworks.choices(7, 150)):
        offered = [each for each in dict.fromkeys(offered) if each not in ("unsupported", "any")][:10]
        groups = "".join(
            f'<group targetFramework="{each}"><dependency id="Chosen{place}" version="1.0.0" /></group>'
            for place, each in enumerate(offered)
        )
        _package(folder, f"P{number}", groups)
        try:
            found = nearest(wanted, offered, fallbacks if framework == "net10.0" else ())
            expected[f"P{number}"] = [*map(frameworks.meaning, offered)].index(frameworks.meaning(found or ""))
        except LookupError:
            expected[f"P{number}"] = None
    (place.folder / "nuget.config").write_text(
        f'<configuration><packageSources><clear /><add key="f" value="{folder}" /></packageSources></configuration>'
    )
    references = "".join(f'<PackageReference Include="{each}" Version="1.0.0" />' for each in expected)
    (place.folder / "p.csproj").write_text(
        f'<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>{framework}</TargetFramework>'
        "<NuGetAudit>false</NuGetAudit><DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>"
        "<AutomaticallyUseReferenceAssemblyPackages>false</AutomaticallyUseReferenceAssemblyPackages>"
        f"</PropertyGroup><ItemGroup>{references}</ItemGroup></Project>"
    )
    ran = place.dotnet("restore", "-v", "q", cwd=place.folder)
    assets = place.folder / "obj" / "project.assets.json"
    assert assets.is_file(), ran.output
    target = next(iter(json.loads(assets.read_text())["targets"].values()))
    said = {
        name.partition("/")[0]: next((int(each[6:]) for each in entry.get("dependencies", {})), None)
        for name, entry in target.items()
        if name.startswith("P")
    }
    assert said == expected
