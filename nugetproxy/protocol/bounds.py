"""How many bytes we render: of one version, and in one document.

The bounds hold for whatever an author or an upstream wrote, hosted and mirrored alike. They are above what nuget.org
accepts, so real packages do not meet them. What is left out of a version that does is in `v3/version_fitting.py`;
docs/decisions/0016 has the reasons.
"""

from typing import Final

LARGEST_VERSION: Final = 256 * 1024
"""Bytes that one version adds to any document at most.

nuget.org accepts 4,000 characters of each text, 35,000 of release notes, and 32,767 of all dependencies as V2 writes
them (nuget-protocol: push validation). Written without identifiers that no client reads, that many dependencies take
at most 220 KB, whatever their ids are. A usual version takes 2 to 20 KB.
"""

LARGEST_DOCUMENT: Final = 32 * 1024 * 1024
"""Bytes of the largest document: a hundred versions, as on a page of the V2 feed, and the same again in reserve."""

FULL_PAGE: Final = 4 * 1024 * 1024
"""Bytes of versions after which a page of a registration is full, and above which an index no longer inlines its pages.

nuget.org cuts by number alone. At 64 versions a page that is 64 KiB for each, ten times the usual.
"""

MOST_VERSIONS: Final = 65_536
"""Versions of one id that a document of an upstream may name. nuget.org has some thousands of the liveliest."""

LONGEST_TEXT: Final = 4_000
"""Characters of a text (a description, a title) that stay when a version has to be made smaller."""

ELLIPSIS: Final = "…"


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text`, or as much of its beginning as leaves room for an ellipsis. `longest` is in characters, at least 1."""
    return text if len(text) <= longest else text[: longest - 1] + ELLIPSIS
