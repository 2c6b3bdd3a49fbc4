"""Packages, and a reader that records what it was given, for downloads that fail."""

import os
from pathlib import Path

from nugetproxy import metrics
from nugetproxy.errors import NugetproxyError, UpstreamUnavailable
from nugetproxy.feeds.base import Answer, GrowingContent, LocalFile
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.nuget.identity import PackageIdentity
from tests.builders import make_nupkg
from tests.mirroring.scripted import ScriptedUpstream

IDENTITY = PackageIdentity.parse("Contoso.Utils", "1.0.0")
URL = "http://127.0.0.1:1/contoso.utils.1.0.0.nupkg"
SMALL = make_nupkg(payload=b"small")
LARGE = make_nupkg(payload=os.urandom(700_000))
SIGNED = make_nupkg(payload=os.urandom(700_000), signed=True)
BROKEN = UpstreamUnavailable("nuget.org", "the connection broke")

Opened = Answer[LocalFile | GrowingContent]


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


class Reader:
    """One reader: the announced size, the bytes received, and how it ended."""

    def __init__(self) -> None:
        self.size: int | None = None
        self.body = b""
        self.failure: NugetproxyError | None = None

    async def read(self, downloads: MirroredDownloads, upstream: ScriptedUpstream) -> "Reader":
        try:
            answer = await downloads.open(upstream.client, IDENTITY, URL)
            if isinstance(answer.value, LocalFile):
                self.body, self.size = answer.value.path.read_bytes(), answer.value.size
                return self
            self.size = answer.value.size
            async for chunk in answer.value.chunks():
                self.body += chunk
        except NugetproxyError as failure:
            self.failure = failure
        return self

    @property
    def looks_complete(self) -> bool:
        """From a client's point of view: a clean end, or as many bytes as announced."""
        return self.failure is None or len(self.body) == self.size


def rejected(check: str) -> float:
    return float(metrics.CONTENT_REJECTED.labels("nuget.org", check)._value.get())


def store_failures() -> float:
    return float(metrics.STORE_FAILURES.labels("content")._value.get())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
