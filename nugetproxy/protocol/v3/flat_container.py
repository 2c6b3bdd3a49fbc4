"""The flat container's versions list.

Everything else in the flat container is files; their URLs are in `links.py`.
Source: docs/api/package-base-address-resource.
"""

from collections.abc import Iterable

from nugetproxy.errors import EmptyDocument, InvalidVersion, UnreadableDocument
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.bounds import MOST_VERSIONS
from nugetproxy.protocol.documents import read_object, write

_LIST = "versions list"


def read_versions(body: bytes) -> tuple[NuGetVersion, ...]:
    """The versions of an id, ascending, each once, at least one.

    What is no version is dropped: passed on, one such entry would break the whole id for every client.

    Raises:
        EmptyDocument: the list is empty or null, or the object has no member at all.
        UnreadableDocument: not a versions list. Nor is an object with other members only, such as a gateway's apology
            with status 200: clients would take "no versions" as final.
    """
    document = read_object(body, _LIST)
    texts = document.get("versions")
    if texts == [] or (texts is None and document.keys() <= {"versions"}):
        raise EmptyDocument(_LIST)
    if not isinstance(texts, list):
        raise UnreadableDocument(_LIST, "versions is not an array")
    if len(texts) > MOST_VERSIONS:
        raise UnreadableDocument(_LIST, f"it names {len(texts)} versions; at most {MOST_VERSIONS} are read")
    versions: dict[NuGetVersion, None] = {}
    for text in texts:
        if isinstance(text, str):
            try:
                versions.setdefault(NuGetVersion.parse(text))
            except InvalidVersion:
                continue
    if not versions:
        raise UnreadableDocument(_LIST, "nothing in it is a version")
    return tuple(sorted(versions))


def write_versions(versions: Iterable[NuGetVersion]) -> bytes:
    """Lower-case: clients build the URL of a package from the text as listed."""
    return write({"versions": [version.lower for version in versions]})
