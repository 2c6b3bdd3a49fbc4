"""Random damage to files of every kind: they are read, or refused with a message of one line."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.projects.file_based import project_of_app, project_path
from nugetproxy.nuget.projects.findings import Found, Options
from nugetproxy.nuget.projects.kinds import reader_by_name
from nugetproxy.nuget.projects.msbuild.evaluation import Documents
from nugetproxy.nuget.projects.restored import read_project
from nugetproxy.nuget.projects.solutions import projects_of_solution
from tests.nuget.projects.cases import CASES
from tests.nuget.projects.test_kinds import CYCLONEDX, DEPS, GLOBAL, PACKAGES_CONFIG, SLN, SLNF, SLNX, SPDX_3, TOOLS
from tests.nuget.test_hostile_input import EDITS, edited

BOUNDED = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
_INTERESTING = (
    "conditions",
    "property-functions",
    "choose",
    "update-and-remove",
    "central-global",
    "item-metadata",
    "imports",
)
PROJECTS = {case: next(text for name, text in CASES[case].items() if name.endswith(".csproj")) for case in _INTERESTING}
FILES = {
    "packages.config": PACKAGES_CONFIG,
    "app.deps.json": str(DEPS).replace("'", '"').replace("False", "false").replace("True", "true"),
    "bom.json": str(CYCLONEDX).replace("'", '"'),
    "v3.spdx.json": str(SPDX_3).replace("'", '"'),
    "dotnet-tools.json": TOOLS,
    "global.json": GLOBAL,
    "nuget.config": "<configuration><packageSources><add key='a' value='b' /></packageSources></configuration>",
    "list.txt": "A 1.0\nB [1.0,2.0)\nC 1.*\nD\n",
}
SOLUTIONS = {"a.sln": SLN, "a.slnx": SLNX, "a.slnf": str(SLNF).replace("'", '"').replace("\\", "\\\\")}


class InMemory:
    """One project, in a world without other files."""

    def __init__(self, path: str, content: bytes) -> None:
        self._path, self._content = path, content

    def read(self, path: str) -> bytes | None:
        return self._content if path == self._path else None

    def is_file(self, path: str) -> bool:
        return path == self._path

    def is_folder(self, path: str) -> bool:
        return path == "/r"

    def matching(self, pattern: str) -> Iterator[str]:
        return iter(())

    def shown(self, path: str) -> str:
        return path


def refusal(act) -> str:
    try:
        act()
    except InvalidRequest as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("case", PROJECTS)
@given(edits=EDITS)
@BOUNDED
def test_edited_projects(case, edits):
    content = edited(PROJECTS[case].encode(), edits)

    assert "\n" not in refusal(
        lambda: read_project("/r/p.csproj", Documents(InMemory("/r/p.csproj", content)), Options())
    )


@pytest.mark.parametrize("name", FILES)
@given(edits=EDITS)
@BOUNDED
def test_edited_files(name, edits):
    content = edited(FILES[name].encode(), edits)

    assert "\n" not in refusal(lambda: reader_by_name(name)(name, content, Options(), Found()))


@pytest.mark.parametrize("name", SOLUTIONS)
@given(edits=EDITS)
@BOUNDED
def test_edited_solutions(name, edits):
    content = edited(SOLUTIONS[name].encode(), edits)

    assert "\n" not in refusal(lambda: projects_of_solution(name, content))


@given(edits=EDITS)
@BOUNDED
def test_edited_apps(edits):
    content = edited(b"#:package A@1.0\n#:property X=1\n#:sdk Microsoft.NET.Sdk\n#:project a.csproj\nreturn;", edits)

    def read() -> None:
        text = project_of_app("/r/a.cs", content)
        read_project(project_path("/r/a.cs"), Documents(InMemory("", b""), {project_path("/r/a.cs"): text}), Options())

    assert "\n" not in refusal(read)


@given(condition=st.text(alphabet="$()'\"=!<>@%.[]: abOrAnd1xExists\\", max_size=40))
@settings(BOUNDED, max_examples=300)
def test_any_condition_is_evaluated_or_in_doubt(condition):
    from xml.sax.saxutils import quoteattr

    text = f"<Project><PropertyGroup><A Condition={quoteattr(condition)}>1</A></PropertyGroup></Project>"

    assert refusal(lambda: read_project("/r/p.proj", Documents(InMemory("/r/p.proj", text.encode())), Options())) == ""


@given(expression=st.text(alphabet="$()'\"@%.[]:, abMSBuild1Tx->\\`", max_size=40))
@settings(BOUNDED, max_examples=300)
def test_any_expression_is_evaluated_or_in_doubt(expression):
    from xml.sax.saxutils import escape

    text = f"<Project><PropertyGroup><T>Hello</T><A>$({escape(expression)})</A></PropertyGroup></Project>"

    assert refusal(lambda: read_project("/r/p.proj", Documents(InMemory("/r/p.proj", text.encode())), Options())) == ""
