import json
from pathlib import Path

import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.closure.sdk import implied, prunes_by_default
from nugetproxy.nuget.closure.sdk_facts import shipped_facts
from nugetproxy.nuget.closure.sdk_folder import find_facts, folder_facts
from nugetproxy.nuget.framework import Framework, find_framework
from tests.nuget import sdk_projects

RECORDED = Path(__file__).parent.parent / "data" / "frameworks" / "sdk-10.0.401.json"
"""Projects made from a seed, and what SDK 10.0.401 adds to them."""


def framework(name: str) -> Framework:
    found = find_framework(name)
    assert found is not None
    return found


def test_the_sdk_adds_what_was_recorded_from_it():
    facts = shipped_facts("10.0.401")
    recorded = json.loads(RECORDED.read_text())
    assert len(recorded) == 200
    for project, added in recorded:
        assert sdk_projects.lines(sdk_projects.implied_for(project, facts)) == set(added), project


def test_what_the_sdk_bundles_is_not_downloaded_and_each_machine_has_its_own_host():
    linux, windows = shipped_facts(), shipped_facts(host="win-x64")
    assert implied(framework("net10.0"), sdk=linux, output_exe=True).downloads == ()
    assert implied(framework("net10.0"), sdk=windows, output_exe=True).downloads == ()
    assert "Microsoft.WindowsDesktop.App.Ref 9.0.20" in map(str, implied(framework("net9.0"), sdk=windows).downloads)
    for facts, host, other in ((linux, "linux-x64", "win-x64"), (windows, "win-x64", "linux-x64")):
        added = implied(framework("net10.0"), sdk=facts, output_exe=True, runtime=other).downloads
        assert f"Microsoft.NETCore.App.Host.{other} 10.0.12" in map(str, added)
        added = implied(framework("net10.0"), sdk=facts, output_exe=True, runtime=host).downloads
        assert f"Microsoft.NETCore.App.Host.{host} 10.0.12" not in map(str, added)


def test_only_the_packs_of_referenced_frameworks_if_the_project_says_so():
    for references, expected in (((), ["NETCore"]), (("Microsoft.AspNetCore.App",), ["AspNetCore", "NETCore"])):
        added = implied(
            framework("net9.0"), sdk=shipped_facts(), transitive=False, framework_references=references
        ).downloads
        assert sorted(map(str, added)) == [f"Microsoft.{each}.App.Ref 9.0.20" for each in expected]
    added = implied(framework("netstandard2.1"), sdk=shipped_facts(), transitive=False).downloads
    assert [*map(str, added)] == ["NETStandard.Library.Ref 2.1.0"]


def test_packages_without_a_version_and_fallbacks():
    added = implied(framework("netcoreapp2.1"), sdk=shipped_facts())
    assert str(added.versions["microsoft.aspnetcore.all"]) == "[2.1.1, )"
    assert [each.short for each in added.fallbacks][:2] == ["net461", "net462"]
    assert implied(framework("net472"), sdk=shipped_facts()).fallbacks == ()
    assert implied(framework("netstandard1.3"), sdk=shipped_facts()).fallbacks == ()


def test_pruned_packages_are_those_of_the_shared_frameworks_that_are_referenced():
    console = implied(framework("net10.0"), sdk=shipped_facts()).pruned
    web = implied(framework("net10.0"), sdk=shipped_facts(), framework_references=["Microsoft.AspNetCore.App"]).pruned
    assert console["system.text.json"].normalized == "10.0.32767"
    assert "microsoft.extensions.logging" not in console
    assert web["microsoft.extensions.logging"].normalized == "10.0.32767"
    assert implied(framework("netstandard2.0"), sdk=shipped_facts()).pruned["system.collections"].normalized == "4.3.0"
    assert prunes_by_default([framework("net472"), framework("net10.0-windows7.0")])
    assert not prunes_by_default([framework("net9.0"), framework("netstandard2.0")])


def test_what_the_facts_lack_is_said():
    facts = shipped_facts()
    assert implied(framework("net12.0"), sdk=facts).unknown == (
        "which packs SDK 10.0.401 needs for net12.0: it does not know this framework",
    )
    assert implied(framework("net9.0-android35.0"), sdk=facts).unknown == (
        "which packs the workload for android adds to net9.0-android35.0",
    )
    assert "FSharp.Core" in implied(framework("net10.0"), sdk=facts, language="F#").unknown[0]
    added = implied(framework("net5.0"), sdk=facts, output_exe=True, runtime="osx-arm64", self_contained=False)
    assert added.unknown == ("which host net5.0 has for osx-arm64: the SDK knows none",)


def test_an_unknown_sdk_is_refused_with_what_is_known(tmp_path):
    with pytest.raises(InvalidRequest, match=r"nothing is known about SDK 9\.0\.100; known: 10\.0\.401\..*directory"):
        find_facts("9.0.100")
    with pytest.raises(InvalidRequest, match=r"no \.NET SDK there"):
        find_facts(str(tmp_path))
    (tmp_path / "Microsoft.NETCoreSdk.BundledVersions.props").write_text("<Project>")
    with pytest.raises(InvalidRequest, match="the SDK cannot be read"):
        folder_facts(tmp_path)


_PROPS = """<Project><PropertyGroup>
  <NETCoreSdkVersion>11.0.100</NETCoreSdkVersion>
  <NETCoreSdkPortableRuntimeIdentifier>win-x64</NETCoreSdkPortableRuntimeIdentifier>
</PropertyGroup><ItemGroup>
  <KnownFrameworkReference Include="Microsoft.NETCore.App" TargetFramework="net11.0"
    RuntimeFrameworkName="Microsoft.NETCore.App" LatestRuntimeFrameworkVersion="11.0.3"
    TargetingPackName="Microsoft.NETCore.App.Ref" TargetingPackVersion="11.0.3"
    RuntimePackNamePatterns="Microsoft.NETCore.App.Runtime.**RID**" RuntimePackRuntimeIdentifiers="win-x64;linux-x64" />
  <KnownAppHostPack Include="Microsoft.NETCore.App" TargetFramework="net11.0" AppHostPackVersion="11.0.3"
    AppHostPackNamePattern="Microsoft.NETCore.App.Host.**RID**" AppHostRuntimeIdentifiers="win-x64;linux-x64" />
</ItemGroup></Project>"""


def test_an_installed_sdk_is_read_from_its_directory(tmp_path):
    sdk = tmp_path / "sdk" / "11.0.100"
    (sdk / "Sdks/Microsoft.NET.Sdk/targets").mkdir(parents=True)
    (sdk / "Sdks/Microsoft.NET.Sdk/targets/Microsoft.NET.Sdk.props").write_text("<Project />")
    (sdk / "Microsoft.NETCoreSdk.BundledVersions.props").write_text(_PROPS)
    (sdk / "FSharp/library-packs").mkdir(parents=True)
    (sdk / "FSharp/library-packs/FSharp.Core.11.0.100.nupkg").touch()
    (tmp_path / "packs/Microsoft.NETCore.App.Host.win-x64/11.0.3").mkdir(parents=True)
    data = tmp_path / "packs/Microsoft.NETCore.App.Ref/11.0.3/data"
    data.mkdir(parents=True)
    (data / "PackageOverrides.txt").write_text("System.Text.Json|11.0.3\n\nSystem.Odd|11.0.0-rc.1\n")
    facts = find_facts(str(tmp_path))
    added = implied(framework("net11.0"), sdk=facts, output_exe=True, runtimes=["linux-x64"], language="F#")
    assert (facts.version, facts.host) == ("11.0.100", "win-x64")
    assert sorted(map(str, added.downloads)) == [
        "Microsoft.NETCore.App.Host.linux-x64 11.0.3",
        "Microsoft.NETCore.App.Runtime.linux-x64 11.0.3",
    ]
    assert [f"{each.id} {each.range}" for each in added.references] == ["FSharp.Core [11.0.100, )"]
    assert {name: str(version) for name, version in added.pruned.items()} == {
        "system.text.json": "11.0.32767",
        "system.odd": "11.0.0-rc.1",
    }
