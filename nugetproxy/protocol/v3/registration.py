"""The registration resource: import it from here.

`registration_values` defines it, `registration_reader` and `registration_writer` handle its wire format,
`catalog_entry` writes what its entries link to, and `manifest_leaf` builds a leaf from a package itself.
"""

from nugetproxy.protocol.v3.catalog_entry import catalog_entry_url, read_catalog_entry, write_catalog_entry
from nugetproxy.protocol.v3.manifest_leaf import leaf_from_manifest
from nugetproxy.protocol.v3.registration_reader import read_index, read_page
from nugetproxy.protocol.v3.registration_values import Hive, Leaf, Page, Registration, registration_of
from nugetproxy.protocol.v3.registration_writer import write_index, write_leaf, write_page

__all__ = [
    "Hive",
    "Leaf",
    "Page",
    "Registration",
    "catalog_entry_url",
    "leaf_from_manifest",
    "read_catalog_entry",
    "read_index",
    "read_page",
    "registration_of",
    "write_catalog_entry",
    "write_index",
    "write_leaf",
    "write_page",
]
