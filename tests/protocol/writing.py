"""The writers of long documents, run without pauses."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from nugetproxy.protocol.steps import Steps, at_once
from nugetproxy.protocol.v2 import atom, rows
from nugetproxy.protocol.v3 import catalog, registration, search_writer

P = ParamSpec("P")
T = TypeVar("T")


def _at_once(write: Callable[P, Steps[T]]) -> Callable[P, T]:
    def written(*args: P.args, **kwargs: P.kwargs) -> T:
        return at_once(write(*args, **kwargs))

    return written


write_index = _at_once(registration.write_index)
write_page = _at_once(registration.write_page)
write_search = _at_once(search_writer.write_search)
write_catalog_entry = _at_once(registration.write_catalog_entry)
write_catalog_details = _at_once(catalog.write_catalog_details)
write_feed = _at_once(atom.write_feed)
rows_of_leaves = _at_once(rows.rows_of_leaves)
