"""What the SDK adds, asked with project files: the answers were recorded from the SDK."""

import json
from pathlib import Path

from nugetproxy.nuget.closure.sdk_facts import shipped_facts
from nugetproxy.nuget.framework import find_framework
from nugetproxy.nuget.projects.sources import Options, read_sources
from tests.nuget.test_sdk import RECORDED


def _write(folder: Path, project: dict[str, str]) -> Path:
    stated = "".join(f"<{name}>{value}</{name}>" for name, value in project.items() if name != "FrameworkReference")
    shared = project.get("FrameworkReference")
    item = f'<ItemGroup><FrameworkReference Include="Microsoft.{shared}" /></ItemGroup>' if shared else ""
    file = folder / "p.csproj"
    file.write_text(f'<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>{stated}</PropertyGroup>{item}</Project>')
    return file


def test_a_project_file_gets_what_the_sdk_adds(tmp_path):
    options = Options(sdk=shipped_facts("10.0.401"))
    for project, added in json.loads(RECORDED.read_text())[::5]:
        sources = read_sources([_write(tmp_path, project)], options)
        (target,) = next(iter(sources.projects.values())).targets
        downloads = {f"{each.id} [{each.version.normalized}]".lower() for each in target.downloads}
        references = {
            f"{each.id} {each.range.minimum}{' private' if each.is_private else ''}".lower()
            for each in target.references
            if each.range is not None
        }
        assert downloads | references == set(added), project
        assert bool(target.pruned) == _is_newest(project["TargetFramework"])


def _is_newest(name: str) -> bool:
    framework = find_framework(name)
    assert framework is not None
    return framework.identifier == ".NETCoreApp" and framework.version >= (10, 0, 0, 0)


_ASSETS = "Microsoft.AspNetCore.App.Internal.Assets 10.0.12"


def _added(folder: Path, sdk: str, stated: str = "") -> tuple[list[str], list[str]]:
    file = folder / "p.csproj"
    stated = f"<TargetFramework>net10.0</TargetFramework>{stated}"
    file.write_text(f'<Project Sdk="{sdk}"><PropertyGroup>{stated}</PropertyGroup></Project>')
    sources = read_sources([file], Options(sdk=shipped_facts("10.0.401")))
    (target,) = next(iter(sources.projects.values())).targets
    return [str(each) for each in target.downloads], [each.what for each in sources.unsure]


def test_a_web_project_with_components_needs_their_assets(tmp_path):
    assert _ASSETS not in _added(tmp_path, "Microsoft.NET.Sdk.Web")[0]
    assert (
        _ASSETS
        in _added(tmp_path, "Microsoft.NET.Sdk.Web", "<RequiresAspNetWebAssets>true</RequiresAspNetWebAssets>")[0]
    )
    (tmp_path / "Pages").mkdir()
    (tmp_path / "Pages" / "Home.razor").touch()
    assert _ASSETS in _added(tmp_path, "Microsoft.NET.Sdk.Web")[0]
    assert _ASSETS not in _added(tmp_path, "Microsoft.NET.Sdk")[0]
    stated = "<RequiresAspNetWebAssets>false</RequiresAspNetWebAssets>"
    assert _ASSETS not in _added(tmp_path, "Microsoft.NET.Sdk.Web", stated)[0]


def test_what_an_sdk_for_webassembly_adds_is_not_certain(tmp_path):
    assert any("WebAssembly" in what for what in _added(tmp_path, "Microsoft.NET.Sdk.BlazorWebAssembly")[1])
    assert _added(tmp_path, "Microsoft.NET.Sdk") == ([], [])


def test_projects_without_a_framework_need_no_packs(tmp_path):
    stated = "<OutputType>Exe</OutputType><RuntimeIdentifier>win-x64</RuntimeIdentifier>"
    assert _added(tmp_path, "Microsoft.NET.Sdk", stated)[0] == ["Microsoft.NETCore.App.Host.win-x64 10.0.12"]
    stated += "<DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>"
    assert _added(tmp_path, "Microsoft.NET.Sdk", stated)[0] == []
    assert _added(tmp_path, "Microsoft.Build.NoTargets/3.7.56", stated)[0] == []


def test_the_machine_that_restores_has_the_runtime_of_the_options(tmp_path):
    file = tmp_path / "p.csproj"
    stated = "<TargetFramework>net9.0</TargetFramework><OutputType>Exe</OutputType>"
    file.write_text(f'<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>{stated}</PropertyGroup></Project>')
    for runtimes, host in (((), "linux-x64"), (("win-x64",), "win-x64"), (("osx-arm64",), "osx-arm64")):
        sources = read_sources([file], Options(runtimes=runtimes, sdk=shipped_facts("10.0.401")))
        (target,) = next(iter(sources.projects.values())).targets
        hosts = [each.id.text for each in target.downloads if ".Host." in each.id.text]
        assert hosts == [f"Microsoft.NETCore.App.Host.{host}"]
