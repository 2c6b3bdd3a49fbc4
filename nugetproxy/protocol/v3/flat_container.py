"""The flat container's versions list.

Everything else in the flat container consists of files; their URLs are in `links.py`.
Source: docs/api/package-base-address-resource.
"""

from collections.abc import Iterable

from nugetproxy.errors import EmptyDocument, InvalidVersion, UnreadableDocument
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.bounds import MOST_VERSIONS
from nugetproxy.protocol.documents import read_object, write

_LIST = "versions list"


def read_versions(body: bytes) -> tuple[NuGetVersion, ...]:
    """The versions of an id: ascending, without duplicates, at least one.

    Invalid versions are dropped: passed on, one such entry would break the whole id for every client.

    Raises:
        EmptyDocument: the list is empty or null, or the object has no members at all.
        UnreadableDocument: not a versions list. This includes an object with only other members, such as a gateway's
            error page sent with status 200: clients would take "no versions" as final.
    """
    document = read_object(body, _LIST)
    texts = document.get("versions")
    if texts == [] or (texts is None and document.keys() <= {"versions"}):
        raise EmptyDocument(_LIST)
    if not isinstance(texts, list):
        raise UnreadableDocument(_LIST, "versions is not an array")
    if len(texts) > MOST_VERSIONS:
        raise UnreadableDocument(_LIST, f"it lists {len(texts)} versions; the limit is {MOST_VERSIONS}")
    versions: dict[NuGetVersion, None] = {}
    for text in texts:
        if isinstance(text, str):
            try:
                versions.setdefault(NuGetVersion.parse(text))
            except InvalidVersion:
                continue
    if not versions:
        raise UnreadableDocument(_LIST, "it contains no valid version")
    return tuple(sorted(versions))


def write_versions(versions: Iterable[NuGetVersion]) -> bytes:
    """Lower-case: clients build the URL of a package from the listed text."""
    return write({"versions": [version.lower for version in versions]})
