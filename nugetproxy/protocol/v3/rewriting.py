"""Rewrite an upstream's JSON about one version, with our URLs in place of theirs.

Works on any content: unknown fields stay, and their `@id`s become ours like all others. Links for people (licenseUrl,
projectUrl, readmeUrl, advisoryUrl, an iconUrl outside a flat container) stay if they are web addresses; others become
an empty text. `@context` stays. Only what changes is copied; scalars and texts are shared with the original.
"""

from typing import Any
from urllib.parse import unquote

from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.registration_values import Hive
from nugetproxy.protocol.web_addresses import is_link_field, web_address

_PART_OF_FIELD = {"iconUrl": "icon", "licenseUrl": "license", "readmeUrl": "readme"}
_URL_FIELDS = frozenset({"@id", "registration", "packageContent"})


def part_reference(lower_id: str, lower_version: str, part: str) -> str:
    """How a leaf of our own names one of its parts: relative to a flat container that is not yet known."""
    return f"{lower_id}/{lower_version}/{part}"


class Rewriter:
    """Rewrites for one id in one hive. Caches the links of dependencies, because versions repeat them."""

    def __init__(self, links: Links, hive: Hive, lower_id: str) -> None:
        self.links = links
        self.hive = hive
        self.lower_id = lower_id
        self.index = links.registration_index(hive, lower_id)
        self._indexes: dict[str, str] = {}

    def index_of(self, package_id: str) -> str:
        """The registration index of any id, as dependencies name it."""
        link = self._indexes.get(package_id)
        if link is None:
            link = self._indexes[package_id] = self.links.registration_index(self.hive, lower_invariant(package_id))
        return link

    def rewritten(self, node: dict[str, Any], own: str, lower_version: str) -> dict[str, Any]:
        """`node` with our URLs; `@id`s become `own` with the fragments they had."""
        ours: dict[str, Any] = {}
        for key, value in node.items():
            kind = type(value)
            if key in _URL_FIELDS or is_link_field(key):
                ours[key] = self._rewritten_url(key, value, node, own, lower_version) if kind is str else ""
            elif kind is dict:
                ours[key] = value if key == "@context" else self.rewritten(value, own, lower_version)
            elif kind is list:
                ours[key] = self._rewritten_list(value, own, lower_version)
            else:
                ours[key] = value
        return ours

    def _rewritten_list(self, values: list[Any], own: str, lower_version: str) -> list[Any]:
        ours: list[Any] = []
        for value in values:
            kind = type(value)
            if kind is dict:
                ours.append(self.rewritten(value, own, lower_version))
            elif kind is list:
                ours.append(self._rewritten_list(value, own, lower_version))
            else:
                ours.append(value)
        return ours

    def _rewritten_url(self, key: str, url: str, node: dict[str, Any], own: str, lower_version: str) -> str:
        if key == "@id":
            _, hash_mark, fragment = url.partition("#")
            return own + hash_mark + fragment
        if key == "registration":
            package_id = node.get("id")
            return self.index_of(package_id) if isinstance(package_id, str) else self.index
        if key == "packageContent":
            return self.links.nupkg(self.lower_id, lower_version)
        if (part := _PART_OF_FIELD.get(key)) is not None:
            reference = part_reference(self.lower_id, lower_version, part)
            if url == reference or (part == "icon" and _is_in_flat_container(url, reference)):
                return self.links.part(self.lower_id, lower_version, part)
        return web_address(url)


def _is_in_flat_container(url: str, reference: str) -> bool:
    """Whether a URL, without its query, ends like the icon of this version in any flat container."""
    path = url.partition("#")[0].partition("?")[0]
    return path.endswith("/icon") and lower_invariant(unquote(path)).endswith("/" + reference)
