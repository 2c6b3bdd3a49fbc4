"""The closure of projects: for each target framework and runtime identifier, the packages that a restore selects.

Source: docs/concepts/dependency-resolution; the details are those of NuGet 7 (SDK 10), with which tests compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nugetproxy.errors import NugetproxyError
from nugetproxy.nuget.closure.analysis import Analysis
from nugetproxy.nuget.closure.choice import Chooser, Unsettled
from nugetproxy.nuget.closure.facts import Facts, together
from nugetproxy.nuget.closure.model import Closure, Missing, PackageLookup, Problem, Project, Selected, Target
from nugetproxy.nuget.closure.nodes import Nodes
from nugetproxy.nuget.closure.runtimes import RuntimeGraph, read_runtime_json, sdk_graph
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version_range import VersionRange


async def resolve(projects: Mapping[str, Project], roots: Sequence[str], lookup: PackageLookup) -> list[Closure]:
    """One closure for each root, target framework and runtime identifier, in this order; none comes first.

    `projects` has every project by path, also those that are only referenced; `roots` are paths. A package that cannot
    be looked up is `Missing` with the error as the reason.

    Raises:
        KeyError: a root is not in `projects`.
    """
    async with Facts(lookup) as facts:
        walks = [
            _target(facts, projects, projects[root], target) for root in roots for target in projects[root].targets
        ]
        return [closure for closures in await together(*walks) for closure in closures]


async def _target(facts: Facts, projects: Mapping[str, Project], root: Project, target: Target) -> list[Closure]:
    plain = await _closure(Nodes(facts, projects, root, target), root, target)
    closures = [plain]
    if target.runtimes:
        graph, problems = await _runtime_graph(facts, plain)
        closures[0] = replace(plain, problems=(*plain.problems, *problems))
        closures += await together(
            *(
                _closure(Nodes(facts, projects, root, target, runtime=runtime, graph=graph), root, target, runtime)
                for runtime in target.runtimes
            )
        )
    closures[0] = await _with_downloads(facts, closures[0], target)
    return closures


async def _closure(nodes: Nodes, root: Project, target: Target, runtime: str = "") -> Closure:
    pinned = dict(target.central) if target.pins_transitively else None
    try:
        choices = await Chooser(nodes, pinned).choose()
    except Unsettled:
        text = f"{root.path}: too many, too deep or too contradictory dependencies for {target.framework.short}"
        problem = Problem("", text)
        return Closure(root.path, target.framework, runtime, (), (), (problem,))
    found = Analysis(choices, nodes.root.name, pins_transitively=target.pins_transitively)
    problems = tuple(dict.fromkeys((*nodes.problems, *found.problems)))
    return Closure(root.path, target.framework, runtime, found.packages, found.missing, problems)


async def _runtime_graph(facts: Facts, plain: Closure) -> tuple[RuntimeGraph, list[Problem]]:
    """The graph of the SDK, merged with that of each package."""
    graph = sdk_graph(plain.framework)
    problems = []
    for package in await together(*(_of_package(facts, each.identity) for each in plain.packages)):
        if isinstance(package, Problem):
            problems.append(package)
        elif package is not None:
            graph = graph.merged(package)
    return graph, problems


async def _of_package(facts: Facts, identity: PackageIdentity) -> RuntimeGraph | Problem | None:
    try:
        content = await facts.runtime_json(identity)
        return None if content is None else read_runtime_json(content, f"{identity}, runtime.json")
    except NugetproxyError as error:
        return Problem("", str(error))


async def _with_downloads(facts: Facts, closure: Closure, target: Target) -> Closure:
    """With the packages that are fetched without being resolved."""
    by = (closure.project,)
    packages, missing = list(closure.packages), list(closure.missing)
    exactly = [(each, VersionRange(each.version, True, each.version, True)) for each in target.downloads]
    for task, (identity, range_) in [(facts.find(each.id, range_), (each, range_)) for each, range_ in exactly]:
        found = await task
        if found.identity is None:
            missing.append(Missing(identity.id, str(range_), by, found.why, found.nearest))
        else:
            packages.append(Selected(found.identity, by, is_download=True))
    return replace(closure, packages=tuple(packages), missing=tuple(missing))
