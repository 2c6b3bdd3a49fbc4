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
