"""Push rules for a nuspec as XML: every reader, with any parser, finds the same id and version.

Checks encodings, namespaces and duplicate elements. `push_rules_nuspec.py` checks the contents of elements.
"""

import re
from collections import Counter
from typing import Final

from lxml import etree

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import shown
from nugetproxy.nuget.elements import children, local_name
from nugetproxy.nuget.nuspec import metadata_element

_UTF32_BEGINNINGS: Final = (b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"<\0\0\0", b"\0\0\0<")
# First bytes, the name that may be declared, and the codec: the two encodings that all clients read.
_BEGINNINGS: Final = (
    (b"\xff\xfe", "utf-16", "utf-16"),
    (b"\xfe\xff", "utf-16", "utf-16"),
    (b"<\0", "utf-16", "utf-16-le"),
    (b"\0<", "utf-16", "utf-16-be"),
    (b"", "utf-8", "utf-8"),
)
_DECLARATION = re.compile(r"\ufeff?<\?xml\s(?P<inside>[^>]*)\?>")
_DECLARED = re.compile(r"""(version|encoding)\s*=\s*["']([^"']*)["']""")


def read_written_metadata(nuspec: bytes) -> etree._Element:
    """The metadata of a pushed nuspec, as written.

    Raises InvalidPackage if readers could interpret it differently, or it exceeds a bound.
    """
    _check_encoding(nuspec)
    metadata = metadata_element(nuspec)
    _check_structure(metadata)
    return metadata


def _check_encoding(nuspec: bytes) -> None:
    if nuspec.startswith(_UTF32_BEGINNINGS):
        raise InvalidPackage("its nuspec is in UTF-32, which clients do not read; save it as UTF-8")
    encoding, codec = next((name, codec) for start, name, codec in _BEGINNINGS if nuspec.startswith(start))
    try:
        text = nuspec.decode(codec)
    except UnicodeDecodeError as error:
        raise InvalidPackage(
            f"its nuspec is not valid {encoding.upper()} at byte {error.start}; save it as UTF-8"
        ) from error
    match = _DECLARATION.match(text)
    declared = dict(_DECLARED.findall(match["inside"])) if match else {}
    if declared.get("encoding", encoding).lower() != encoding:
        raise InvalidPackage(
            f"its nuspec is in {encoding.upper()} but declares the encoding {shown(declared['encoding'])}; "
            "save it as UTF-8 and declare that, or no encoding"
        )
    if declared.get("version", "1.0") != "1.0":
        raise InvalidPackage(f"its nuspec declares XML version {shown(declared['version'])}; clients read only 1.0")


def _check_structure(metadata: etree._Element) -> None:
    root = metadata.getparent()
    assert root is not None, "it has a parent"
    for parent in (root, metadata):
        # In any case: a reader that ignores case could take the other one.
        counts = Counter(local_name(child).lower() for child in parent if parent is metadata or _is_metadata(child))
        for name, count in counts.items():
            if count > 1:
                raise InvalidPackage(f"its nuspec has {count} {shown(name)} elements; only one is allowed")
    # The official client looks for elements in the default namespace, others by local name only.
    namespace = metadata.nsmap.get(None)
    for element in metadata.iterdescendants():
        if etree.QName(element).namespace != namespace:
            raise InvalidPackage(
                f"its nuspec has the element {shown(local_name(element))} in another namespace than its "
                "metadata; use one namespace for all elements, without prefixes"
            )
    for name in ("id", "version"):
        for element in children(metadata, name):
            if len(element) or (element.text or "") != (element.text or "").strip():
                raise InvalidPackage(f"the {name} in its nuspec contains elements or outer spaces; use plain text")


def _is_metadata(element: etree._Element) -> bool:
    return local_name(element).lower() == "metadata"
