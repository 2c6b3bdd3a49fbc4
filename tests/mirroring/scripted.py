"""An upstream whose downloads follow a script: the answer to each request, and where it waits for the test."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from nugetproxy.errors import NugetproxyError
from nugetproxy.mirroring.upstream.client import UpstreamClient


@dataclass
class Script:
    """One answer. `waits` are offsets before which the body stops until the event is set."""

    body: bytes = b""
    etag: str = "0x8D1"
    states_total: bool = True
    total: int | None = None
    """A total that is not the body's."""
    sha512_of: bytes | None = None
    md5_of: bytes | None = None
    """What the stated hash is of."""
    fails: NugetproxyError | None = None
    """Instead of a head."""
    breaks_at: int | None = None
    breaks_with: NugetproxyError | None = None
    head: asyncio.Event | None = None
    """The head waits for it."""
    waits: dict[int, asyncio.Event] = field(default_factory=dict)
    block: int = 65_536
    status: int = 200
    start: int = 0


@dataclass
class ScriptedDownload:
    script: Script
    status: int
    start: int
    total: int | None
    etag: str
    last_modified: str = ""
    content_type: str = "application/octet-stream"
    sha512: str | None = None
    md5: bytes | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        script, at = self.script, self.start
        end = len(script.body) if script.breaks_at is None else script.breaks_at
        while at < end:
            stops = [offset for offset in script.waits if offset > at]
            if at in script.waits:
                await script.waits[at].wait()
            chunk = script.body[at : min(at + script.block, end, *stops)]
            at += len(chunk)
            yield chunk
            await asyncio.sleep(0)
        if script.breaks_at is not None:
            assert script.breaks_with is not None
            raise script.breaks_with


class ScriptedUpstream:
    """Answers one script after another, and repeats the last; `requests` are (start, if_range) in order of arrival."""

    def __init__(self, *scripts: Script, name: str = "nuget.org") -> None:
        self.name = name
        self.scripts = list(scripts)
        self.requests: list[tuple[int, str]] = []

    @property
    def client(self) -> UpstreamClient:
        return cast(UpstreamClient, self)

    @asynccontextmanager
    async def download(
        self, url: str, *, start: int = 0, if_range: str = "", patience: float
    ) -> AsyncIterator[ScriptedDownload]:
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append((start, if_range))
        if script.head is not None:
            await script.head.wait()
        if script.fails is not None:
            raise script.fails
        resumes = script.status == 206 or (start > 0 and if_range == script.etag)
        total = (len(script.body) if script.total is None else script.total) if script.states_total else None
        yield ScriptedDownload(
            script,
            206 if resumes else 200,
            script.start or (start if resumes else 0),
            total,
            script.etag,
            sha512=None if script.sha512_of is None else _sha512(script.sha512_of),
            md5=None if script.md5_of is None else hashlib.md5(script.md5_of).digest(),
        )


def _sha512(body: bytes) -> str:
    return base64.b64encode(hashlib.sha512(body).digest()).decode()
