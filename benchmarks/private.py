"""A private feed with very many versions to measure, its server, and clients in separate processes.

The feed is created by writing the rows that pushes write, two thousand at a time, with files that are hard links to a
few: a minute instead of an hour, and the same for the server.
"""

import asyncio
import base64
import hashlib
import http.client
import io
import itertools
import multiprocessing
import os
import secrets
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks.load import CLIENT_HEADERS
from benchmarks.processes import LOAD_CORE, cpu_seconds, nugetproxy
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.model import DAY, now_us
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.hosting.events import packed
from nugetproxy.hosting.package_changes import PushedPackage, insert_package
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.revisions import Revisions

PACKAGE_BYTES: Final = 300_000
GIANT: Final = "Contoso.Giant"
GIANT_VERSIONS: Final = 3600
BIG: Final = "Contoso.Big"
BIG_VERSIONS: Final = 100

# ext4 gives a file 65,000 names.
_LINKS: Final = 50_000
_AT_ONCE: Final = 2000
_NOWHERE: Final = "http://127.0.0.1:9"
_WORDS: Final = [
    "json",
    "http",
    "cache",
    "queue",
    "storage",
    "parser",
    "render",
    "identity",
    "token",
    "metrics",
    "retry",
    "plugin",
    "graph",
    "search",
    "export",
]

NUSPEC: Final = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"><metadata><id>{id}</id>'
    "<version>{version}</version><authors>Contoso</authors><description>A part of something large.</description>"
    "</metadata></package>"
)


@dataclass(frozen=True)
class Feed:
    """A server over a seeded data directory."""

    base: str
    pid: int
    data: Path
    key: str
    ids: tuple[str, ...]
    versions: int

    def changed(self) -> None:
        """Invalidate hot answers in every process, as a push does."""
        revisions = Revisions(self.data)
        revisions.bump_hosting()
        revisions.close()


@contextmanager
def feed(
    ids: int,
    versions: int,
    *,
    further: Iterable[PackageManifest] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Feed]:
    """`ids` ids of `versions` versions each, one of 3,600, one of 100, and `further` versions.

    It is entered when the server is idle."""
    with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)  # nginx reads from it as another user
        data = folder / "data"
        data.mkdir()
        names = tuple(f"Contoso.{_WORDS[n % 15].title()}.Part{n:05}" for n in range(ids))
        key = asyncio.run(_seed(data, names, versions, further))
        with served(folder, data, environment=environment) as (base, pid):
            yield Feed(base, pid, data, key, names, versions)


@contextmanager
def served(
    folder: Path, data: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    with nugetproxy(folder, _NOWHERE, "--offline", *options, data=data, environment=environment) as (base, pid):
        rest(pid)
        yield base, pid


def rest(pid: int) -> None:
    """Wait until a server has been idle for a second: at its start it checks that every file exists."""
    used, deadline = -1.0, time.monotonic() + 120
    while (now := cpu_seconds(pid)) - used > 0.05 and time.monotonic() < deadline:
        used = now
        time.sleep(1)


def package(package_id: str, version: str) -> bytes:
    """A package of some 300 KB that does not compress."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{package_id}.nuspec", NUSPEC.format(id=package_id, version=version))
        archive.writestr("lib/netstandard2.0/_.dll", os.urandom(PACKAGE_BYTES))
    return buffer.getvalue()


async def _seed(data: Path, names: Sequence[str], versions: int, further: Iterable[PackageManifest]) -> str:
    """The rows and files; the text of a key that may push."""
    database, revisions = open_main_database(data), Revisions(data)
    directory = Directory(database, revisions)
    ownership = Ownership(database, revisions)
    search = HostedSearch(database, ownership.verified_among)
    owner = await directory.add_user("alice", administrator=True)
    await ownership.reserve("Contoso.*", owner)
    _, key = await directory.add_key(owner, owner, name="bench", expires=now_us() + DAY)
    sources = _Sources(data)
    pairs = [(name, f"1.{number}.0") for number in range(versions) for name in names]
    pairs += [(BIG, f"1.{number}.0") for number in range(BIG_VERSIONS)]
    pairs += [(GIANT, f"1.{number}.0") for number in range(GIANT_VERSIONS)]
    manifests = itertools.chain((manifest_of(name, version) for name, version in pairs), further)
    ticks = itertools.count(time.time_ns() // 100 - 2 * len(pairs) - _AT_ONCE)

    while batch := list(itertools.islice(manifests, _AT_ONCE)):

        def work(transaction: Transaction, batch: Sequence[PackageManifest] = batch) -> None:
            for manifest in batch:
                tick = next(ticks)
                pushed = sources.pushed(manifest, tick // 10)
                search.index_package(transaction, insert_package(transaction, pushed, tick))
                if manifest.verbatim_version == "1.0.0":
                    ownership.add_first_owner(transaction, manifest.id.lower, owner.account_id)

        await database.write(work)
    directory.close()
    database.close()
    revisions.close()
    return key


def manifest_of(name: str, version: str) -> PackageManifest:
    return PackageManifest(
        id=PackageId.parse(name),
        version=NuGetVersion.parse(version),
        verbatim_version=version,
        authors="Contoso",
        description=f"{' '.join(_WORDS[len(name) % 9 :])} for {name}, one of very many packages.",
        tags=("contoso", *_WORDS[len(version) : len(version) + 2]),
    )


class _Sources:
    """Files for the rows, each with its own name."""

    def __init__(self, data: Path) -> None:
        self._blobs = data / "hosted"
        self._data = data
        self._count = 0
        self._source = data
        self._size, self._sha512 = 0, ""

    def pushed(self, manifest: PackageManifest, moment: int) -> PushedPackage:
        if self._count % _LINKS == 0:
            content = package("Contoso.Source", "1.0.0")
            self._source = self._data / f"source{self._count}"
            self._source.write_bytes(content)
            self._size = len(content)
            self._sha512 = base64.b64encode(hashlib.sha512(content).digest()).decode()
        self._count += 1
        names = manifest.identity
        key = BlobKey.of("packages", names.lower_id, names.lower_version, f"{secrets.token_hex(16)}.nupkg")
        path = self._blobs.joinpath(*key.segments)
        path.parent.mkdir(parents=True)
        path.hardlink_to(self._source)
        return PushedPackage(manifest, packed(()), self._size, self._sha512, self._sha512, key, moment)


# --- clients ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """`kind` is the category of its time."""

    kind: str
    target: str
    method: str = "GET"
    body: bytes | None = None
    status: int = 200


Timed = tuple[str, float]
"""A kind, and the seconds until the last byte."""


def asked(base: str | Sequence[str], plans: Sequence[Sequence[Request]], key: str = "") -> tuple[list[Timed], float]:
    """Run every plan with its own client, one request after the other on one connection; also return the total time.
    With several bases, the clients use them in turn.

    Raises RuntimeError if an answer has an unexpected status.
    """
    context = multiprocessing.get_context("fork")
    bases = [base] if isinstance(base, str) else base
    start = context.Barrier(len(plans) + 1)
    lines: list[Connection] = []
    clients = []
    for number, plan in enumerate(plans):
        ours, theirs = context.Pipe(duplex=False)

        def work(
            plan: Sequence[Request] = plan, line: Connection = theirs, base: str = bases[number % len(bases)]
        ) -> None:
            os.sched_setaffinity(0, {int(LOAD_CORE)} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
            start.wait(60)
            try:
                line.send(_ask(base, plan, key))
            except (OSError, http.client.HTTPException, RuntimeError) as error:
                line.send(f"{type(error).__name__}: {error}")

        clients.append(context.Process(target=work, daemon=True))
        lines.append(ours)
    for client in clients:
        client.start()
    start.wait(60)
    began = time.perf_counter()
    answers = [line.recv() for line in lines]
    lasted = time.perf_counter() - began
    for client in clients:
        client.join()
    if wrong := [answer for answer in answers if isinstance(answer, str)]:
        raise RuntimeError(wrong[0])
    return [timed for answer in answers for timed in answer], lasted


def _ask(base: str, plan: Sequence[Request], key: str) -> list[Timed]:
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=120)
    found: list[Timed] = []
    for request in plan:
        headers = {**CLIENT_HEADERS, **({"X-NuGet-ApiKey": key} if request.body is not None else {})}
        began = time.perf_counter()
        connection.request(request.method, request.target, request.body, headers)
        answer = connection.getresponse()
        answer.read()
        found.append((request.kind, time.perf_counter() - began))
        if answer.status != request.status:
            raise RuntimeError(f"{request.method} {request.target}: {answer.status} {answer.reason}")
    connection.close()
    return found


def spread(times: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th percentile and longest."""
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)], ordered[-1]


def shown(times: Sequence[float]) -> str:
    """The same as three cells of a table."""
    return " | ".join(f"{seconds * 1000:.1f} ms" for seconds in spread(times))
