"""What only MSBuild could know: said with file, line, what was assumed and what settles it."""

# ruff: noqa: E501, ISC004 (texts of files)

from pathlib import Path

import pytest

from nugetproxy.nuget.projects.restored import LOCK_FILE
from nugetproxy.nuget.projects.sources import Sources, read_sources
from tests.nuget.projects.markup import packages, project, props, sdk


def read(folder: Path, text: str, **files: str) -> Sources:
    (folder / "p.csproj").write_text(text)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return read_sources([folder / "p.csproj"])


def references(sources: Sources) -> list[str]:
    return [
        f"{each.id} {each.range}"
        for found in sources.projects.values()
        for target in found.targets
        for each in target.references
    ]


@pytest.mark.parametrize(
    ("body", "taken", "what"),
    [
        # Taken as both where that only adds packages.
        ("<ItemGroup Condition=\"'$(CI)' == 'true'\"><PackageReference Include='A' Version='1.0' /></ItemGroup>",
         ["A [1.0.0, )"], "A: $(CI) looks like an environment variable; taken as not set"),
        ("<ItemGroup><PackageReference Include='A' Version='1.0' Condition=\"'$(CI)' == ''\" /></ItemGroup>",
         ["A [1.0.0, )"], "A: $(CI) looks like an environment variable"),
        ("<ItemGroup><PackageReference Include='A' Version='1.0' Condition=\"'$(OS)' == 'Windows_NT'\" /></ItemGroup>",
         ["A [1.0.0, )"], "A: $(OS) depends on the machine that restores; taken as 'Unix'"),
        ("<PropertyGroup><Use Condition=\"'$(TF_BUILD)' != ''\">true</Use></PropertyGroup><ItemGroup>"
         "<PackageReference Include='A' Version='1.0' Condition=\"'$(Use)' == 'true'\" /></ItemGroup>",
         ["A [1.0.0, )"], "A: $(TF_BUILD) looks like"),
        ("<Choose><When Condition=\"'$(CI)' != ''\">" + packages("A 1.0") + "</When><Otherwise>" + packages("B 1.0")
         + "</Otherwise></Choose>", ["B [1.0.0, )", "A [1.0.0, )"], "A: $(CI) looks like"),
        (packages("A 1.0") + "<ItemGroup Condition=\"'$(OS)' == 'Unix'\"><PackageReference Remove='A' /></ItemGroup>",
         ["A [1.0.0, )"], "A: $(OS) depends on the machine"),
        # One version has to be assumed.
        (packages("A 1.0$(SUFFIX)"), ["A [1.0.0, )"], "A: $(SUFFIX) looks like an environment variable"),
        (props(V="$([System.DateTime]::Now.Year)") + packages("A 1.0.$(V)0"), ["A [1.0.0, )"],
         "A: the property function [System.DateTime]::Now in $([System.DateTime]::Now.Year) is not known"),
        (packages("A 1.0") + "<ItemGroup Condition=\"'$(CI)' != ''\"><PackageReference Update='A' Version='2.0' /></ItemGroup>",
         ["A [1.0.0, )"], "A: $(CI) looks like"),
        # What is not understood holds.
        ("<ItemGroup Condition=\"'$(X)' ~ 'y'\"><PackageReference Include='A' Version='1.0' /></ItemGroup>",
         ["A [1.0.0, )"], "A: the expression in the condition"),
        ("<ItemGroup Condition=\"Magic('x')\"><PackageReference Include='A' Version='1.0' /></ItemGroup>",
         ["A [1.0.0, )"], "A: the function magic in the condition"),
        ("<ItemGroup><PackageReference Include=\"@(Other->'%(Name).X')\" Version='1.0' /></ItemGroup>", [],
         "a package: the item expression @(Other->'%(Name).X') is not known"),
        # What runs later.
        ("<Target Name='T' BeforeTargets='CollectPackageReferences'><ItemGroup><PackageReference Include='A' />"
         "</ItemGroup></Target>", [], "the target T computes PackageReference items when it runs; left out"),
        ("<Import Project='none.props' />", [], "the import none.props does not exist; taken as empty"),
    ],
)  # fmt: skip
def test_what_is_said_and_assumed(tmp_path, body, taken, what):
    sources = read(tmp_path, sdk(body))

    assert references(sources) == taken
    assert what in "\n".join(each.what for each in sources.unsure)
    assert {f"{tmp_path / 'p.csproj'}, line 1"} == {each.place for each in sources.unsure}
    assert {LOCK_FILE} == {each.settled_by for each in sources.unsure}


@pytest.mark.parametrize(
    "body",
    [
        # Not in doubt: these only look so.
        "<PropertyGroup Condition=\"'$(CI)' == 'true'\"><ContinuousIntegrationBuild>true</ContinuousIntegrationBuild>"
        "</PropertyGroup>" + packages("A 1.0"),
        props(Never="$([System.DateTime]::Now)") + packages("A 1.0"),
        "<ItemGroup Condition=\"'$(Undefined)' == 'x' and '$(CI)' == 'true'\"><PackageReference Include='B' /></ItemGroup>"
        + packages("A 1.0"),
        "<ItemGroup Condition=\"'$(Undefined)' == '' or '$(CI)' == 'true'\"><PackageReference Include='A' Version='1.0' />"
        "</ItemGroup>",
        "<Target Name='T'><Message Text='x' /><ItemGroup><Compile Include='x' /></ItemGroup></Target>" + packages("A 1.0"),
        "<Import Project='$(MSBuildToolsPath)\\Some.targets' />" + packages("A 1.0"),
        "<Import Project='none.props' Condition=\"Exists('none.props')\" />" + packages("A 1.0"),
        props(CI="false") + "<ItemGroup Condition=\"'$(CI)' == 'true'\"><PackageReference Include='B' /></ItemGroup>"
        + packages("A 1.0"),
    ],
)  # fmt: skip
def test_what_is_certain(tmp_path, body):
    sources = read(tmp_path, sdk(body))

    assert references(sources) == ["A [1.0.0, )"]
    assert sources.unsure == ()


def test_the_place_is_the_file_and_line_that_says_it(tmp_path):
    text = "<Project>\n <ItemGroup>\n  <PackageReference Include='A' Version='$(V_X)' />\n </ItemGroup>\n</Project>"

    sources = read(tmp_path, sdk(""), Directory__Build__props=text)

    assert [f"{tmp_path / 'Directory.Build.props'}, line 3"] == [each.place for each in sources.unsure]


def test_a_framework_in_doubt(tmp_path):
    sources = read(tmp_path, sdk(packages("A 1.0"), "$(TFM_OF_CI)"))

    assert sources.projects[str(tmp_path / "p.csproj")].targets == ()
    assert sources.unsure


def test_an_unknown_framework_is_left_out(tmp_path):
    sources = read(tmp_path, sdk(packages("A 1.0"), "net10.0;wonder5.0"))

    assert [target.framework.short for target in sources.projects[str(tmp_path / "p.csproj")].targets] == ["net10.0"]
    assert "the target framework wonder5.0 is not known; left out" in [each.what for each in sources.unsure]


def test_a_given_property_settles(tmp_path):
    from nugetproxy.nuget.projects.findings import Options

    (tmp_path / "p.csproj").write_text(sdk(packages("A $(VERSION)")))

    sources = read_sources([tmp_path / "p.csproj"], Options(properties={"VERSION": "3.0"}))

    assert references(sources) == ["A [3.0.0, )"]
    assert sources.unsure == ()


def test_projects_without_an_sdk_and_imports_are_read(tmp_path):
    sources = read(tmp_path, project(packages("A 1.0")))

    assert references(sources) == []
    assert len(sources.projects) == 1
