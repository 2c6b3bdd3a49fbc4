"""Directories, solutions, lock files, SDKs and settings together: what a repository as a whole asks for."""

# ruff: noqa: E501 (texts of files)

import json
from pathlib import Path

import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.closure.sdk_facts import shipped_facts
from nugetproxy.nuget.compatibility import nearest
from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.projects.findings import Options
from nugetproxy.nuget.projects.sources import Sources, read_sources
from tests.nuget.projects.facts import facts_of
from tests.nuget.projects.markup import A1, packages, project, props, sdk

LOCK = '{"version": 2, "dependencies": {"net10.0": {"%s": {"type": "Direct", "resolved": "1.0.0"}}}}'


class Tree:
    """A directory to write files in and to read as a source."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def read(self, *names: str, options: Options = Options()) -> Sources:  # noqa: B008 (a constant)
        return read_sources([self.folder / name for name in names] or [self.folder], options)

    def name(self, path: str) -> str:
        return str(Path(path).relative_to(self.folder))

    def references(self, sources: Sources) -> dict[str, list[str]]:
        return {
            self.name(path): [str(each.id) for target in found.targets for each in target.references]
            for path, found in sources.projects.items()
        }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    folder = tmp_path / "repo"
    (folder / ".git").mkdir(parents=True)
    return Tree(folder)


def exact(sources: Sources) -> list[str]:
    return [str(each.identity) for each in sources.exact]


def sentences(sources: Sources) -> str:
    return "\n".join(f"{each.place}: {each.what}" for each in sources.unsure)


def test_a_project_with_a_lock_file_is_taken_from_it(tree):
    tree.write(
        "a/a.csproj",
        sdk(packages("Asked 1.*") + "<ItemGroup><PackageDownload Include='D' Version='[2.0]' /></ItemGroup>"),
    )
    tree.write("a/packages.lock.json", LOCK % "Locked")
    tree.write("b/b.csproj", sdk(A1))

    sources = tree.read()

    assert {tree.name(path): tree.name(lock) for path, lock in sources.locked.items()} == {
        "a/a.csproj": "a/packages.lock.json"
    }
    assert [tree.name(path) for path in sources.roots] == ["b/b.csproj"]
    assert exact(sources) == ["Locked 1.0.0", "D 2.0.0"]
    assert tree.references(sources) == {"a/a.csproj": ["Asked"], "b/b.csproj": ["A"]}


@pytest.mark.parametrize(
    ("body", "file", "is_locked"),
    [
        ("", "packages.my_app.lock.json", True),
        (props(NuGetLockFilePath="locks/own.json"), "locks/own.json", True),
        (props(RestorePackagesWithLockFile="false"), "packages.lock.json", False),
        (props(RestorePackagesWithLockFile="true"), "elsewhere/packages.lock.json", False),
    ],
)
def test_where_a_lock_file_is(tree, body, file, is_locked):
    tree.write("my app.csproj", sdk(body + A1))
    tree.write(file, LOCK % "Locked")

    assert bool(tree.read("my app.csproj").locked) == is_locked


def test_doubts_about_a_locked_project_are_settled(tree):
    tree.write("a.csproj", sdk("<ItemGroup Condition=\"'$(CI)' != ''\"><PackageReference Include=\"A\" /></ItemGroup>"))
    assert tree.read().unsure

    tree.write("packages.lock.json", LOCK % "Locked")

    assert tree.read().unsure == ()


def test_projects_of_a_solution_in_a_directory_count_once(tree):
    tree.write("src/a/a.csproj", sdk(A1))
    tree.write("other/b.csproj", sdk(A1))
    tree.write("all.slnx", '<Solution><Project Path="src/a/a.csproj" /><Project Path="gone/gone.csproj" /></Solution>')

    sources = tree.read()

    assert [tree.name(path) for path in sources.roots] == ["src/a/a.csproj", "other/b.csproj"] or sorted(
        tree.name(path) for path in sources.roots
    ) == ["other/b.csproj", "src/a/a.csproj"]
    assert "gone.csproj does not exist" in sentences(sources)


def test_a_named_solution_means_its_projects_alone_and_what_they_reference(tree):
    tree.write("a/a.csproj", sdk('<ItemGroup><ProjectReference Include="../lib/lib.csproj" /></ItemGroup>'))
    tree.write("lib/lib.csproj", sdk(A1))
    tree.write("other/b.csproj", sdk(A1))
    tree.write("all.slnf", '{"solution": {"path": "all.sln", "projects": ["a\\\\a.csproj"]}}')

    assert [tree.name(path) for path in tree.read("all.slnf").roots] == ["a/a.csproj", "lib/lib.csproj"]


def test_a_solution_gives_its_projects_properties(tree):
    tree.write(
        "eng/x.props", project(packages("$(SolutionName).$(SolutionFileName) 1.0") + props(Seen="$(Configuration)"))
    )
    tree.write("Directory.Build.props", project(props(Early="$(Configuration)$(Platform)")))
    body = "<Import Project='$(SolutionDir)eng/x.props' Condition=\"'$(SolutionDir)' != ''\" />" + packages(
        "$(Early)X 1.0"
    )
    tree.write("src/a.csproj", sdk(body + '<ItemGroup><ProjectReference Include="../lib/b.csproj" /></ItemGroup>'))
    tree.write("lib/b.csproj", sdk(body))
    tree.write("all.slnx", '<Solution><Project Path="src/a.csproj" /></Solution>')

    found = {"src/a.csproj": ["all.all.slnx", "DebugAnyCPUX"], "lib/b.csproj": ["all.all.slnx", "DebugAnyCPUX"]}
    assert tree.references(tree.read("all.slnx")) == found
    assert tree.references(tree.read("lib/b.csproj")) == {"lib/b.csproj": ["X"]}


def test_a_missing_referenced_project_is_said(tree):
    tree.write("a.csproj", sdk('<ItemGroup><ProjectReference Include="../gone/gone.csproj" /></ItemGroup>'))

    assert "gone.csproj does not exist" in sentences(tree.read())


def test_an_old_project_is_its_packages_config(tree):
    tree.write(
        "old.csproj",
        "<Project><PropertyGroup><TargetFrameworkVersion>v4.8</TargetFrameworkVersion></PropertyGroup></Project>",
    )
    tree.write("packages.config", '<packages><package id="Old" version="1.0" /></packages>')

    sources = tree.read("old.csproj")

    assert exact(sources) == ["Old 1.0.0"]
    assert sources.projects == {}


def test_a_packages_config_beside_a_new_project_is_read_only_in_a_directory(tree):
    tree.write("new.csproj", sdk(A1))
    tree.write("packages.config", '<packages><package id="Old" version="1.0" /></packages>')

    assert exact(tree.read("new.csproj")) == []
    assert exact(tree.read()) == ["Old 1.0.0"]


@pytest.mark.parametrize(
    ("text", "global_json", "packages_", "doubt"),
    [
        ('<Project Sdk="Microsoft.Build.NoTargets/3.7.134" />', None, ["Microsoft.Build.NoTargets 3.7.134"], ""),
        ('<Project Sdk="Microsoft.Build.Traversal" />', {"Microsoft.Build.Traversal": "4.1.0"}, ["Microsoft.Build.Traversal 4.1.0"], ""),
        ('<Project Sdk="Microsoft.Build.Traversal" />', None, [], "no version of the SDK Microsoft.Build.Traversal"),
        ('<Project><Sdk Name="My.Sdk" Version="1.0" /></Project>', None, ["My.Sdk 1.0.0"], "what the SDK My.Sdk adds"),
        ('<Project><Import Project="Sdk.props" Sdk="X.Sdk" Version="2.0" /></Project>', None, ["X.Sdk 2.0.0"], "X.Sdk adds"),
        ('<Project Sdk="Microsoft.NET.Sdk;Extra.Sdk/1.5" />', None, ["Extra.Sdk 1.5.0"], "what the SDK Extra.Sdk"),
        ('<Project Sdk="Microsoft.NET.Sdk.Web" />', None, [], ""),
    ],
)  # fmt: skip
def test_sdks_from_packages(tree, text, global_json, packages_, doubt):
    tree.write("src/a.proj", text)
    if global_json:
        tree.write("global.json", json.dumps({"msbuild-sdks": global_json}))

    sources = tree.read("src/a.proj")

    assert exact(sources) == packages_
    assert doubt in sentences(sources)
    assert bool(sources.unsure) == bool(doubt)


def test_an_sdk_is_restored_by_itself_for_no_framework(tree):
    tree.write("global.json", '{"msbuild-sdks": {"My.Sdk": "1.0.0"}}')

    sources = tree.read()

    (name,) = sources.roots
    (target,) = sources.projects[name].targets
    assert "global.json (SDK My.Sdk 1.0.0)" in name
    assert [("My.Sdk", "[1.0.0, 1.0.0]")] == [(str(each.id), str(each.range)) for each in target.references]
    with pytest.raises(LookupError):
        nearest(target.framework, ["net8.0", "netstandard2.0"])
    assert nearest(target.framework, [None, "net8.0"]) is None


def facts(tree: Tree, name: str) -> set[str]:
    (found,) = tree.read(name, options=Options(sdk=shipped_facts("10.0.401"))).projects.values()
    return facts_of(found, tree.folder)


def test_a_web_project_is_an_executable_that_references_asp_net_core(tree):
    """The real SDK for tests has only Microsoft.NET.Sdk."""
    reference = '<ItemGroup><FrameworkReference Include="Microsoft.AspNetCore.App" /></ItemGroup>'
    tree.write("web/a.csproj", sdk(A1, "net8.0", "Microsoft.NET.Sdk.Web"))
    tree.write("plain/a.csproj", sdk(A1 + props(OutputType="Exe") + reference, "net8.0"))

    assert facts(tree, "web/a.csproj") == facts(tree, "plain/a.csproj")
    assert any("downloads microsoft.aspnetcore.app.ref" in fact for fact in facts(tree, "web/a.csproj"))


@pytest.mark.parametrize(
    ("body", "file", "framework", "has_scripts"),
    [
        ("", "Pages/Home.razor", "net10.0", True),
        ("", "Pages/Home.cshtml", "net10.0", False),
        ("", "Pages/Home.razor", "net8.0", False),
        (props(RequiresAspNetWebAssets="false"), "Home.razor", "net10.0", False),
        (props(RequiresAspNetWebAssets="true"), "Home.cshtml", "net10.0", True),
    ],
)
def test_the_scripts_of_blazor(tree, body, file, framework, has_scripts):
    tree.write("a.csproj", sdk(body, framework, "Microsoft.NET.Sdk.Web"))
    tree.write(file, "")

    assert has_scripts == any("microsoft.aspnetcore.app.internal.assets" in fact for fact in facts(tree, "a.csproj"))


def test_packs_of_web_assembly_are_said_to_be_unknown(tree):
    tree.write("a.csproj", sdk(A1, name="Microsoft.NET.Sdk.BlazorWebAssembly"))

    assert "WebAssembly packs" in sentences(tree.read())


def test_files_outside_the_sources_are_said(tree, tmp_path):
    tree.write("../Directory.Build.props", project(packages("Above 1.0")))
    tree.write("../shared/x.props", project(packages("X 1.0")))
    tree.write("a.csproj", sdk('<Import Project="../shared/x.props" />'))

    sources = tree.read()

    assert tree.references(sources) == {"a.csproj": ["Above", "X"]}
    assert set(sources.outside) == {str(tmp_path / "Directory.Build.props"), str(tmp_path / "shared/x.props")}


def test_a_file_of_the_same_repository_is_not_outside(tree):
    tree.write("Directory.Build.props", project(packages("Above 1.0")))
    tree.write("src/a.csproj", sdk(""))

    assert tree.read("src").outside == ()


def test_package_sources_are_reported(tree):
    tree.write(
        "nuget.config",
        '<configuration><packageSources><clear /><add key="a" value="https://example.test/v3/index.json" />'
        "</packageSources></configuration>",
    )

    assert tree.read().feeds == ("https://example.test/v3/index.json",)


def test_runtimes_and_properties_that_are_given(tree):
    tree.write("a.csproj", sdk(props(V="1.0", RuntimeIdentifiers="win-x64") + packages("A $(V)")))

    options = Options(runtimes=("linux-arm64",), properties={"V": "9.0"})
    (found,) = tree.read(options=options).projects.values()

    assert found.targets[0].runtimes == ("win-x64", "linux-arm64")
    assert str(found.targets[0].references[0].range) == "[9.0.0, )"


def test_a_runtime_settles_what_the_machine_would(tree):
    tree.write("a.csproj", sdk(props(OutputType="Exe", PublishAot="true")))
    assert "depends on the machine" in sentences(tree.read())

    sources = tree.read(options=Options(runtimes=("win-x64",)))

    assert sources.unsure == ()
    assert [target.runtimes for each in sources.projects.values() for target in each.targets] == [("win-x64",)]


def test_a_file_based_app(tree):
    tree.write("app.cs", "#:package A@1.0\n#:property V=1\nreturn 0;")
    tree.write("other.cs", "return 0;")

    (path,) = tree.read().roots

    assert tree.name(path) == "app.cs"
    with pytest.raises(InvalidRequest, match="not a file-based app"):
        tree.read("other.cs")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("#:package A@one", "app.cs, line 2: 'one' is not a NuGet version"),
        ("#:package ../A@1.0", "app.cs, line 2: '../A' is not a package id"),
        ("#:property x", "app.cs, line 2: expected '#:property Name=Value', found 'x'"),
        ("#:property <a>=b", "app.cs, line 2: expected '#:property Name=Value'"),
    ],
)
def test_errors_in_a_file_based_app_name_its_line(tree, line, sentence):
    tree.write("app.cs", f"#:package Fine@1.0\n{line}\n")

    with pytest.raises(InvalidRequest) as refused:
        tree.read()

    assert sentence in str(refused.value)


def test_lines_by_hand(tree):
    sources = read_sources([], Options(frameworks=(Framework(".NETCoreApp", (8, 0, 0, 0)),)), ["A 1.0", "B"])

    assert exact(sources) == ["A 1.0.0"]
    assert [str(each.id) for each in sources.requests] == ["A", "B"]
    assert not sources.is_empty
    assert read_sources([]).is_empty


def test_a_project_has_the_id_that_it_would_have_as_a_package(tree):
    """Where a package depends on this id, restore takes the project."""
    tree.write("plain/Plain.csproj", sdk(A1))
    tree.write("named/Named.csproj", sdk("<PropertyGroup><AssemblyName>Contoso.Named</AssemblyName></PropertyGroup>"))
    tree.write("packed/Packed.csproj", sdk("<PropertyGroup><PackageId>Contoso.Packed</PackageId></PropertyGroup>"))

    assert {each.id for each in tree.read().projects.values()} == {"Plain", "Contoso.Named", "Contoso.Packed"}
