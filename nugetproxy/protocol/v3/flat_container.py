"""The flat container's versions list.

Everything else in the flat container is files; their URLs are in `links.py`.
Source: docs/api/package-base-address-resource.
"""

from collections.abc import Iterable

from nugetproxy.errors import InvalidVersion, UnreadableDocument
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.documents import read_object, write


def read_versions(body: bytes) -> tuple[NuGetVersion, ...]:
    """The versions of an id, ascending, each once.

    What is no version is dropped: passed on, one such entry would break the whole id for every client.

    Raises:
        UnreadableDocument: not a versions list. Nor is an object without one, such as a gateway's apology with status
            200: taken for "no versions" it would be told as final to clients.
    """
    texts = read_object(body, "versions list").get("versions")
    if not isinstance(texts, list):
        raise UnreadableDocument("versions list", "versions is not an array")
    versions: dict[NuGetVersion, None] = {}
    for text in texts:
        if isinstance(text, str):
            try:
                versions.setdefault(NuGetVersion.parse(text))
            except InvalidVersion:
                continue
    return tuple(sorted(versions))


def write_versions(versions: Iterable[NuGetVersion]) -> bytes:
    """Lower-case: clients build the URL of a package from the text as listed."""
    return write({"versions": [version.lower for version in versions]})
