"""XML of project files, hardened: no document types, no entities, bounded in size, depth and number of elements."""

from typing import Any, Final

from lxml import etree

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.elements import local_name
from nugetproxy.nuget.projects.texts import one_line

LARGEST: Final = 8 * 1024 * 1024
"""Bytes. Project files written by people stay below a hundredth of it."""

_MOST_ELEMENTS: Final = 200_000


def read_xml(name: str, data: bytes) -> etree._Element:
    """The root element. Raises InvalidRequest with file and line."""
    if len(data) > LARGEST:
        raise InvalidRequest(f"{name}: it has {len(data)} bytes; XML of at most {LARGEST} bytes is read")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        raise InvalidRequest(
            f"{name}, line {line}: not XML: {one_line((error.msg or '').split(', line')[0])}"
        ) from error
    except ValueError as error:
        raise InvalidRequest(f"{name}: not XML: {one_line(str(error))}") from error
    document: Any = root.getroottree().docinfo  # its stub is incomplete
    if document.doctype or document.internalDTD is not None:
        raise InvalidRequest(f"{name}: it has a document type, which is not allowed")
    if sum(1 for _ in root.iter()) > _MOST_ELEMENTS:
        raise InvalidRequest(f"{name}: it has more than {_MOST_ELEMENTS} elements, which is the limit")
    return root


def named(parent: etree._Element, name: str) -> list[etree._Element]:
    return [child for child in parent if local_name(child) == name]


def value_of(element: etree._Element, name: str) -> str | None:
    """An attribute, whatever the case of its name."""
    found = element.get(name)
    if found is not None:
        return str(found)
    return next((str(text) for key, text in element.attrib.items() if str(key).lower() == name.lower()), None)


def place_of(name: str, element: etree._Element) -> str:
    """File and line for a message."""
    return f"{name}, line {element.sourceline}"
