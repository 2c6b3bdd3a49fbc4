"""The nodes of a dependency graph and their edges: what a project or a package asks for on one target framework.

Which of the nodes ends up in a closure is decided in `choice.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from nugetproxy.errors import InvalidPackageId, InvalidVersionRange
from nugetproxy.nuget.closure.facts import Facts, Found
from nugetproxy.nuget.closure.model import Problem, Project, Reference, Target
from nugetproxy.nuget.closure.runtimes import RuntimeGraph
from nugetproxy.nuget.compatibility import nearest
from nugetproxy.nuget.framework import Framework
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from nugetproxy.nuget.manifest import DependencyGroup
from nugetproxy.nuget.version_range import ANY_VERSION, VersionRange

_VERSION_OF_PROJECTS = VersionRange.parse("1.0.0")


class Kind(Enum):
    """What may satisfy an edge."""

    PACKAGE = auto()
    """A `PackageReference`: a package, even if a project has the same id."""
    EITHER = auto()
    """A dependency of a package: a project of that id if there is one, otherwise a package."""
    PROJECT = auto()
    """A `ProjectReference`."""


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A request of a node. `name` is the lower-case id. Edges with equal `key` ask for the same."""

    id: PackageId
    range: VersionRange
    kind: Kind
    key: int
    is_private: bool = False
    name: str = field(init=False)
    allows_package: bool = field(init=False)
    question: int = field(init=False)
    """Edges with the same are satisfied by the same node."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.id.lower)
        object.__setattr__(self, "allows_package", self.kind is not Kind.PROJECT)
        object.__setattr__(self, "question", 2 * self.key + (self.kind is Kind.PACKAGE))

    def __str__(self) -> str:
        return f"{self.id} {self.range}"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """What satisfies an edge: a package (`identity`), a project (`project` is its path), or neither.

    `found` is the answer about the package; it says why there is none. `keys` are those of the edges, `private` the
    names of the private ones.
    """

    name: str
    edges: tuple[Edge, ...]
    identity: PackageIdentity | None = None
    project: str | None = None
    found: Found | None = None
    keys: tuple[int, ...] = field(init=False)
    private: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(edge.key for edge in self.edges))
        object.__setattr__(self, "private", frozenset(edge.name for edge in self.edges if edge.is_private))

    def __str__(self) -> str:
        return self.project or (str(self.identity) if self.identity else self.name)


class Nodes:
    """The nodes for one target of a root project, on one runtime identifier (empty: none)."""

    def __init__(
        self,
        facts: Facts,
        projects: Mapping[str, Project],
        root: Project,
        target: Target,
        *,
        runtime: str = "",
        graph: RuntimeGraph | None = None,
    ) -> None:
        self._facts = facts
        self._target = target
        self._runtime = runtime
        self._graph = graph or RuntimeGraph()
        self._keys: dict[tuple[bool, str, VersionRange], int] = {}
        self._made: dict[object, Node] = {}
        self._by_question: dict[int, Node] = {}
        self._projects = projects
        # Of two projects with the same id, the nearer one counts.
        self._reachable = {lower_invariant(each.id): each for each in reversed(list(_reachable(projects, root)))}
        self.problems: list[Problem] = []
        self.root = Node(lower_invariant(root.id), tuple(self._edges_of(root, target)), project=root.path)

    def begin(self, edge: Edge) -> None:
        """Let the questions that the edge will have be asked."""
        if self.known(edge) is None and edge.allows_package and self._project(edge) is None:
            _ = self._facts.find(edge.id, edge.range)  # awaited by the one that needs the answer

    def known(self, edge: Edge) -> Node | None:
        """What satisfies the edge, if it was asked for before."""
        return self._by_question.get(edge.question)

    async def node(self, edge: Edge) -> Node:
        """What satisfies the edge."""
        node = self._by_question[edge.question] = await self._node(edge)
        return node

    async def _node(self, edge: Edge) -> Node:
        project = self._project(edge)
        if project is not None or not edge.allows_package:
            key: object = edge.name
        else:
            task = self._facts.find(edge.id, edge.range)
            found = task.result() if task.done() else await task
            key = found.identity or (edge.name, edge.range)
        made = self._made.get(key)
        if made is None:
            if project is not None:
                made = self._project_node(project)
            elif not edge.allows_package:
                made = Node(edge.name, (), found=Found(why=f"there is no project {edge.id}"))
            else:
                made = Node(edge.name, self._package_edges(edge, found), found.identity, found=found)
            self._made[key] = made
        return made

    def raised(self, edge: Edge) -> Edge:
        """The edge itself, or with a higher range if a `runtime.json` names one for its package."""
        if not self._runtime:
            return edge
        for added in self._graph.dependencies_of(edge.id, self._runtime):
            own, other = edge.range.minimum, added.range.minimum
            if added.id == edge.id and other is not None and (own is None or own < other):
                edge = self.edge(edge.id, added.range, Kind.EITHER)
        return edge

    def edge(self, package_id: PackageId, range_: VersionRange, kind: Kind, *, is_private: bool = False) -> Edge:
        key = self._keys.setdefault((kind is Kind.PROJECT, package_id.lower, range_), len(self._keys) + 1)
        return Edge(package_id, range_, kind, key, is_private)

    def _project(self, edge: Edge) -> Project | None:
        return None if edge.kind is Kind.PACKAGE else self._reachable.get(edge.name)

    def _project_node(self, project: Project) -> Node:
        name = lower_invariant(project.id)
        target = self._nearest_target(project)
        if target is None:
            offered = ", ".join(each.framework.short for each in project.targets)
            text = f"{project.path} ({offered}) does not fit {self._target.framework.short}"
            self.problems.append(Problem("NU1201", text))
            return Node(name, (), project=project.path)
        return Node(name, tuple(self._unpruned(self._edges_of(project, target))), project=project.path)

    def _edges_of(self, project: Project, target: Target) -> Iterator[Edge]:
        """Packages first, then projects; a project replaces a package of the same id."""
        referenced = {}
        for reference in target.projects:
            path = reference.path
            name = self._projects[path].id if path in self._projects else path
            referenced[lower_invariant(name)] = (name, reference.is_private)
        seen = set(referenced)
        for each in target.references:
            range_ = self._stated(project, target, each)
            if range_ is not None and each.id.lower not in seen:
                seen.add(each.id.lower)
                yield self.edge(each.id, range_, Kind.PACKAGE, is_private=each.is_private)
        for name, is_private in referenced.values():
            # Not parsed: the name of a project's file may be no valid id.
            yield self.edge(PackageId(name), _VERSION_OF_PROJECTS, Kind.PROJECT, is_private=is_private)

    def _stated(self, project: Project, target: Target, reference: Reference) -> VersionRange | None:
        range_ = reference.range or target.central.get(reference.id.lower)
        if range_ is None and target.central:
            self.problems.append(Problem("NU1010", f"{project.path}: {reference.id} has no central version"))
            return None
        return range_ or ANY_VERSION

    def _nearest_target(self, project: Project) -> Target | None:
        frameworks = (self._target.framework, *self._target.fallbacks)
        place = _nearest(frameworks, [each.framework.short for each in project.targets])
        return None if place is None else project.targets[place]

    def _package_edges(self, edge: Edge, found: Found) -> tuple[Edge, ...]:
        frameworks = (self._target.framework, *self._target.fallbacks)
        edges = list(self._unpruned(self._dependency(*each) for each in _dependencies(found.groups, frameworks)))
        if self._runtime and found.identity is not None:
            added = self._graph.dependencies_of(edge.id, self._runtime)
            others = [each for each in added if each.id != edge.id]
            names = {each.id.lower for each in others}
            edges = [each for each in edges if each.name not in names]
            edges += self._unpruned(self.edge(each.id, each.range, Kind.EITHER) for each in others)
        return tuple(edges)

    def _dependency(self, package_id: PackageId, range_: VersionRange) -> Edge:
        return self.edge(package_id, range_, Kind.EITHER)

    def _unpruned(self, edges: Iterable[Edge]) -> Iterator[Edge]:
        """Without packages that the target framework contains in a version that satisfies the edge."""
        for edge in edges:
            contained = self._target.pruned.get(edge.name) if edge.allows_package else None
            if contained is None or not edge.range.satisfies(contained):
                yield edge


def _reachable(projects: Mapping[str, Project], root: Project) -> Iterator[Project]:
    """The root and every project that it references, directly or not, on whatever framework; nearest first."""
    found = {root.path: None}
    waiting = [root]
    for project in waiting:
        yield project
        for target in project.targets:
            for reference in target.projects:
                if reference.path in projects and reference.path not in found:
                    found[reference.path] = None
                    waiting.append(projects[reference.path])


def _nearest(frameworks: Iterable[Framework], offered: list[str | None]) -> int | None:
    """The place of the offer that fits the first of the frameworks that any offer fits."""
    for framework in frameworks:
        try:
            return offered.index(nearest(framework, offered))
        except LookupError:
            continue
    return None


def _dependencies(
    groups: tuple[DependencyGroup, ...], frameworks: tuple[Framework, ...]
) -> Iterator[tuple[PackageId, VersionRange]]:
    place = _nearest(frameworks, [group.target_framework for group in groups])
    for dependency in () if place is None else groups[place].dependencies:
        try:
            package_id = PackageId.parse(dependency.id)
        except InvalidPackageId:
            continue
        try:
            yield package_id, VersionRange.parse(dependency.range)
        except InvalidVersionRange:
            # Packages that predate the rules have such ranges; clients then take any version.
            yield package_id, ANY_VERSION
