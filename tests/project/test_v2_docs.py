"""docs/protocol/v2.md states the actual limits and paths."""

from pathlib import Path

import pytest

from nugetproxy.protocol.v2 import batch, feed_query, hints, odata_query
from nugetproxy.protocol.v2.metadata import FUNCTIONS
from nugetproxy.protocol.v2.properties import MOST_COUNTED
from nugetproxy.web.http.aiohttp_connection import MAX_LINE
from nugetproxy.web.v2 import gathering, searching
from nugetproxy.web.v2.routes import V2_ROUTES

PAGE = " ".join((Path(__file__).parents[2] / "docs/protocol/v2.md").read_text().split())


@pytest.mark.parametrize(
    "sentence",
    [
        f"at most {odata_query.LONGEST:,} characters, {odata_query.MOST_PARTS} parts and {odata_query.DEEPEST} levels",
        f"the versions of those ids (up to {hints.MOST_IDS})",
        f"(up to {hints.MOST_WORDS} alternatives)",
        f"the first {searching.MOST_HITS:,} ids",
        f"look at {searching.MOST_LOADED}.",
        f"within {searching.DETAIL_SECONDS:.0f} seconds",
        f"{feed_query.PAGE_SIZE} entries at most",
        f"tells of {gathering.MOST_UPDATES:,} packages at most",
        f"up to {batch.MOST_QUERIES} queries",
        f"a request line of {MAX_LINE // 1024} KiB",
        f"Never above {MOST_COUNTED:,}",
    ],
)
def test_the_limits_are_documented(sentence):
    assert sentence in PAGE


def test_every_path_is_documented():
    fixed = [path.removeprefix("/api/v2") for path, _, _ in V2_ROUTES if "(" not in path]

    assert [path for path in [*fixed, "/$metadata"] if path.strip("/").split("/")[0] not in PAGE] == []
    assert [name for name in ("Packages", *FUNCTIONS) if f"`/{name}()" not in PAGE] == []
