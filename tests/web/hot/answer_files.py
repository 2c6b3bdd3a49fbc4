"""Files of answers for tests, and what an answer is compared by."""

import os
from pathlib import Path

from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.hot.answer_file import SMALLEST_FILE, AnswerFile
from tests.web.lanes import JSON_HEADERS

NAME = "answers"


def opened(folder: Path, identity: bytes = b"same") -> AnswerFile:
    return AnswerFile(folder / NAME, SMALLEST_FILE, identity)


async def written(answers: AnswerFile) -> None:
    answers._write()
    while answers._writing is not None:
        await answers._writing


def told(answer: HotAnswer | None) -> object:
    if answer is None:
        return None
    forms = [
        None if form is None else (form.described(), form.modified, described_body(form.body))
        for form in (answer.identity, answer.gzip)
    ]
    names = ("resource", "provenance", "is_negotiated", "has_ttl", "expires", "needs_reader", "gzip_unasked", "digest")
    others = ("since", "epoch", "group", "generation", "count")
    return forms, [getattr(answer, name) for name in (*names, *others)]


def described_body(body: object) -> object:
    return body if isinstance(body, bytes) else [getattr(body, name) for name in ("path", "size", "inode", "changed")]


def complete() -> HotAnswer:
    return HotAnswer(
        "registration",
        Provenance(Outcome.HIT, 5.5, 7.25, True, "why"),
        None,
        HotVariant((*JSON_HEADERS, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")), os.urandom(3000)),
        is_negotiated=True,
        expires=12.5,
        needs_reader=True,
        gzip_unasked=True,
        digest="d",
        since=3.25,
        epoch=4,
        group=17,
        generation=2**40,
        count="id/1.0.0",
    )
