"""The second pass of an evaluation: Include, Exclude, Update and Remove of items, with their metadata.

Wildcards are matched against the disk only for references to projects, and against items for Update and Remove.
"""

import posixpath
import re
from fnmatch import translate
from functools import lru_cache
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.elements import local_name
from nugetproxy.nuget.projects.files import Files
from nugetproxy.nuget.projects.markup import value_of
from nugetproxy.nuget.projects.msbuild.conditions import holds
from nugetproxy.nuget.projects.msbuild.expansion import expand
from nugetproxy.nuget.projects.msbuild.scope import PropertyScope
from nugetproxy.nuget.projects.msbuild.values import Item, Text, Verdict, listed, union

_MOST_ITEMS: Final = 100_000
_ON_DISK: Final = frozenset({"projectreference", "projectfile"})
_PACKAGES: Final = frozenset(
    {"packagereference", "packageversion", "packagedownload", "globalpackagereference", "frameworkreference"}
)
_OPERATIONS: Final = frozenset(
    {
        "include", "exclude", "remove", "update", "condition", "label", "keepmetadata", "removemetadata",
        "keepduplicates", "matchonmetadata", "matchonmetadataoptions",
    }
)  # fmt: skip
_OF_RESTORE: Final = _PACKAGES | {"projectreference", "prunepackagereference"}
_AN_ITEM_LIST: Final = re.compile(r"\s*@\(\s*([\w.-]+)\s*\)\s*", re.ASCII)


class Items:
    """Collects items in order. `alternatives` are those that would exist if a doubt went the other way."""

    def __init__(self, scope: PropertyScope, files: Files, folder: str, mentioned: frozenset[str]) -> None:
        """`mentioned` are types that some text refers to as `@(Type)`; others are skipped unless restore needs them."""
        self._kinds = _OF_RESTORE | mentioned
        self.found: dict[str, list[Item]] = {}
        self.alternatives: dict[str, list[Item]] = {}
        self._scope = scope
        self._files = files
        self._folder = folder
        self._defined: dict[str, dict[str, Text]] = {}
        self._count = 0

    def define(self, group: etree._Element) -> None:
        """Metadata that every item of a type has from the start: an ItemDefinitionGroup."""
        for element in group:
            if holds(value_of(element, "Condition"), self._scope, self._scope.exists).holds:
                known = self._defined.setdefault(local_name(element).lower(), {})
                known.update(self._metadata(element, None))

    def apply(self, element: etree._Element, place: str, verdict: Verdict) -> None:
        """One item element. If the verdict only may hold, an Include is kept as an alternative.

        Raises:
            InvalidRequest: too many items.
        """
        kind = local_name(element).lower()
        if kind not in self._kinds:
            return
        self._scope.with_items(self.found)
        try:
            if value_of(element, "Include") is not None:
                self._include(element, kind, place, verdict)
            elif not verdict.holds:
                self._may_change(element, kind, verdict)
            elif value_of(element, "Remove") is not None:
                self._remove(element, kind, verdict)
            elif value_of(element, "Update") is not None:
                self._update(element, kind, verdict)
        finally:
            self._scope.with_items(None)

    def _include(self, element: etree._Element, kind: str, place: str, verdict: Verdict) -> None:
        written = value_of(element, "Include") or ""
        excluded = self._matcher(element, "Exclude", kind)
        made: list[Item] = []
        source = _AN_ITEM_LIST.fullmatch(written)
        if source is not None:
            listed_items = self.found.get(source[1].lower(), ())
            made.extend(Item(item.spec, place, dict(item.metadata), item.doubts) for item in listed_items)
            specs = Text("")
        else:
            specs = expand(written, self._scope)
        for spec in listed(specs.value):
            named = self._on_disk(spec) if kind in _ON_DISK else [spec]
            made.extend(Item(each, place, dict(self._defined.get(kind, ()))) for each in named)
        if not made and specs.doubts and kind in _PACKAGES:
            made.append(Item("", place))
        for item in made:
            if excluded(item.spec):
                continue
            self._count += 1
            if self._count > _MOST_ITEMS:
                raise InvalidRequest(f"{place}: more than {_MOST_ITEMS} items")
            item.metadata.update(self._metadata(element, item))
            item.doubts = union(item.doubts, specs.doubts, verdict.doubts)
            (self.found if verdict.holds else self.alternatives).setdefault(kind, []).append(item)

    def _remove(self, element: etree._Element, kind: str, verdict: Verdict) -> None:
        matches = self._matcher(element, "Remove", kind)
        kept = [item for item in self.found.get(kind, []) if not matches(item.spec)]
        if verdict.doubts:
            # What is only perhaps removed is still wanted.
            for item in self.found.get(kind, []):
                if matches(item.spec):
                    self.alternatives.setdefault(kind, []).append(
                        Item(item.spec, item.place, item.metadata, union(item.doubts, verdict.doubts))
                    )
        self.found[kind] = kept

    def _update(self, element: etree._Element, kind: str, verdict: Verdict) -> None:
        matches = self._matcher(element, "Update", kind)
        for item in self.found.get(kind, []):
            if matches(item.spec):
                item.metadata.update(self._metadata(element, item))
                item.doubts = union(item.doubts, verdict.doubts)

    def _may_change(self, element: etree._Element, kind: str, verdict: Verdict) -> None:
        matches = self._matcher(element, "Remove" if value_of(element, "Remove") is not None else "Update", kind)
        for item in self.found.get(kind, []):
            if matches(item.spec):
                item.doubts = union(item.doubts, verdict.doubts)

    def _metadata(self, element: etree._Element, item: Item | None) -> dict[str, Text]:
        """Attributes, then child elements, whose conditions may look at the item."""
        made: dict[str, Text] = {}
        self._scope.with_item(item)
        try:
            for name, value in element.attrib.items():
                if str(name).lower() not in _OPERATIONS:
                    made[str(name).lower()] = expand(str(value), self._scope)
            for child in element:
                verdict = holds(value_of(child, "Condition"), self._scope, self._scope.exists)
                if verdict.holds:
                    value_ = expand("".join(map(str, child.itertext())), self._scope)
                    made[local_name(child).lower()] = Text(value_.value, union(value_.doubts, verdict.doubts))
        finally:
            self._scope.with_item(None)
        return made

    def _matcher(self, element: etree._Element, attribute: str, kind: str) -> "_Matcher":
        text = value_of(element, attribute)
        specs = [] if text is None else listed(expand(text, self._scope).value)
        return _Matcher([self._whole(spec) for spec in specs] if kind in _ON_DISK else specs)

    def _on_disk(self, spec: str) -> list[str]:
        whole = self._whole(spec)
        return list(self._files.matching(whole)) if "*" in spec or "?" in spec else [whole]

    def _whole(self, spec: str) -> str:
        return posixpath.normpath(posixpath.join(self._folder, spec.replace("\\", "/")))


class _Matcher:
    """Whether a spec is one of some specs, which may have wildcards. Case and the kind of slash do not matter."""

    def __init__(self, specs: list[str]) -> None:
        plain = [_comparable(spec) for spec in specs]
        self._exactly = {spec for spec in plain if "*" not in spec and "?" not in spec}
        self._patterns = [_pattern(spec) for spec in plain if "*" in spec or "?" in spec]

    def __call__(self, spec: str) -> bool:
        text = _comparable(spec)
        return text in self._exactly or any(pattern.match(text) for pattern in self._patterns)


def _comparable(spec: str) -> str:
    return spec.strip().lower().replace("\\", "/")


@lru_cache(maxsize=256)
def _pattern(spec: str) -> re.Pattern[str]:
    return re.compile(translate(spec.replace("[", "[[]")))
