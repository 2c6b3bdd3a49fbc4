"""A store of documents on disk, processes over it, and an upstream that answers on command."""

import asyncio
from collections.abc import Callable, Mapping

from prometheus_client import REGISTRY

from nugetproxy.errors import (
    UnreadableDocument,
    UpstreamUnavailable,
)
from nugetproxy.httpcache.decisions import Health, Mode
from nugetproxy.httpcache.freshness import DocumentKind, FreshnessRule
from nugetproxy.httpcache.stored import ReceivedAnswer, StoredResponse, Validators
from nugetproxy.mirroring.documents.mirrored_documents import MirroredDocuments
from nugetproxy.storage.documents.disk import DiskDocuments
from nugetproxy.storage.documents.hot import HotDocuments
from nugetproxy.storage.leases import Leases
from tests.httpcache.documents import NOON, a_document, a_rule

URL = "https://upstream.test/v3-flatcontainer/x/index.json"
KIND = DocumentKind.VERSIONS
BODY = b'{"versions":["1.0.0"]}'


class FakeUpstream:
    """Gives scripted answers by URL, on command, and records requests."""

    def __init__(self, name="fake"):
        self.name = name
        self.health = Health.GOOD
        self.answers: dict[str, ReceivedAnswer | Exception] = {}
        self.default: ReceivedAnswer | Exception = ReceivedAnswer(200, BODY, "0xE1", "", "application/json")
        self.asked: list[tuple[str, Validators | None]] = []
        self.bounds: list[tuple[float, float | None]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.health_of_hosts = Health.GOOD
        self.probed_every = 0.0

    def health_of(self, url: str) -> Health:
        return self.health_of_hosts

    def until_probe(self, url: str) -> float:
        return self.probed_every

    @property
    def requests(self) -> int:
        return len(self.asked)

    async def fetch(
        self, url: str, *, validators: Validators | None = None, patience: float, timeout: float | None = None
    ) -> ReceivedAnswer:
        self.asked.append((url, validators))
        self.bounds.append((patience, timeout))
        await self.may_answer.wait()
        answer = self.answers.get(url, self.default)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class World:
    """A store on disk, and as many processes over it as a test needs (each a MirroredDocuments of its own)."""

    def __init__(self, path):
        self.path = path
        self.clock = Clock()
        self.upstream = FakeUpstream()
        self.rule = a_rule(fresh=60, behind=0, on_error=3600, absent=10, patience=10)
        self._elsewhere = DiskDocuments(path / "documents", 50_000_000)
        self._stores = [self._elsewhere]
        self._processes: list[MirroredDocuments] = []

    def process(
        self,
        mode=Mode.ONLINE,
        *,
        wrap: Callable[[HotDocuments], HotDocuments] = lambda store: store,
        patience: Mapping[str, float] | None = None,
    ) -> MirroredDocuments:
        disk = DiskDocuments(self.path / "documents", 50_000_000)
        rules: dict[DocumentKind, FreshnessRule] = dict.fromkeys(DocumentKind, self.rule)
        self._stores.append(disk)
        self._processes.append(
            MirroredDocuments(
                wrap(HotDocuments(disk, 1_000_000)),
                Leases(self.path / "leases"),
                rules,
                mode,
                self.clock,
                patience=patience,
                ticks=self.clock,
            )
        )
        return self._processes[-1]

    async def keep(self, stored: StoredResponse) -> None:
        await self._elsewhere.put(stored)

    def kept(self, url=URL) -> StoredResponse | None:
        return self._elsewhere.get(url)

    async def close(self) -> None:
        self.upstream.may_answer.set()
        for process in self._processes:
            await process.close()
        for store in self._stores:
            store.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


DOWN = UpstreamUnavailable("fake", "refused")


def a_kept(age: float, **more) -> StoredResponse:
    return a_document(url=URL, age=age, body=b"kept", **more)


def readable(body: bytes) -> None:
    if not body.startswith(b"{"):
        raise UnreadableDocument("versions list", "it is a web page")


PORTAL = ReceivedAnswer(200, b"<html>please log in</html>", "", "", "text/html")
