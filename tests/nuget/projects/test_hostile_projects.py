"""Hostile files: a clear error or an answer within bounds, never a crash, a hang, or a file read outside unsaid."""

# ruff: noqa: E501 (texts of files)

import os
import time
from pathlib import Path

import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.projects import files, markup
from nugetproxy.nuget.projects.msbuild import evaluation
from nugetproxy.nuget.projects.sources import Sources, read_sources
from tests.nuget.projects.markup import A1, packages, project, props, sdk

ENTITIES = "".join(f'<!ENTITY a{n} "' + f"&a{n - 1};" * 10 + '">' for n in range(1, 9))
LAUGHS = f'<!DOCTYPE p [<!ENTITY a0 "hahahaha">{ENTITIES}]>'

SECONDS = 20
"""Generous: what these tests look for takes minutes or the rest of the day."""


def read(folder: Path, text: str | bytes) -> Sources:
    path = folder / "p.csproj"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sources([path])


def read_or_refused(folder: Path, text: str) -> Sources | str:
    try:
        return read(folder, text)
    except InvalidRequest as refused:
        return str(refused)


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "billion laughs": (LAUGHS + "<Project>&a8;</Project>", "p.csproj"),
    "external entity": ('<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><Project><P>&x;</P></Project>', "document type"),
    "a doctype alone": ('<!DOCTYPE p SYSTEM "http://127.0.0.1:9/x.dtd"><Project />', "document type"),
    "not XML": ("{}", "p.csproj, line 1: not XML"),
    "empty": ("", "p.csproj, line 1: not XML"),
    "binary": (b"\x00\x01\x02" * 100, "not XML"),
    "another root": ("<html/>", "p.csproj, line 1: expected <Project>, found <html>"),
    "deep elements": ("<Project>" + "<Choose><When Condition='true'>" * 4000 + "</When></Choose>" * 4000 + "</Project>", "p.csproj"),
    "a bad version": (sdk(packages("A one")), "p.csproj, line 1: 'one' is not a NuGet version range"),
    "a bad id": (sdk(packages("../../A 1.0")), "p.csproj, line 1: '../../A' is not a package id"),
    "a bad download": (sdk("<ItemGroup><PackageDownload Include='A' Version='1.0' /></ItemGroup>"), "needs exact versions"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_damaged_projects_are_refused_with_the_place(tmp_path, case):
    text, sentence = REFUSED[case]

    with pytest.raises(InvalidRequest) as refused:
        read(tmp_path, text)

    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "root:" not in str(refused.value)


DOUBLING = "<A>x</A>" + "<A>$(A)$(A)</A>" * 60
BOUNDED = {
    "a value that doubles": sdk(f"<PropertyGroup>{DOUBLING}</PropertyGroup>" + packages("A 1.0")),
    "a value that multiplies": sdk(
        "<PropertyGroup><A>xxxxxxxxxx</A>" + "<A>$(A.Replace('x', 'xxxxxxxxxx'))</A>" * 20 + "</PropertyGroup>"
    ),
    "padding": sdk(props(A="$([System.String]::new('x').PadLeft(2000000000))") + A1),
    "nested expressions": sdk(props(A="$([MSBuild]::Escape(" * 2000 + "x" + "))" * 2000) + A1),
    "open expressions": sdk(props(A="$(" * 50_000) + A1),
    "nested conditions": sdk(f"<ItemGroup Condition=\"{'(' * 5000}true{')' * 5000}\">{'<A />'}</ItemGroup>" + A1),
    "negations": sdk(f"<ItemGroup Condition=\"{'!' * 20000}true\" />" + A1),
    "open quotes in a condition": sdk("<ItemGroup Condition=\"'" + "$(" * 20_000 + "\" />" + A1),
    "a long condition": sdk("<ItemGroup Condition=\"" + "true and " * 5_000 + "true\" />" + A1),
    "many wildcards": sdk(A1 + "<ItemGroup><PackageReference Update='" + "*a" * 2_000 + "' Version='1' /></ItemGroup>"),
    "itself": sdk("<Import Project='p.csproj' /><Import Project='$(MSBuildThisFileFullPath)' />" + A1),
    "all files": sdk("<Import Project='**/*.csproj' />" + A1),
    "names with NUL and line ends": sdk("<Import Project='a%00b' /><Import Project='x&#10;y.props' />" + A1),
    "a long name": sdk(
        f"<Import Project='{'a' * 5_000}' /><ItemGroup Condition=\"Exists('{'b' * 300}')\" /><ItemGroup>"
        f"<ProjectReference Include='{'c' * 300}.csproj' /><ProjectReference Include='{'d' * 5_000}/**/*.csproj' /></ItemGroup>"
        + A1
    ),
    "a pipe": sdk("<Import Project='pipe' />" + A1),
    "a device": sdk("<Import Project='/dev/zero' /><Import Project='/proc/self/mem' />" + A1),
    "a directory": sdk("<Import Project='.' />" + A1),
    "a long id": sdk("<ItemGroup><Other Include='" + "x;" * 50_000 + "' /></ItemGroup>" + A1),
}  # fmt: skip


@pytest.mark.parametrize("case", BOUNDED)
def test_expensive_projects_are_read_within_bounds(tmp_path, case):
    os.mkfifo(tmp_path / "pipe")
    begun = time.monotonic()

    answer = read_or_refused(tmp_path, BOUNDED[case])

    assert isinstance(answer, Sources) or "p.csproj" in answer or "it cannot be read" in answer
    assert time.monotonic() - begun < SECONDS


def test_imports_in_a_circle(tmp_path):
    (tmp_path / "a.props").write_text(project("<Import Project='b.props' />" + packages("A 1.0")))
    (tmp_path / "b.props").write_text(project("<Import Project='a.props' />" + packages("B 1.0")))

    (found,) = read(tmp_path, sdk("<Import Project='a.props' />")).projects.values()

    assert {"A", "B"} == {str(each.id) for each in found.targets[0].references}


def test_references_in_a_circle(tmp_path):
    for one, other in ("ab", "ba"):
        (tmp_path / f"{one}.csproj").write_text(
            sdk(f"<ItemGroup><ProjectReference Include='{other}.csproj' /></ItemGroup>")
        )

    assert len(read_sources([tmp_path / "a.csproj"]).projects) == 2


def test_imports_that_go_deeper_and_deeper_end(tmp_path):
    for number in range(100):
        (tmp_path / f"{number}.props").write_text(project(f"<Import Project='{number + 1}.props' />"))

    with pytest.raises(InvalidRequest, match="imports nested more than 32 deep"):
        read(tmp_path, sdk("<Import Project='0.props' />"))


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(markup, "LARGEST", 1_000)
    with pytest.raises(InvalidRequest, match=r"p\.csproj: it has \d+ bytes; XML of at most 1000 bytes"):
        read(tmp_path, sdk("x" * 1_000))

    monkeypatch.setattr(files, "LARGEST_FILE", 500)
    with pytest.raises(InvalidRequest, match="files of at most 500 bytes are read"):
        read(tmp_path, sdk("x" * 1_000))


def test_an_evaluation_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "_MOST_STEPS", 1_000)

    with pytest.raises(InvalidRequest, match=r"p\.csproj, line 1: an evaluation of more than 1000 elements"):
        read(tmp_path, sdk("<PropertyGroup>" + "<A>1</A>" * 1_000 + "</PropertyGroup>"))


@pytest.mark.parametrize("import_", ["../secret.props", "link.props", "folder/secret.props", "{absolute}"])
def test_nothing_outside_is_read_without_being_said(tmp_path, import_):
    repository = tmp_path / "repo"
    (repository / ".git").mkdir(parents=True)
    secret = tmp_path / "secret.props"
    secret.write_text(project(packages("Secret 1.0")))
    (repository / "link.props").symlink_to(secret)
    (repository / "folder").symlink_to(tmp_path)

    answer = read_or_refused(repository, sdk(f"<Import Project='{import_.format(absolute=secret)}' />"))

    if isinstance(answer, Sources):
        assert answer.outside == (str(secret),)
    else:
        assert "a symbolic link that leads out of the directory" in answer
    assert isinstance(answer, str) == (import_ in ("link.props", "folder/secret.props"))


def test_text_of_a_file_is_not_shown(tmp_path):
    (tmp_path / "passwd").write_text("root:x:0:0:secret\n")

    with pytest.raises(InvalidRequest) as refused:
        read(tmp_path, sdk("<Import Project='passwd' />"))

    assert "secret" not in str(refused.value)
    assert "passwd, line 1: not XML" in str(refused.value)
