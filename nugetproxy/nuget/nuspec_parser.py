"""Parse the XML of a nuspec incrementally and within bounds: elements, depth, text, attributes, and repetitions.

A pushed nuspec that exceeds a bound is refused, and the error names the bound. Of a mirrored one, which is not ours to
judge, the excess is left out, and parsing stops at the total. Either way the cost is linear and bounded.
Of the meaning of elements, only the position of id and version is known here.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final

from lxml import etree

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.elements import local_part

# Bytes fed to the parser per call: an exceeded bound is noticed at most this much later.
_BLOCK: Final = 64 * 1024

# Elements that repeat in a nuspec, by the names of the parent and the element.
_KINDS: Final[Mapping[tuple[str, str], str]] = {
    ("dependencies", "group"): "dependency groups",
    ("dependencies", "dependency"): "dependencies",
    ("frameworkAssemblies", "frameworkAssembly"): "framework assemblies",
    ("frameworkReferences", "group"): "framework reference groups",
    ("group", "frameworkReference"): "framework references",
    ("group", "dependency"): "dependencies",
    ("group", "reference"): "references",
    ("references", "group"): "reference groups",
    ("references", "reference"): "references",
    ("contentFiles", "files"): "content files",
    ("packageTypes", "packageType"): "package types",
}
_IN_METADATA: Final = "elements in its metadata"

# nuget.org limits the length of flattened dependencies to 32,767 characters: about 2,000 of common length.
# Real packages stay below a tenth of each number.
_MOST_PUSHED: Final = {
    "dependency groups": 256,
    "dependencies": 2_048,
    "framework assemblies": 1_024,
    "framework reference groups": 256,
    "framework references": 1_024,
    "reference groups": 256,
    "references": 2_048,
    "content files": 2_048,
    "package types": 32,
    _IN_METADATA: 128,
}


@dataclass(frozen=True, slots=True)
class NuspecBounds:
    """How much of a nuspec is read. With `is_strict` an exceeded bound is an error; otherwise the excess is left out,
    and parsing stops at the bounds `elements` and `tag`.

    `elements` includes comments, processing instructions, and pieces of text that are left out. `text` is in characters
    between two tags, `attribute` in characters of one value, `tag` in bytes of one tag, comment or section.
    """

    is_strict: bool
    most: Mapping[str, int]
    elements: int
    depth: int = 16
    text: int = 65_536
    attributes: int = 32
    attribute: int = 4_096
    tag: int = 256 * 1024


PUSHED: Final = NuspecBounds(is_strict=True, most=_MOST_PUSHED, elements=8_192)
MIRRORED: Final = NuspecBounds(
    is_strict=False, most={kind: 4 * most for kind, most in _MOST_PUSHED.items()}, elements=16_384
)


class _Enough(Exception):
    """Ends a parse early."""


class NuspecParser:
    """Parses one nuspec. Afterwards, also after an error, `visited` is the number of elements that were visited.
    `is_whole` is false if elements or attributes were left out.

    A parser keeps state and is not thread-safe; a new one costs a few microseconds.
    """

    def __init__(self, bounds: NuspecBounds, *, only_identity: bool = False) -> None:
        """`only_identity` stops when id and version in the first metadata element are known."""
        self._target = _BoundedTree(bounds, only_identity=only_identity)
        self._bounds = bounds

    @property
    def visited(self) -> int:
        return self._target.visited

    @property
    def is_whole(self) -> bool:
        return self._target.is_whole

    def parse(self, data: bytes, *, is_cut: bool = False) -> etree._Element:
        """The root with everything within the bounds, without comments.

        `is_cut` means that `data` is only the beginning of the file.

        Raises:
            InvalidPackage: not readable as XML, has a document type, or exceeds a strict bound.
        """
        # The stubs require a target that also takes bytes, and lack namespaces.
        target: Any = self._target
        parser = etree.XMLParser(
            target=target, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
        )
        data = _with_byte_order_mark(data)
        try:
            for start in range(0, len(data), _BLOCK):
                self._target.events = 0
                parser.feed(data[start : start + _BLOCK])
                self._target.check_progress(min(_BLOCK, len(data) - start))
            if is_cut:
                self._target.is_whole = False
            else:
                parser.close()
        except _Enough:
            self._target.is_whole = False
        except (etree.LxmlError, ValueError) as error:
            raise InvalidPackage(f"its nuspec is not XML: {_first_line(error)}") from error
        if self._target.root is None:
            raise InvalidPackage("its nuspec is not XML: it has no element")
        return self._target.root


class _BoundedTree:
    """The target of the parser's events: builds the tree and counts."""

    def __init__(self, bounds: NuspecBounds, *, only_identity: bool) -> None:
        self.visited = 0
        self.events = 0
        self.is_whole = True
        self.root: etree._Element | None = None
        self._bounds = bounds
        self._only_identity = only_identity
        self._builder: Any = etree.TreeBuilder()  # its stub lacks namespaces, and that `start` returns the element
        self._path: list[str] = []
        self._skipped = 0
        self._text = 0
        self._without_event = 0
        self._counts: Counter[str] = Counter()
        self._wanted = {"id", "version"}

    def start(self, tag: str, attributes: Mapping[str, str], nsmap: Mapping[str, str]) -> None:
        self._visit()
        self._text = 0
        if self._skipped or self._is_over_a_bound(local_part(tag)):
            self.is_whole = False
            self._skipped += 1
            return
        self._path.append(local_part(tag))
        # The parser names the default namespace '', and the builder None.
        namespaces = {prefix or None: uri for prefix, uri in nsmap.items()}
        element = self._builder.start(tag, self._bounded(attributes), namespaces)
        if self.root is None:
            self.root = element

    def end(self, tag: str) -> None:
        self.events += 1
        self._text = 0
        if self._skipped:
            self._skipped -= 1
            return
        self._builder.end(tag)
        name = self._path.pop()
        if self._only_identity and self._path[1:] == ["metadata"]:
            self._wanted.discard(name)
        if self._only_identity and (not self._wanted or (len(self._path) == 1 and name == "metadata")):
            raise _Enough

    def data(self, text: str) -> None:
        self.events += 1
        if self._skipped:
            return
        left = self._bounds.text - self._text
        self._text += len(text)
        if len(text) <= left:
            self._builder.data(text)
            return
        if left <= 0:
            self._visit()  # text in many small pieces costs as much as elements
        if self._bounds.is_strict:
            raise InvalidPackage(
                f"its nuspec has a text of more than {self._bounds.text} characters in {self._path[-1][:100]!r}; "
                "shorten it"
            )
        self._builder.data(text[: max(0, left)])

    def comment(self, _: str) -> None:
        self._visit()

    def pi(self, _: str, __: str | None = None) -> None:
        self._visit()

    def doctype(self, *_: str | None) -> None:
        raise InvalidPackage("its nuspec has a document type, which is not allowed")

    def close(self) -> None:
        """Nothing to do: the root is known since its start."""

    def check_progress(self, size: int) -> None:
        """Called after `size` bytes were parsed, to stop at a tag, comment or section that does not end."""
        self._without_event = 0 if self.events else self._without_event + size
        if self._without_event <= self._bounds.tag:
            return
        if self._bounds.is_strict:
            raise InvalidPackage(
                f"its nuspec has a tag, comment or CDATA section of more than {self._bounds.tag} bytes; shorten it"
            )
        raise _Enough

    def _visit(self) -> None:
        self.events += 1
        if self.visited == self._bounds.elements:
            if self._bounds.is_strict:
                raise InvalidPackage(
                    f"its nuspec has more than {self._bounds.elements} elements and comments, which is the limit"
                )
            raise _Enough
        self.visited += 1

    def _is_over_a_bound(self, name: str) -> bool:
        """Whether to leave out the element that begins. Raises InvalidPackage if bounds are strict."""
        bounds, path = self._bounds, self._path
        if len(path) == bounds.depth:
            if bounds.is_strict:
                raise InvalidPackage(f"its nuspec has elements nested more than {bounds.depth} deep; flatten it")
            return True
        kind = _kind(path, name)
        if kind is None:
            return False
        self._counts[kind] += 1
        if self._counts[kind] <= bounds.most[kind]:
            return False
        if bounds.is_strict:
            raise InvalidPackage(f"its nuspec has more than {bounds.most[kind]} {kind}, which is the limit")
        # Id and version are found at any position.
        return name not in self._wanted

    def _bounded(self, attributes: Mapping[str, str]) -> Mapping[str, str]:
        bounds = self._bounds
        if len(attributes) <= bounds.attributes and all(len(text) <= bounds.attribute for text in attributes.values()):
            return attributes
        name = self._path[-1][:100]
        if not bounds.is_strict:
            self.is_whole = False
            short = [(key, text) for key, text in attributes.items() if len(text) <= bounds.attribute]
            return dict(short[: bounds.attributes])
        if len(attributes) > bounds.attributes:
            raise InvalidPackage(
                f"its nuspec has an element {name!r} with {len(attributes)} attributes; "
                f"at most {bounds.attributes} are accepted"
            )
        raise InvalidPackage(
            f"its nuspec has an element {name!r} with an attribute of more than {bounds.attribute} characters; "
            "shorten it"
        )


# lxml examines the parameters of `start` for each parser, which takes a quarter of a parse if they are not known.
_BoundedTree.start.__signature__ = signature(_BoundedTree.start)  # type: ignore[attr-defined]


def _kind(path: list[str], name: str) -> str | None:
    if not path:
        return None
    if len(path) == 2 and path[1] == "metadata":
        return _IN_METADATA
    return _KINDS.get((path[-1], name))


def _with_byte_order_mark(data: bytes) -> bytes:
    # libxml2 detects UTF-16 only by the XML declaration or the byte order mark.
    if data.startswith(b"<\0"):
        return b"\xff\xfe" + data
    if data.startswith(b"\0<"):
        return b"\xfe\xff" + data
    return data


def _first_line(error: Exception) -> str:
    # The text of a SyntaxError ends in a file name, and there is no file.
    lines = str(error.msg if isinstance(error, etree.XMLSyntaxError) else error).splitlines()
    # It may quote names whose characters no version of Unicode has assigned yet.
    return "".join(c if c.isprintable() else "?" for c in lines[0]) if lines else type(error).__name__
