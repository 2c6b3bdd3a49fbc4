"""Read XML elements of a nuspec by local name: the namespace only identifies the schema version.

For rules about how a nuspec is written; `nuspec.py` reads what it means.
"""

from lxml import etree


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """The children with this local name, in order."""
    return [child for child in element if local_name(child) == name]


def local_name(element: etree._Element) -> str:
    return local_part(str(element.tag))


def local_part(tag: str) -> str:
    """The name in lxml's form `{namespace}name`, without the namespace."""
    return tag.rpartition("}")[2]


def attribute(element: etree._Element, name: str) -> str:
    """The value, trimmed; empty when missing."""
    return str(element.attrib.get(name, "")).strip()


def text_of(element: etree._Element | None) -> str:
    """All text inside, trimmed; empty when there is no element."""
    if element is None:
        return ""
    # Nearly all have only text, which is found ten times as fast.
    return ("".join(map(str, element.itertext())) if len(element) else element.text or "").strip()


def first_by_name(element: etree._Element) -> dict[str, etree._Element]:
    """The first child of each local name."""
    found: dict[str, etree._Element] = {}
    for child in element:
        found.setdefault(local_name(child), child)
    return found
