"""One table per kind of file: what it names, and what it says about damaged ones."""

import base64
import hashlib
import json

import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.projects.findings import Found, Options, Sources
from nugetproxy.nuget.projects.kinds import reader_by_name
from nugetproxy.nuget.projects.solutions import projects_of_solution

HASH = base64.b64encode(hashlib.sha512(b"a").digest()).decode()


def read(name: str, content: str | bytes | dict[str, object]) -> Sources:
    data = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    found = Found()
    reader_by_name(name)(name, data, Options(), found)
    return found.sources({}, (), {}, ())


def exact(sources: Sources) -> list[str]:
    return [str(each.identity) for each in sources.exact]


PACKAGES_CONFIG = """<?xml version="1.0" encoding="utf-8"?>
<packages>
  <!-- kept for history -->
  <package id="jQuery" version="3.7.1" targetFramework="net48" />
  <package version="13.0.3" id="Newtonsoft.Json" developmentDependency="true" allowedVersions="[13,14)" />
</packages>"""

DEPS = {
    "runtimeTarget": {"name": ".NETCoreApp,Version=v10.0/linux-x64"},
    "libraries": {
        "app/1.0.0": {"type": "project", "serviceable": False, "sha512": ""},
        "Serilog/4.2.0": {"type": "package", "serviceable": True, "sha512": f"sha512-{HASH}"},
        "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/10.0.1": {"type": "runtimepack", "sha512": ""},
        "Some.Reference/1.0.0.0": {"type": "reference", "sha512": ""},
    },
}

CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"type": "application", "name": "app", "purl": "pkg:nuget/Our.App@1.0.0"}},
    "components": [
        {"type": "library", "purl": "pkg:nuget/Serilog@4.2.0"},
        {"type": "library", "purl": "pkg:npm/left-pad@1.3.0"},
        {"type": "library", "name": "without purl"},
        {"purl": "pkg:nuget/A@1.0.0-rc.1%2Bbuild?repository_url=x#sub", "components": [{"purl": "pkg:NuGet/B@2.0"}]},
    ],
}  # fmt: skip

SPDX_2 = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {"name": "Serilog", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:nuget/Serilog@4.2.0"}]},
        {"name": "none"},
        {"name": "npm", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/x@1"}]},
    ],
}

SPDX_3 = {
    "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
    "@graph": [
        {"type": "software_Package", "software_packageUrl": "pkg:nuget/Serilog@4.2.0"},
        {"type": "software_Package", "externalIdentifier": [{"identifier": "pkg:nuget/B@2.0.0"}]},
        {"type": "Person"},
    ],
}

TOOLS = """{
  // made by dotnet new tool-manifest
  "version": 1, "isRoot": true,
  "tools": { "dotnet-ef": { "version": "10.0.1", "commands": ["dotnet-ef"], "rollForward": false, }, },
}"""

GLOBAL = """{ "sdk": { "version": "10.0.401", /* pinned */ "rollForward": "disable" },
  "msbuild-sdks": { "Microsoft.Build.NoTargets": "3.7.134", "Microsoft.Build.Traversal": "4.1.82" } }"""


@pytest.mark.parametrize(
    ("name", "content", "packages"),
    [
        ("packages.config", PACKAGES_CONFIG, ["jQuery 3.7.1", "Newtonsoft.Json 13.0.3"]),
        ("packages.Web.config", PACKAGES_CONFIG, ["jQuery 3.7.1", "Newtonsoft.Json 13.0.3"]),
        ("packages.config", b"\xef\xbb\xbf" + PACKAGES_CONFIG.encode(), ["jQuery 3.7.1", "Newtonsoft.Json 13.0.3"]),
        ("app.deps.json", DEPS, ["Serilog 4.2.0", "Microsoft.NETCore.App.Runtime.linux-x64 10.0.1"]),
        ("bom.json", CYCLONEDX, ["Serilog 4.2.0", "A 1.0.0-rc.1", "B 2.0.0"]),
        ("app.cdx.json", CYCLONEDX, ["Serilog 4.2.0", "A 1.0.0-rc.1", "B 2.0.0"]),
        ("manifest.spdx.json", SPDX_2, ["Serilog 4.2.0"]),
        ("github.json", {"sbom": SPDX_2}, ["Serilog 4.2.0"]),
        ("v3.json", SPDX_3, ["Serilog 4.2.0", "B 2.0.0"]),
        ("dotnet-tools.json", TOOLS, ["dotnet-ef 10.0.1"]),
        ("global.json", GLOBAL, ["Microsoft.Build.NoTargets 3.7.134", "Microsoft.Build.Traversal 4.1.82"]),
        ("global.json", "{}", []),
        ("other.json", {"libraries": {"A/1.0.0": {"type": "package"}}, "targets": {}}, ["A 1.0.0"]),
    ],
)
def test_what_a_file_names(name, content, packages):
    assert packages == exact(read(name, content))


def test_a_deps_file_has_content_hashes():
    assert [HASH, None] == [each.content_hash for each in read("app.deps.json", DEPS).exact]


def test_a_component_without_a_version_is_unsure():
    sources = read("bom.json", {"bomFormat": "CycloneDX", "components": [{"purl": "pkg:nuget/Serilog"}]})

    assert sources.exact == ()
    assert "pkg:nuget/Serilog names no exact package" in sources.unsure[0].what


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("packages.config", "<packages>\n<package id='A'/></packages>", "packages.config, line 2: '' is not a NuGet"),
        ("packages.config", "<packages>\n<package", "packages.config, line 2: not XML"),
        ("packages.config", "<configuration/>", "packages.config, line 1: expected <packages>, found <configuration>"),
        ("packages.config", "", "packages.config, line 1: not XML"),
        (
            "packages.config",
            '<!DOCTYPE p [<!ENTITY a "aaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><packages>&b;</packages>',
            "packages.config: it has a document type",
        ),
        ("app.deps.json", {"runtimeTarget": 1, "libraries": []}, "app.deps.json, libraries: expected an object"),
        ("app.deps.json", {"libraries": {"A/x": {"type": "package"}}}, "app.deps.json, libraries, A/x: 'x' is not"),
        (
            "app.deps.json",
            {"libraries": {"A/1.0": {"type": "package", "sha512": "sha512-YQ=="}}},
            "app.deps.json, libraries, A/1.0: sha512 is not a SHA-512",
        ),
        ("bom.json", "[", "bom.json, line 1: not valid JSON"),
        ("bom.json", "[]", "bom.json: expected a JSON object"),
        ("what.json", "{}", "what.json: unknown kind of JSON file. Known are: *.csproj"),
        ("dotnet-tools.json", '{"tools": {"a": {}}}', "dotnet-tools.json, tools, a: version is missing"),
        ("dotnet-tools.json", '{"tools": []}', "dotnet-tools.json, tools: expected an object"),
        ("global.json", '{"msbuild-sdks": {"a": 1}}', "global.json, msbuild-sdks, a: expected a version"),
        ("global.json", '{"msbuild-sdks":\n{"a": "1.0" "b"', "global.json, line 2: not valid JSON"),
    ],
)  # fmt: skip
def test_errors_name_file_and_place(name, content, sentence):
    with pytest.raises(InvalidRequest) as refused:
        read(name, content)

    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


SLN = """\ufeff
Microsoft Visual Studio Solution File, Format Version 12.00
# Visual Studio Version 17
Project("{FAE04EC0-301F-11D3-BF4B-00C04F79EFBC}") = "App", "src\\App\\App.csproj", "{A1}"
EndProject
Project("{2150E333-8FDC-42A3-9474-1A3956D46DE8}") = "src", "src", "{A2}"
	ProjectSection(SolutionItems) = preProject
		notes.csproj = notes.csproj
	EndProjectSection
EndProject
Project("{F2A71F9B-5D33-465A-A702-920D77279786}") = "Lib", "..\\Lib\\Lib.fsproj", "{A3}"
EndProject
Project("{8BC9CEB8-8B4A-11D0-8D11-00A0C91BC942}") = "Native", "Native\\Native.vcxproj", "{A4}"
EndProject
"""  # fmt: skip

SLNX = """<Solution>
  <Folder Name="/src/"><Project Path="src/App/App.csproj" /><File Path="a.txt" /></Folder>
  <Project Path="..\\Lib\\Lib.fsproj" Type="F#" /><Project Path="../Lib/Lib.fsproj" />
</Solution>"""

SLNF = {"solution": {"path": "..\\all.sln", "projects": ["src\\App\\App.csproj", "Lib\\Lib.fsproj"]}}


@pytest.mark.parametrize(
    ("name", "content", "projects"),
    [
        ("x/a.sln", SLN, ("x/src/App/App.csproj", "Lib/Lib.fsproj")),
        ("a.slnx", SLNX, ("src/App/App.csproj", "../Lib/Lib.fsproj")),
        ("x/filters/a.slnf", json.dumps(SLNF), ("x/src/App/App.csproj", "x/Lib/Lib.fsproj")),
    ],
)
def test_solutions(name, content, projects):
    assert projects == projects_of_solution(name, content.encode())


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.sln", "", "a.sln: not a solution: the line"),
        ("a.slnx", "<Project/>", "a.slnx, line 1: expected <Solution>, found <Project>"),
        ("a.slnf", "{}", "a.slnf: not a solution filter"),
        ("a.slnf", '{"solution": {"path": "a.sln", "projects": [1]}}', "a.slnf: not a solution filter"),
    ],
)
def test_damaged_solutions(name, content, sentence):
    with pytest.raises(InvalidRequest) as refused:
        projects_of_solution(name, content.encode())

    assert str(refused.value).startswith(sentence)
