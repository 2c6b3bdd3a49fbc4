"""An upstream with packages that an attacker would publish, a check of its log, and the server with the real ones."""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from tests.clients.deployment import serve
from tests.private import PREFIX, PROTECTING, Accounts, package, push
from tests.serving import Server
from tests.standin import StandIn

THEIRS = re.compile(rb"contoso\.\w+.{0,60}(99\.0\.0|7\.7\.7)|Not from Contoso|Contoso\.Unhosted", re.IGNORECASE)
"""What only the upstream has: versions, descriptions, and an id under our prefix that we do not host."""


@contextmanager
def luring() -> Iterator[StandIn]:
    """It has Contoso.Secret 99.0.0, Contoso.Logging 7.7.7 and more; at the end, none was requested.

    The log is never emptied, so late and background requests are included.
    """
    with StandIn() as standin:
        for package_id in ("Contoso.Unhosted", "Contoso.Aged", "Contoso.Tool"):
            standin.control("publish", {"id": package_id, "version": "99.0.0"})
        needs = [["Contoso.Secret", "[99.0.0]"]]
        standin.control("publish", {"id": "Public.Trap", "version": "1.0.0", "dependencies": needs})
        advisory = {"id": "Contoso.Secret", "url": "https://example.org/Contoso.Unhosted", "severity": 3}
        standin.control("advisory", {**advisory, "versions": "(, 99.0.0)"})
        yield standin
        assert standin.requests(), "an upstream without any request proves nothing"
        assert ours_in(standin.log()) == []


@contextmanager
def hosting_ours(folder: Path, upstream: StandIn, *more: bytes) -> Iterator[Server]:
    """A server with Contoso.Secret 1.0.0, Contoso.Logging 1.0.0 and `more` packages, pushed by alice."""
    with serve(folder / "data", upstream=upstream.url, config=PROTECTING) as running:
        accounts = Accounts(running.data)
        accounts.add_user("alice")
        key = accounts.add_key("ci", "alice")
        push(running, key, package("Contoso.Secret"), package("Contoso.Logging"), *more)
        yield running


def ours_in(requests: Sequence[dict[str, Any]]) -> list[str]:
    """The requests, with all their headers, that name one of our ids in any casing, encoding or width of letters."""
    return [each for each in map(_plain, requests) if PREFIX.rstrip(".").lower() in each]


def _plain(request: dict[str, Any]) -> str:
    text, before = json.dumps(request, ensure_ascii=False), ""
    while text != before:
        before, text = text, unquote_plus(text)
    return unicodedata.normalize("NFKC", text).casefold()
