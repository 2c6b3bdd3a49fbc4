"""Evaluate a project: properties and imports in the order of the text, then items, as MSBuild does.

Sdk files are stood in for by `sdk_parts.py`; targets are not run. Items are in `items.py`.
Source: docs.microsoft.com, visualstudio/msbuild/build-process-overview (evaluation phase).
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.elements import local_name
from nugetproxy.nuget.projects.files import Files
from nugetproxy.nuget.projects.markup import named, place_of, read_xml, value_of
from nugetproxy.nuget.projects.msbuild import sdk_parts
from nugetproxy.nuget.projects.msbuild.conditions import holds
from nugetproxy.nuget.projects.msbuild.expansion import expand
from nugetproxy.nuget.projects.msbuild.items import Items
from nugetproxy.nuget.projects.msbuild.scope import PropertyScope
from nugetproxy.nuget.projects.msbuild.values import Item, Text, Verdict, listed, union
from nugetproxy.nuget.projects.texts import one_line

_DEEPEST: Final = 32
_MOST_IMPORTS: Final = 2_000
_MOST_STEPS: Final = 500_000
_PACKAGE_ITEMS: Final = frozenset({"packagereference", "packageversion", "packagedownload", "globalpackagereference"})
_ITEM_TYPE: Final = re.compile(r"@\(\s*([\w.-]+)", re.ASCII)
_SDK_IMPORTS: Final = frozenset({"sdk.props", "sdk.targets"})


@dataclass(frozen=True, slots=True)
class SdkUse:
    """An SDK that a project names; `version` is empty if global.json has to say it."""

    name: str
    version: str
    place: str


@dataclass(slots=True)
class Evaluation:
    """The result: properties by lower-case name, items by lower-case type.

    `unsure` are (place, sentence) pairs about what may add or change packages. `alternatives` are package items that
    would exist if what is doubtful were otherwise.
    """

    properties: dict[str, Text] = field(default_factory=dict)
    items: Mapping[str, list[Item]] = field(default_factory=dict)
    alternatives: Mapping[str, list[Item]] = field(default_factory=dict)
    unsure: dict[tuple[str, str], None] = field(default_factory=dict)
    sdks: dict[SdkUse, None] = field(default_factory=dict)

    def text(self, name: str) -> str:
        found = self.properties.get(name.lower())
        return "" if found is None else found.value.strip()

    def is_true(self, name: str) -> bool:
        return self.text(name).lower() == "true"

    def doubts(self, name: str) -> tuple[str, ...]:
        found = self.properties.get(name.lower())
        return () if found is None else found.doubts


class Documents:
    """Project files as parsed, each read once however many projects import it."""

    def __init__(self, files: Files, named: Mapping[str, str] | None = None) -> None:
        self.files = files
        self.mentioned = set(_ITEM_TYPE.findall(sdk_parts.TARGETS.lower()))
        """Types of items that some text refers to, in lower case."""
        self._roots: dict[str, etree._Element | None] = {}
        self._texts = dict(named or {})

    def root(self, path: str) -> etree._Element | None:
        """None if there is no such file. Raises InvalidRequest if it is not a project file."""
        if path not in self._roots:
            data = self._texts[path].encode() if path in self._texts else self.files.read(path)
            root = None if data is None else read_xml(self.files.shown(path), data)
            if root is not None:
                texts = (str(value) for element in root.iter() for value in element.attrib.values())
                self.mentioned.update(each for text in texts for each in _ITEM_TYPE.findall(text.lower()))
            if root is not None and local_name(root) != "Project":
                place, other = place_of(self.files.shown(path), root), one_line(local_name(root))
                raise InvalidRequest(f"{place}: expected <Project>, found <{other}>")
            self._roots[path] = root
        return self._roots[path]


def evaluate(path: str, documents: Documents, properties: Mapping[str, str]) -> Evaluation:
    """Evaluate a project with global properties.

    Raises:
        InvalidRequest: it or an import cannot be read, with file and line.
    """
    return _Evaluator(path, documents, properties).run()


class _Evaluator:
    def __init__(self, path: str, documents: Documents, properties: Mapping[str, str]) -> None:
        self._path = path
        self._documents = documents
        self._result = Evaluation()
        self._scope = PropertyScope(path, documents.files, properties, self._result.properties)
        self._recorded: list[tuple[etree._Element, str, Verdict]] = []
        self._imported: set[str] = set()
        self._steps = 0

    def run(self) -> Evaluation:
        root = self._documents.root(self._path)
        if root is None:
            raise InvalidRequest(f"{self._documents.files.shown(self._path)}: no such file")
        self._file(self._path, root, ())
        self._scope.enter(self._path)
        self._items = Items(
            self._scope, self._documents.files, posixpath.dirname(self._path), frozenset(self._documents.mentioned)
        )
        for element, path, _ in self._recorded:
            if local_name(element) == "ItemDefinitionGroup":
                self._scope.enter(path)
                if self._verdict(element).holds:
                    self._items.define(element)
        for element, path, context in self._recorded:
            self._scope.enter(path)
            self._item_pass(element, path, context)
        self._result.items = self._items.found
        self._result.alternatives = self._items.alternatives
        return self._result

    # --- the first pass: properties and imports ---

    def _file(self, path: str, root: etree._Element, doubts: tuple[str, ...], depth: int = 0) -> None:
        if path in self._imported:
            return  # MSBuild ignores a second import, with a warning
        self._imported.add(path)
        if depth > _DEEPEST:
            raise InvalidRequest(f"{self._shown(path)}: imports nested more than {_DEEPEST} deep")
        if len(self._imported) > _MOST_IMPORTS:
            raise InvalidRequest(f"{self._shown(path)}: more than {_MOST_IMPORTS} imported files")
        outer = self._scope.enter(path)
        sdks = [*self._sdks_of(root, path)]
        for sdk in sdks:
            self._sdk(sdk, "sdk.props", depth)
        self._children(root, path, doubts, depth)
        for sdk in reversed(sdks):
            self._sdk(sdk, "sdk.targets", depth)
        self._scope.enter(outer)

    def _sdks_of(self, root: etree._Element, path: str) -> Iterator[SdkUse]:
        for text in listed(value_of(root, "Sdk") or ""):
            name, _, version = text.partition("/")
            yield SdkUse(name.strip(), version.strip(), place_of(self._shown(path), root))
        for element in named(root, "Sdk"):
            name, version = value_of(element, "Name") or "", value_of(element, "Version") or ""
            yield SdkUse(name.strip(), version.strip(), place_of(self._shown(path), element))

    def _sdk(self, sdk: SdkUse, part: str, depth: int) -> None:
        lower = sdk.name.lower()
        self._result.sdks[sdk] = None
        if lower not in sdk_parts.BUNDLED | sdk_parts.WITHOUT_PACKAGES_OF_THEIR_OWN:
            self._doubt(sdk.place, f"what the SDK {one_line(sdk.name)} adds is not known: taken as Microsoft.NET.Sdk")
        if part == "sdk.props":
            self._part("BEFORE_DIRECTORY_PROPS", depth)
            if lower in sdk_parts.EXECUTABLE_SDKS:
                self._scope.set("OutputType", Text("Exe"), only_if_empty=True)
            if lower in sdk_parts.ASP_NET_SDKS:
                self._scope.set("_ImpliesAspNetCore", Text("true"))
            self._part("DIRECTORY_PROPS", depth)
            self._part("PROPS", depth)
        else:
            is_outer = bool(self._result.text("TargetFrameworks")) and not self._result.text("TargetFramework")
            if not is_outer:
                self._part("BEFORE_DIRECTORY_TARGETS", depth)
            self._part("DIRECTORY_TARGETS", depth)
            self._part("TARGETS", depth)

    def _part(self, name: str, depth: int) -> None:
        place = f"{sdk_parts.__name__}/{name}"
        if place not in self._imported:
            self._imported.add(place)
            self._children(_part_root(name), self._path, (), depth)

    def _children(self, parent: etree._Element, path: str, doubts: tuple[str, ...], depth: int) -> None:
        for element in parent:
            self._step(path, element)
            name = local_name(element)
            if name == "PropertyGroup":
                self._properties(element, path, doubts)
            elif name in ("ItemGroup", "ItemDefinitionGroup"):
                self._recorded.append((element, path, Verdict(True, doubts)))
            elif name == "Choose":
                self._choose(element, path, Verdict(True, doubts))
            elif name == "Import":
                self._import(element, path, doubts, depth)
            elif name == "ImportGroup":
                verdict = self._verdict(element)
                for each in named(element, "Import") if verdict.holds else ():
                    self._import(each, path, union(doubts, verdict.doubts), depth)
            elif name == "Target":
                self._target(element, path)

    def _properties(self, group: etree._Element, path: str, doubts: tuple[str, ...]) -> None:
        outer = self._verdict(group)
        if not outer.holds and not outer.doubts:
            return
        for element in group:
            self._step(path, element)
            verdict = self._verdict(element)
            all_doubts = union(doubts, outer.doubts, verdict.doubts)
            if outer.holds and verdict.holds:
                value = expand("".join(map(str, element.itertext())), self._scope)
                self._scope.set(local_name(element), Text(value.value, union(value.doubts, all_doubts)))
            elif all_doubts and (outer.holds or outer.doubts) and (verdict.holds or verdict.doubts):
                # It may be set: whatever depends on it is as doubtful as that.
                known = self._scope.property(local_name(element))
                self._scope.set(local_name(element), Text(known.value, union(known.doubts, all_doubts)))

    def _choose(self, choose: etree._Element, path: str, context: Verdict) -> None:
        """Decided here, for items too: what properties become later does not matter."""
        for branch, verdict in self._branches(choose):
            inner = Verdict(context.holds and verdict.holds, union(context.doubts, verdict.doubts))
            for element in branch:
                self._step(path, element)
                name = local_name(element)
                if name == "PropertyGroup" and inner.holds:
                    self._properties(element, path, inner.doubts)
                elif name == "ItemGroup":
                    self._recorded.append((element, path, inner))
                elif name == "Choose":
                    self._choose(element, path, inner)

    def _branches(self, choose: etree._Element) -> Iterator[tuple[etree._Element, Verdict]]:
        """The branch of a Choose that is taken, and those that might be."""
        doubts: tuple[str, ...] = ()
        is_taken = False
        for branch in choose:
            if local_name(branch) not in ("When", "Otherwise"):
                continue
            verdict = self._verdict(branch)
            doubts = union(doubts, verdict.doubts)
            if verdict.holds and not is_taken:
                yield branch, Verdict(True, doubts)
            elif doubts and (verdict.holds or verdict.doubts):
                yield branch, Verdict(False, doubts)
            is_taken = is_taken or verdict.holds
            if verdict.holds and not verdict.doubts:
                return

    def _import(self, element: etree._Element, path: str, doubts: tuple[str, ...], depth: int) -> None:
        verdict = self._verdict(element)
        if not verdict.holds:
            return
        place = place_of(self._shown(path), element)
        project = expand(value_of(element, "Project") or "", self._scope)
        sdk_name = value_of(element, "Sdk")
        if sdk_name is not None:
            name, _, version = sdk_name.partition("/")
            version = value_of(element, "Version") or version
            if project.value.strip().lower() in _SDK_IMPORTS:
                self._sdk(SdkUse(name.strip(), version.strip(), place), project.value.strip().lower(), depth)
            return
        for text in listed(project.value):
            wanted = text.replace("\\", "/")
            if wanted.startswith(self._scope.OF_THE_SDK):
                continue
            whole = posixpath.normpath(posixpath.join(posixpath.dirname(path), wanted))
            found = list(self._documents.files.matching(whole)) if "*" in whole or "?" in whole else [whole]
            for each in found:
                root = self._documents.root(each)
                if root is not None:
                    self._file(each, root, union(doubts, verdict.doubts, project.doubts), depth + 1)
                elif each not in self._imported:
                    self._doubt(place, f"the import {one_line(text)} does not exist; taken as empty")
                    if project.doubts:
                        self._doubt(place, "; ".join(project.doubts))

    def _target(self, element: etree._Element, path: str) -> None:
        target = one_line(value_of(element, "Name") or "")
        for group in named(element, "ItemGroup"):
            for item in group:
                if local_name(item).lower() in _PACKAGE_ITEMS:
                    what = f"the target {target} computes {local_name(item)} items when it runs; left out"
                    self._doubt(place_of(self._shown(path), item), what)

    # --- the second pass: items ---

    def _item_pass(self, element: etree._Element, path: str, context: Verdict) -> None:
        self._step(path, element)
        if local_name(element) != "ItemGroup":
            return
        group = self._verdict(element)
        if not group.holds and not group.doubts:
            return
        for each in element:
            self._step(path, each)
            verdict = self._verdict(each)
            combined = Verdict(
                context.holds and group.holds and verdict.holds, union(context.doubts, group.doubts, verdict.doubts)
            )
            is_possible = all(part.holds or part.doubts for part in (context, group, verdict))
            if combined.holds or is_possible:
                self._items.apply(each, place_of(self._shown(path), each), combined)

    # --- both ---

    def _verdict(self, element: etree._Element) -> Verdict:
        is_here = local_name(element) in ("PropertyGroup", "Import", "ImportGroup")
        return holds(
            value_of(element, "Condition"), self._scope, self._scope.exists_here if is_here else self._scope.exists
        )

    def _step(self, path: str, element: etree._Element) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            place = place_of(self._shown(path), element)
            raise InvalidRequest(f"{place}: an evaluation of more than {_MOST_STEPS} elements is not attempted")

    def _doubt(self, place: str, what: str) -> None:
        self._result.unsure[(place, what)] = None

    def _shown(self, path: str) -> str:
        return self._documents.files.shown(path)


@lru_cache
def _part_root(name: str) -> etree._Element:
    return read_xml(name, getattr(sdk_parts, name).encode())
