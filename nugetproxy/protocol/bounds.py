"""Limits on what we render: bytes per version, and bytes per document.

They apply to anything an author or an upstream wrote, hosted and mirrored alike. They are above what nuget.org accepts,
so real packages do not reach them. `v3/version_fitting.py` defines what is left out of a version that does;
docs/decisions/0016 has the reasons.
"""

from typing import Final

LARGEST_VERSION: Final = 256 * 1024
"""Maximum number of bytes that one version adds to any document.

nuget.org accepts 4,000 characters for each text, 35,000 for release notes, and 32,767 for all dependencies in V2
notation (nuget-protocol: push validation). Without the identifiers that no client reads, that many dependencies take
at most 220 KB, whatever their ids are. A typical version takes 2 to 20 KB.
"""

LARGEST_DOCUMENT: Final = 32 * 1024 * 1024
"""Maximum size of a document in bytes: a hundred versions, as on a V2 feed page, and as much again in reserve."""

FULL_PAGE: Final = 4 * 1024 * 1024
"""Bytes of versions after which a registration page is full, and above which an index no longer inlines its pages.

nuget.org splits by count alone. At 64 versions a page this is 64 KiB per version, ten times the typical size.
"""

MOST_VERSIONS: Final = 65_536
"""Versions of one id that an upstream's document may list. The busiest ids on nuget.org have a few thousand."""

LONGEST_TEXT: Final = 4_000
"""Characters kept of a text (a description, a title) when a version has to be made smaller."""

ELLIPSIS: Final = "…"


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text`, cut if necessary so that it fits with an ellipsis. `longest` is in characters, at least 1."""
    return text if len(text) <= longest else text[: longest - 1] + ELLIPSIS
