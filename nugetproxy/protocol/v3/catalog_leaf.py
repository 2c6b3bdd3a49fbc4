"""A catalog leaf, the complete metadata of one version: shrinking it to the limit, and writing it.

The metadata may come from an upstream or from an event of a hosted version; nothing here depends on which.
Source: docs/api/catalog-resource.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from nugetproxy.errors import DocumentTooLarge
from nugetproxy.protocol.bounds import LARGEST_DOCUMENT, LARGEST_VERSION
from nugetproxy.protocol.documents import write
from nugetproxy.protocol.steps import Steps
from nugetproxy.protocol.v3.rewriting import Rewriter
from nugetproxy.protocol.v3.version_fitting import ACTED_ON, described_entry, plain_entry, rendered_size

OMITTED: Final = "nugetproxy:omitted"
"""The field that lists the fields left out because they are too large."""

_FILES: Final = "packageEntries"
_MOST_FILES: Final = 50_000
_LARGEST_FILES: Final = LARGEST_DOCUMENT // 4
_FILES_OF_STEP: Final = 500
_LONGEST_TYPES: Final = 1_024


def fitted_catalog_leaf(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document unchanged, or in the plain form of `version_fitting`. Its list of files is complete or left out.

    Fields that clients act on but that do not fit are left out and named in OMITTED. The version itself is never left
    out: catalog readers must get past every event, and can examine the package instead.
    """
    leaf = {name: value for name, value in document.items() if name != _FILES}
    if rendered_size(leaf) > LARGEST_VERSION:
        leaf = _plain(leaf)
    if _are_few(files := document.get(_FILES)):
        leaf[_FILES] = files
    return leaf


def write_catalog_leaf(
    document: Mapping[str, Any], own: str, rewriter: Rewriter, lower_version: str, more: Mapping[str, Any]
) -> Steps[bytes]:
    """The document at the URL `own`; `more` are additional fields of ours.

    Raises:
        DocumentTooLarge: even the plain form is too large, which takes very long links.
    """
    leaf = fitted_catalog_leaf(document)
    files = leaf.pop(_FILES, None)
    written = rewriter.rewritten(leaf, own, lower_version)
    if len(orjson.dumps(written)) > LARGEST_VERSION:  # because of links
        written = rewriter.rewritten(_plain(leaf), own, lower_version)
    if len(orjson.dumps(written)) > LARGEST_VERSION:
        raise DocumentTooLarge(f"the metadata of {rewriter.lower_id} {lower_version}", LARGEST_VERSION)
    yield
    if files is not None:
        rows: list[Any] = []
        for start in range(0, len(files), _FILES_OF_STEP):
            rows += rewriter.rewritten({_FILES: files[start : start + _FILES_OF_STEP]}, own, lower_version)[_FILES]
            yield
        written[_FILES] = rows
    return write({**written, **more})


def _are_few(files: object) -> bool:
    if not isinstance(files, list) or len(files) > _MOST_FILES:
        return False
    written = orjson.dumps(files)
    return len(written) <= _LARGEST_FILES and written.count(b"{") + written.count(b"[") <= 2 * _MOST_FILES


def _plain(leaf: Mapping[str, Any]) -> dict[str, Any]:
    plain = plain_entry(leaf)
    if plain is None:
        plain = {**described_entry(leaf), OMITTED: [name for name in ACTED_ON if leaf.get(name)]}
    types = leaf.get("@type")
    if isinstance(types, list) and len(orjson.dumps(types)) <= _LONGEST_TYPES:
        plain["@type"] = types
    return plain
