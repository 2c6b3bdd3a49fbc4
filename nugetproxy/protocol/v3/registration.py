"""The registration resource: import it from here.

`registration_values` says what it is, `registration_reader` and `registration_writer` what it looks like on the wire,
`catalog_entry` what is inside a leaf, `manifest_leaf` how a leaf is made from a package itself.
"""

from nugetproxy.protocol.v3.registration_values import Hive, Leaf, Page, Registration, registration_of

__all__ = ["Hive", "Leaf", "Page", "Registration", "registration_of"]
