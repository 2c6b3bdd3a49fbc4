"""What is wrong with the choices of a walk (downgrades, conflicts, cycles), and which of them are in the graph at all.

A choice is in the graph if edges lead to it from the root. The rules are those of the client (NuGet 7, SDK 10): it
looks at the first edge that leads to each id, and at the others only for downgrades and cycles.
"""

from collections import deque
from collections.abc import Iterator

from nugetproxy.nuget.closure.choice import ROOT_KEY, Choice
from nugetproxy.nuget.closure.model import Missing, Problem, Selected
from nugetproxy.nuget.closure.nodes import Edge
from nugetproxy.nuget.closure.ranges import reaches


class Analysis:
    """The graph that the choices make. Read `packages`, `missing` and `problems`."""

    def __init__(self, choices: dict[str, Choice], root: str, *, pins_transitively: bool) -> None:
        self._choices = choices
        self._root = choices[root]
        self._pins = pins_transitively
        self._reached: dict[int, Choice] = {ROOT_KEY: self._root}
        self._outer: dict[str, Choice] = {}
        self._downgrades: dict[int, tuple[Choice, Edge, int, Choice, bool]] = {}
        self._conflicts: dict[int, tuple[Choice, Edge, Choice]] = {}
        self._cycles: list[tuple[Choice, Edge]] = []
        self._in_graph = [self._root]
        self._walk()
        self.packages = tuple(
            Selected(choice.node.identity, self._way(choice)) for choice in self._in_graph if choice.node.identity
        )
        self.missing = tuple(self._missing())
        self.problems = (*self._cycle_problems(), *self._conflict_problems(), *self._downgrade_problems())

    def _walk(self) -> None:
        waiting = deque([self._root])
        while waiting:
            choice = waiting.popleft()
            for place, edge in enumerate(choice.node.edges):
                if edge.name in (choice.name, self._root.name):
                    self._cycles.append((choice, edge))
                    continue
                child = self._choices.get(edge.name)
                if child is None:
                    continue
                if edge.name in self._outer:
                    self._again(choice, edge, choice.keys[place], child)
                elif self._first(choice, edge, child):
                    self._in_graph.append(child)
                    waiting.append(child)

    def _first(self, choice: Choice, edge: Edge, child: Choice) -> bool:
        """The first edge that leads to a choice. Whether it becomes part of the graph."""
        assert child.edge is not None
        is_pinned = child.is_pinned and not child.is_direct
        self._outer[edge.name] = self._root if is_pinned else choice
        if not (edge.is_private or child.key in self._downgrades):
            if self._pins and not child.is_direct and not reaches(child.edge.range, edge.range):
                self._downgrades[child.key] = (choice, edge, ROOT_KEY, child, True)
            elif child.node.identity and not _satisfies(child, edge) and child.key not in self._conflicts:
                self._conflicts[child.key] = (choice, edge, child)
                return False
        self._reached[child.key] = child
        return True

    def _again(self, choice: Choice, edge: Edge, key: int, child: Choice) -> None:
        """A further edge that leads to a choice."""
        assert child.edge is not None
        if key in choice.path:
            self._cycles.append((choice, edge))
        elif not reaches(child.edge.range, edge.range):
            if not edge.is_private and edge.name not in choice.suppressed[0]:
                self._downgrade(choice, edge, child)
        elif child.key in self._conflicts and key not in self._reached:
            self._reached[key] = child

    def _downgrade(self, choice: Choice, edge: Edge, child: Choice) -> None:
        if _satisfies(child, edge) or child.key in self._downgrades or not child.eclipsed.isdisjoint(choice.path):
            return
        is_central = self._pins and child.is_pinned
        for parent in child.parents or ():
            if parent in choice.path and not choice.is_direct:
                self._downgrades[child.key] = (choice, edge, parent, child, is_central)
                return
        if not self._pins or not child.is_direct:
            self._downgrades[child.key] = (choice, edge, child.path[-1], child, is_central)

    def _way(self, choice: Choice) -> tuple[str, ...]:
        """From the root to the parent of the choice."""
        way = []
        while choice is not self._root:
            choice = self._outer[choice.name]
            way.append(str(choice.node))
        return tuple(reversed(way))

    def _missing(self) -> Iterator[Missing]:
        for choice in self._in_graph:
            found = choice.node.found
            if choice.edge is not None and found is not None and found.identity is None:
                yield Missing(choice.edge.id, str(choice.edge.range), self._way(choice), found.why, found.nearest)

    def _cycle_problems(self) -> Iterator[Problem]:
        for choice, edge in self._cycles:
            yield Problem("NU1108", f"cycle: {self._shown(choice)} -> {edge}")

    def _conflict_problems(self) -> Iterator[Problem]:
        for key, (choice, edge, child) in self._conflicts.items():
            if key in self._reached:
                yield Problem("NU1107", f"{self._shown(choice)} needs {edge}, but {child.node} is selected")

    def _downgrade_problems(self) -> Iterator[Problem]:
        for choice, edge, parent, child, is_central in self._downgrades.values():
            # A project satisfies whatever version is asked for.
            if child.node.project is None and choice.key in self._reached and parent in self._reached:
                text = f"{self._shown(choice)} needs {edge}, but {child.edge} is nearer to the project"
                yield Problem("NU1109" if is_central else "NU1605", text)

    def _shown(self, choice: Choice) -> str:
        return " -> ".join((*self._way(choice), str(choice.node)))


def _satisfies(child: Choice, edge: Edge) -> bool:
    """Whether a package is chosen whose version is in the interval of the edge."""
    return child.node.identity is not None and edge.range.satisfies(child.node.identity.version)
