"""Which node satisfies each id of a graph: the walk from the root that a restore makes, level by level.

A direct reference wins over everything; the nearest request wins on its own branch; between branches, the higher
request wins, and what only the lower one brought in is removed again. As the client (NuGet 7, SDK 10) does it, a
removal whose consequences were already followed starts the walk anew without the removed request. What is wrong with
the result is found in `analysis.py`.
"""

from collections import deque
from dataclasses import dataclass

from nugetproxy.nuget.closure.nodes import Edge, Kind, Node, Nodes
from nugetproxy.nuget.closure.ranges import reaches
from nugetproxy.nuget.version_range import VersionRange

ROOT_KEY = 0
_MOST_STEPS = 2_000_000
"""Requests that are considered for one graph, so that a hostile one comes to an end. 2,000 packages with some conflicts
need 200,000."""

_MOST_PACKAGES = 20_000
_DEEPEST = 1_000

_NOTHING: frozenset[str] = frozenset()


class Unsettled(Exception):
    """The graph is so large or deep, or its versions conflict so often, that the walk was given up."""


@dataclass(slots=True, eq=False)
class Choice:
    """The node that is chosen for an id. `keys` are those of its edges; `path` those of the edges from the root to it.

    `suppressed` has, for each different branch on which it was requested, the ids that are private above it. `parents`
    are only recorded for packages with a transitive central version; `eclipsed` are the parents of lower requests.
    """

    name: str
    node: Node
    edge: Edge | None
    key: int
    path: tuple[int, ...]
    suppressed: list[frozenset[str]]
    is_direct: bool = False
    is_pinned: bool = False
    parents: set[int] | None = None
    eclipsed: frozenset[int] = frozenset()
    keys: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.keys = self.node.keys


@dataclass(slots=True, eq=False)
class _Request:
    """An edge on its way to a node."""

    edge: Edge
    key: int
    path: tuple[int, ...]
    parent: int
    suppressed: frozenset[str]
    is_direct: bool
    is_pinned: bool


class Chooser:
    """One walk. `pinned` are central versions, by lower id, that apply to dependencies too; None if they do not."""

    def __init__(self, nodes: Nodes, pinned: dict[str, VersionRange] | None) -> None:
        self._nodes = nodes
        self._pinned = pinned
        self._direct = {edge.name for edge in nodes.root.edges if edge.allows_package}
        self._evicted: dict[int, tuple[tuple[int, ...], str, Kind]] = {}
        self._chosen: dict[str, Choice] = {}
        self._waiting: deque[_Request] = deque()

    async def choose(self) -> dict[str, Choice]:
        """The choices by lower id, in the order in which they were made; the root is one of them.

        Raises:
            Unsettled: a bound is exceeded.
        """
        self._start()
        for _ in range(_MOST_STEPS + 1):
            if not self._waiting:
                return self._chosen
            request = self._waiting.popleft()
            node = self._nodes.known(request.edge) or await self._nodes.node(request.edge)
            choice = self._consider(request, node)
            if choice is not None:
                if len(self._chosen) > _MOST_PACKAGES + 1 or len(choice.path) > _DEEPEST:
                    break
                self._follow(choice, request.suppressed)
        raise Unsettled

    def _start(self) -> None:
        self._waiting.clear()
        self._chosen.clear()
        root = self._nodes.root
        choice = Choice(root.name, root, None, ROOT_KEY, (), [_NOTHING])
        self._chosen[root.name] = choice
        self._follow(choice, _NOTHING)

    def _consider(self, request: _Request, node: Node) -> Choice | None:
        """Choose the node for the request, or not. The choice is returned if its edges are to be followed."""
        edge = request.edge
        if request.key in self._evicted and not (
            self._evicted[request.key][2] is not Kind.PACKAGE and edge.kind is Kind.PACKAGE
        ):
            return None
        chosen = self._chosen.get(edge.name)
        if chosen is None:
            return self._take(request, node)
        if chosen.is_direct or chosen.edge is None:
            return None
        if chosen.edge.kind is Kind.PROJECT and edge.allows_package and node.project is not None:
            return None
        is_project_instead = _is_project_instead(chosen, request)
        if is_project_instead or not reaches(chosen.edge.range, edge.range):
            if chosen.edge.allows_package and edge.allows_package and _is_nearer(chosen, request):
                return None
            return self._replace(chosen, request, node)
        if chosen.edge.range != edge.range:
            if not _is_on_one_branch(chosen.path, request.path):
                chosen.eclipsed |= {request.path[-1]}
            return None
        return self._join(chosen, request, node)

    def _take(self, request: _Request, node: Node) -> Choice:
        choice = Choice(
            request.edge.name,
            node,
            request.edge,
            request.key,
            request.path,
            [request.suppressed],
            request.is_direct,
            request.is_pinned,
            {request.parent} if request.is_pinned and not request.is_direct else None,
        )
        self._chosen[choice.name] = choice
        return choice

    def _replace(self, chosen: Choice, request: _Request, node: Node) -> Choice | None:
        """Evict the choice, with everything that was chosen or evicted because of it."""
        assert chosen.edge is not None
        del self._chosen[chosen.name]
        restored = [
            key
            for key, (path, name, kind) in self._evicted.items()
            if chosen.key in path and (name != chosen.name or kind is Kind.PACKAGE)
        ]
        for key in restored:
            del self._evicted[key]
        must_restart = bool(restored) or any(chosen.key in each.path for each in self._chosen.values())
        self._evicted[chosen.key] = ((*request.path, request.key), chosen.name, chosen.edge.kind)
        if must_restart:
            self._start()
            return None
        choice = self._take(request, node)
        self._waiting = deque(each for each in self._waiting if chosen.key not in each.path)
        return choice

    def _join(self, chosen: Choice, request: _Request, node: Node) -> Choice | None:
        """The same request on another branch: follow it again if other ids are private there."""
        if chosen.parents is not None:
            chosen.parents.add(request.parent)
        if chosen.suppressed == [_NOTHING] and _is_on_one_branch(chosen.path, request.path):
            return None
        if request.suppressed and any(request.suppressed >= each for each in chosen.suppressed):
            return None
        choice = self._take(request, node)
        choice.parents = chosen.parents if chosen.parents is not None else choice.parents
        choice.is_pinned, choice.is_direct = chosen.is_pinned, chosen.is_direct
        if request.suppressed:
            choice.suppressed += chosen.suppressed
        return choice

    def _follow(self, choice: Choice, suppressed: frozenset[str]) -> None:
        """Let the edges of a choice wait for their turn."""
        is_root = choice.edge is None
        edges = choice.node.edges
        if not is_root and choice.node.private:
            suppressed = suppressed | choice.node.private
        path = (*choice.path, choice.key)
        root_name, hidden = self._nodes.root.name, _NOTHING if choice.is_pinned else suppressed
        for place, edge in enumerate(edges):
            name, key = edge.name, edge.key
            is_direct = is_root and edge.allows_package
            if name == root_name or name in hidden or (not is_direct and name in self._direct):
                continue
            known = self._chosen.get(name)
            if known is not None and known.key == key and known.suppressed == [_NOTHING]:
                if known.parents is not None and not known.is_direct:
                    known.parents.add(choice.key)
                continue
            raised = self._nodes.raised(edge)
            if raised is not edge:
                choice.keys = (*choice.keys[:place], raised.key, *choice.keys[place + 1 :])
                edge = raised
            is_pinned = self._pinned is not None and edge.allows_package and name in self._pinned
            if is_pinned and not is_direct and self._pinned is not None:
                edge = self._nodes.edge(edge.id, self._pinned[name], edge.kind, is_private=edge.is_private)
                key = edge.key
            self._nodes.begin(edge)
            self._waiting.append(
                _Request(
                    edge,
                    key,
                    (ROOT_KEY,) if is_pinned or is_direct else path,
                    choice.key,
                    suppressed,
                    is_direct,
                    is_pinned,
                )
            )


def _is_on_one_branch(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Whether one of the paths continues the other."""
    shorter = min(len(left), len(right))
    return left[:shorter] == right[:shorter]


def _is_nearer(chosen: Choice, request: _Request) -> bool:
    """Whether a lower choice stays, because it is nearer to the root on the branch of the request."""
    if chosen.parents and len(request.path) > 2 and request.path[-2] in chosen.parents:
        return True
    return _is_on_one_branch(chosen.path, request.path) or not chosen.eclipsed.isdisjoint(request.path)


def _is_project_instead(chosen: Choice, request: _Request) -> bool:
    """Whether a project is requested where a package or project of its id is chosen."""
    assert chosen.edge is not None
    if chosen.edge.kind is not Kind.EITHER:
        return False
    if request.edge.kind is Kind.PROJECT:
        return True
    # The same request, now only for a package: the project that satisfied the wider one gives way.
    return request.key == chosen.key and request.edge.kind is Kind.PACKAGE and chosen.node.project is not None
