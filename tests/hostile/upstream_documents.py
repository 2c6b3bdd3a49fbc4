"""Documents of the fake upstream, changed into ones that no upstream should send."""

import json
from collections.abc import Callable
from typing import Any

from tests.fakes.gallery import Document
from tests.fakes.upstream import FakeUpstream

REGISTRATIONS = "/v3/registration5-gz-semver2"


def rewrite(upstream: FakeUpstream, path: str, change: Callable[[Any], object]) -> None:
    """Replace the document at `path` with the result of `change`."""
    found = upstream.gallery.find(path)
    assert found is not None, path
    document = json.loads(found.body)
    change(document)
    put(upstream, path, document)


def put(upstream: FakeUpstream, path: str, document: Any) -> None:
    """Put `document` at `path`, whatever the gallery has."""
    upstream.gallery.extra[path] = Document(json.dumps(document).encode())


def outlying(upstream: FakeUpstream, lid: str) -> list[str]:
    """Make every page of an id's registration an outlying one; the paths of the pages."""
    paths: list[str] = []

    def take_out(index: Any) -> None:
        for number, page in enumerate(index["items"]):
            path = f"{REGISTRATIONS}/{lid}/page/{number}.json"
            put(upstream, path, {**page, "@id": upstream.base + path})
            del page["items"]
            page["@id"] = upstream.base + path
            paths.append(path)

    rewrite(upstream, f"{REGISTRATIONS}/{lid}/index.json", take_out)
    return paths
