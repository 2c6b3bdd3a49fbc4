"""The recorded facts about projects are those of a real restore: the graph file that the .NET SDK writes for all cases.

tests/nuget/projects compares our reading with the recorded facts. Set NUGETPROXY_RECORD to record them anew.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.nuget.framework import find_framework
from nugetproxy.nuget.version_range import VersionRange
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace
from tests.nuget.projects.cases import CASES
from tests.nuget.projects.expressions import CONDITIONS, EXPRESSIONS, names, without_folder, write_project
from tests.nuget.projects.expressions import RECORDED as RECORDED_EXPRESSIONS
from tests.nuget.projects.facts import RECORDED, prunes, write_cases

pytestmark = [pytest.mark.clients, not_in_fleet("needs no server")]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The facts of every project, by its path below the cases: one run for all of them."""
    folder = tmp_path_factory.mktemp("projects")
    root, out = folder / "cases", folder / "graph.json"
    paths = write_cases(root)
    listed = [
        f'<Folder Name="/{number}/"><Project Path="{path.relative_to(folder)}" /></Folder>'
        for number, path in enumerate(paths)
        if path.suffix != ".cs"
    ]
    (folder / "all.slnx").write_text(f"<Solution>{''.join(listed)}</Solution>")
    workplace = Workplace(folder / "work", "http://127.0.0.1:1/v3/index.json")
    commands = [["msbuild", str(folder / "all.slnx")]]
    commands += [["build", "--no-restore", str(path)] for path in paths if path.suffix == ".cs"]
    found: dict[str, list[str]] = {}
    for command in commands:
        workplace.dotnet(*command, "-t:GenerateRestoreGraphFile", f"-p:RestoreGraphOutputPath={out}").must_succeed()
        for path, spec in json.loads(out.read_text())["projects"].items():
            name = str(Path(path).relative_to(root))
            found[name.removesuffix(".csproj") if name.endswith(".cs.csproj") else name] = sorted(theirs(spec, root))
    if os.environ.get("NUGETPROXY_RECORD"):
        RECORDED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found


def theirs(spec: dict[str, Any], root: Path) -> set[str]:
    return {
        f"{found.short}: {fact}"
        for name, fields in spec.get("frameworks", {}).items()
        if (found := find_framework(fields.get("framework", name))) is not None
        for fact in _theirs(name, fields, spec, root)
    }


def _theirs(name: str, fields: dict[str, Any], spec: dict[str, Any], root: Path) -> Iterator[str]:
    restore = spec["restore"]
    yield "exists"
    for package_id, each in fields.get("dependencies", {}).items():
        is_private, is_excluded = each.get("suppressParent") == "All", each.get("include") == "None"
        origin = " by itself" if each.get("autoReferenced") else ""
        yield f"needs{origin} {package_id.lower()} {each.get('version')} private={is_private} excluded={is_excluded}"
    for path, each in restore["frameworks"][name].get("projectReferences", {}).items():
        yield f"references {Path(path).relative_to(root)} private={each.get('privateAssets') == 'all'}"
    for each in fields.get("downloadDependencies", []):
        for version in each["version"].split(";"):
            yield f"downloads {each['name'].lower()} {version.split(',')[0].strip('[ ')}"
    yield f"falls back to {fields.get('imports', [])}"
    for runtime in spec.get("runtimes", {}):
        yield f"runs on {runtime}"
    for package_id, version in fields.get("centralPackageVersions", {}).items():
        yield f"has central {package_id.lower()} {VersionRange.parse(version, floating=True)}"
    yield f"pins: {bool(restore.get('CentralPackageTransitivePinningEnabled'))}"
    pruned = fields.get("packagesToPrune", {})
    yield prunes({package_id.lower(): range_.strip("(,] ") for package_id, range_ in pruned.items()})


@pytest.mark.parametrize("case", CASES)
def test_restore_says_what_is_recorded(case, graph):
    recorded = json.loads(RECORDED.read_text())
    paths = [path for path in graph if path.startswith(f"{case}/")]

    assert paths
    assert {path: graph[path] for path in paths} == {path: recorded[path] for path in paths}


def test_msbuild_says_what_is_recorded_about_expressions(tmp_path):
    folder = tmp_path / "expressions"
    folder.mkdir()
    project = write_project(folder)
    workplace = Workplace(tmp_path / "work", "http://127.0.0.1:1/v3/index.json")

    ran = workplace.dotnet("msbuild", str(project), f"-getProperty:{','.join(names())}", cwd=folder).must_succeed()
    values = json.loads(ran.output)["Properties"]
    found = {
        f"{name[0]} {text}": without_folder(values[name], folder)
        for name, text in zip(names(), EXPRESSIONS + CONDITIONS, strict=True)
    }

    if os.environ.get("NUGETPROXY_RECORD"):
        RECORDED_EXPRESSIONS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(RECORDED_EXPRESSIONS.read_text())
