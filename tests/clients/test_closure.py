"""Our closures against a real `dotnet restore`: the same packages for each project, target framework and runtime."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from nugetproxy.nuget.closure.model import Closure, Project
from nugetproxy.nuget.closure.sdk_facts import shipped_facts
from nugetproxy.nuget.closure.walk import resolve
from nugetproxy.nuget.projects.sources import Options, read_sources
from tests.clients.deployment import not_in_fleet
from tests.clients.graphs import (
    DIRECTORY_BUILD_PROPS,
    RESTORE_TARGETS,
    FeedLookup,
    Graph,
    GraphLookup,
    generate,
    project_xml,
    write_packages,
)
from tests.clients.kit import Workplace
from tests.nuget.closures import framework
from tests.shared import shared
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600), not_in_fleet("needs no server")]

_SEED = os.environ.get("NUGETPROXY_GRAPH_SEED", "A")
_COUNT = int(os.environ.get("NUGETPROXY_GRAPH_COUNT", "200"))
_WITH_SDK = 20
"""Every 20th graph is evaluated with the whole SDK, the others with what restore reads of it."""

_MISSING = frozenset({"NU1101", "NU1102", "NU1103"})


def test_generated_graphs_are_resolved_as_by_a_restore(tmp_path: Path) -> None:
    """
    200 graphs from a seed (NUGETPROXY_GRAPH_SEED), in one restore: ranges and stars of every kind, groups, cousins,
    downgrades, cycles, missing versions, central versions, pruning, references between projects, runtimes.
    """
    graphs = generate(_SEED, _COUNT)
    assets = _restored(tmp_path, graphs)
    lookup = GraphLookup(graphs)
    differences = []
    for graph in graphs:
        projects = {each.path: each for each in graph.projects}
        closures = asyncio.run(resolve(projects, list(projects), lookup))
        for project in graph.projects:
            own = [each for each in closures if each.project == project.path]
            differences += _differences(project, own, assets[project.path])
    assert not differences, "\n".join([f"seed {_SEED}:", *differences])


@pytest.mark.parametrize("graph", ["web", "legacy"])
def test_real_graphs_are_resolved_as_their_lock_file_says(graph: str, nuget_org: StandIn) -> None:
    """
    Real packages, with what the SDK adds and prunes. That the lock files are valid, test_restore.py shows.
    """
    folder = shared() / "nuget-org" / "graphs" / graph
    sources = read_sources([folder / f"{graph}.csproj"])
    locked = json.loads((folder / "packages.lock.json").read_bytes())["dependencies"]

    closures = _closures(sources.projects, nuget_org)

    assert len(closures) == len(locked)
    for closure in closures:
        (entries,) = (each for name, each in locked.items() if framework(name) == closure.framework)
        real = {f"{name}/{each['resolved']}".lower() for name, each in entries.items()}
        assert _selected(closure) == real
        assert not closure.missing
        assert not closure.problems


def test_real_and_made_graphs_are_resolved_as_by_a_restore(workplace: Workplace, nuget_org: StandIn) -> None:
    """
    With runtimes, the runtime.json of real packages and what the SDK adds, down to the packs that are not there; a
    chain of thirty, stars, a package with thousands of versions.
    """
    made = [("Made.Chain00", "*"), ("Made.Many", "3.*"), ("Made.Paged", "1.*-*"), ("Made.Unlisted", "*")]
    target = workplace.project("made", *made, audit=False)
    legacy = workplace.graph("legacy")
    (legacy / "packages.lock.json").unlink()
    runtimes = "<RuntimeIdentifiers>linux-x64;win-x64</RuntimeIdentifiers>"
    for file in (target / "made.csproj", legacy / "legacy.csproj"):
        file.write_text(file.read_text().replace("<PropertyGroup>", f"<PropertyGroup>{runtimes}"))
    sources = read_sources([target, legacy], Options(sdk=shipped_facts("10.0.401")))
    differences = []
    closures = _closures(sources.projects, nuget_org)
    for project in sources.projects.values():
        workplace.dotnet("restore", project.path)
        assets = json.loads((Path(project.path).parent / "obj" / "project.assets.json").read_bytes())
        differences += _differences(project, [each for each in closures if each.project == project.path], assets)
    assert not differences, "\n".join(differences)


def _closures(projects: Mapping[str, Project], feed: StandIn) -> list[Closure]:
    lookup = FeedLookup(f"http://127.0.0.1:{feed.port}/v3-flatcontainer")
    return asyncio.run(resolve(projects, list(projects), lookup))


def _restored(tmp_path: Path, graphs: Sequence[Graph]) -> dict[str, dict[str, object]]:
    """The assets files by project, from one restore of all of them."""
    source = tmp_path / "source"
    write_packages(list(graphs), source)
    work = Workplace(tmp_path / "work", str(source))
    paths = []
    for number, graph in enumerate(graphs):
        for project in graph.projects:
            file = work.folder / project.path
            file.parent.mkdir(parents=True)
            # For a platform, the SDK adds packs, which are packages that no generated source has.
            has_platform = any(target.framework.profile for target in project.targets)
            file.write_text(project_xml(project, sdk=number % _WITH_SDK == 0 and not has_platform))
            paths.append(str(file))
    written = {
        "restore.targets": RESTORE_TARGETS,
        "Directory.Build.props": DIRECTORY_BUILD_PROPS,
        "Directory.Build.targets": "<Project />\n",
        "Directory.Packages.props": "<Project />\n",
        "all.proj": f"<Project><PropertyGroup><RestoreGraphProjectInput>{';'.join(paths)}</RestoreGraphProjectInput>"
        '</PropertyGroup><Import Project="$(MSBuildToolsPath)/NuGet.targets" /></Project>\n',
    }
    for name, text in written.items():
        (work.folder / name).write_text(text)
    # Many of them fail, as they are made to; what counts is in the assets files.
    ran = work.dotnet("msbuild", "all.proj", "-t:Restore", "-nologo", "-v:q", timeout=540)
    found = {}
    for graph in graphs:
        for project in graph.projects:
            file = (work.folder / project.path).parent / "obj" / "project.assets.json"
            assert file.is_file(), f"{project.path} was not restored\n{ran.output[-3000:]}"
            found[project.path] = json.loads(file.read_bytes())
    return found


def _differences(project: Project, closures: Sequence[Closure], assets: Mapping[str, object]) -> list[str]:
    found = []
    real_targets = _targets(assets)
    our_errors = set()
    for closure in closures:
        our_errors |= {each.code for each in closure.problems} | ({"missing"} if closure.missing else set())
        name = (closure.framework.short, closure.runtime)
        real = real_targets.pop(name, set())
        ours = _selected(closure)
        if real != ours:
            found.append(f"{project.path} {name}: only restore {sorted(real - ours)}, only we {sorted(ours - real)}")
    found += [f"{project.path} {name}: only restore has it" for name in real_targets]
    our_missing = {each.id.lower for closure in closures for each in closure.missing}
    if our_missing != _missing(assets):
        found.append(f"{project.path}: missing are {sorted(_missing(assets))}, for us {sorted(our_missing)}")
    real_errors = _errors(assets)
    # Restore stops at the first kind of error that it finds; we name all of them.
    if bool(real_errors) != bool(our_errors) or not real_errors <= our_errors:
        found.append(f"{project.path}: restore reports {sorted(real_errors)}, we {sorted(our_errors)}")
    return found


def _selected(closure: Closure) -> set[str]:
    return {str(each.identity).lower().replace(" ", "/") for each in closure.packages if not each.is_download}


def _targets(assets: Mapping[str, object]) -> dict[tuple[str, str], set[str]]:
    targets = assets["targets"]
    assert isinstance(targets, dict)
    found = {}
    for name, entries in targets.items():
        moniker, _, runtime = name.partition("/")
        packages = {key.lower() for key, entry in entries.items() if entry["type"] == "package"}
        found[framework(moniker).short, runtime] = packages
    return found


def _errors(assets: Mapping[str, object]) -> set[str]:
    return {"missing" if each["code"] in _MISSING else each["code"] for each in _logged_errors(assets)}


def _missing(assets: Mapping[str, object]) -> set[str]:
    return {each["libraryId"].lower() for each in _logged_errors(assets) if each["code"] in _MISSING}


def _logged_errors(assets: Mapping[str, object]) -> list[dict[str, str]]:
    logs = assets.get("logs", [])
    assert isinstance(logs, list)
    return [each for each in logs if each["level"] == "Error"]
