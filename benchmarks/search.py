"""Search over a hundred thousand hosted versions, and the cost of its index for a push. Limits, not ratios.

Measured is the work of a worker for a request, without HTTP: including the reading thread, without writing JSON.
"""

import asyncio
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import structlog

from nugetproxy.hosting.packages import HostedPackage
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from nugetproxy.storage.database.base import Transaction
from tests.hosting.shelf import Shelf, package

# Wanted: see docs/performance.md.
SEARCH_SECONDS = 0.020
PUSH_SECONDS = 0.100

_AT_ONCE = 2000
_COMMON_TEXT = """
a and the for of to in with is library net package support provides client api service data core framework use
based application applications simple tools easy implementation extensions using common set utilities
"""
_WORDS_TEXT = """
json xml csv http rest grpc logging tracing metrics cache caching redis sql postgres mongo storage blob queue
bus message messaging event events stream streaming pipeline parser lexer compiler analyzer generator template
render html pdf excel word image video audio chart map geo route routing mvc razor blazor maui wpf forms control
grid identity auth token jwt oauth crypto hash signing certificate secret vault config options settings feature
flag test testing mock assert fixture benchmark health check retry policy circuit breaker rate limit schedule
job task worker background host hosting plugin module container docker kubernetes cloud azure aws function
lambda email sms push notification payment invoice order customer product catalog search index query filter sort
page report export import sync backup archive compress zip file folder path stream buffer memory pool collection
list tree graph math matrix random date time zone calendar culture currency unit convert mapper validation rule
engine workflow state
"""
_COMMON, _WORDS = _COMMON_TEXT.split(), _WORDS_TEXT.split()
_AUTHORS = ("Platform Team", "Payments", "Jane Roe", "John Doe", "Data Group", "Build and Release", "Mobile")


def measure(*, ids: int, versions: int, rounds: int, pushes: int, database: str) -> str:
    """The tables, as Markdown. `rounds` is how often each query is run. Pushes are measured on SQLite only."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="nugetproxy-search-") as folder:
        return asyncio.run(_measured(Path(folder), ids, versions, rounds, pushes, database))


async def _measured(folder: Path, ids: int, versions: int, rounds: int, pushes: int, database: str) -> str:
    shelf = Shelf(folder)
    try:
        names = _names(ids)
        indexing = await _fill(shelf, names, versions)
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        told = f"{ids:,} ids of {versions} versions; the database has {size / 1e6:.0f} MB"
        lines = [
            f"{told}, indexing took {indexing * 1000:.2f} ms a version.",
            "",
            "| query | found | median | p95 | longest | target |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        if database == "postgres":
            from benchmarks.search_postgres import copied

            with copied(folder) as there:
                return "\n".join([*lines, *await _queries(HostedSearch(there), names, rounds)])
        lines += await _queries(shelf.search, names, rounds)
        lines += ["", "| act | | median | p95 | longest | target |", "| --- | --- | --- | --- | --- | --- |"]
        for what, times in await _pushed(shelf, names, pushes):
            lines.append(f"| {what} | | {_row(times)} | {PUSH_SECONDS * 1000:g} ms |")
        return "\n".join(lines)
    finally:
        shelf.close()


async def _queries(search: HostedSearch, names: list[str], rounds: int) -> list[str]:
    lines = []
    everything: list[float] = []
    for what, total, times in await _asked(search, names, rounds):
        lines.append(f"| {what} | {total} | {_row(times)} | |")
        everything += times
    return [*lines, f"| all of these | | {_row(everything)} | p95 {SEARCH_SECONDS * 1000:g} ms |"]


def _row(times: list[float]) -> str:
    ordered = sorted(times)
    p95 = ordered[int(len(ordered) * 0.95)]
    return " | ".join(f"{seconds * 1000:.1f} ms" for seconds in (statistics.median(ordered), p95, ordered[-1]))


# --- a private feed of a large company
# ----------------------------------------------------------------------------------


def _names(count: int) -> list[str]:
    choose = random.Random(4)
    names: dict[str, None] = {}
    while len(names) < count:
        words = [choose.choice(_WORDS).capitalize() for _ in range(choose.choice((2, 3, 3, 4)))]
        joints = [choose.choice(("", ".", ".")) for _ in words[1:]]
        name = words[0] + "".join(joint + word for joint, word in zip(joints, words[1:], strict=True))
        names.setdefault(f"{choose.choice(('Contoso', 'Contoso', 'Contoso', 'Fabrikam'))}.{name}")
    return list(names)


def _manifests(name: str, versions: int, choose: random.Random) -> Iterator[PackageManifest]:
    own = [word.lower() for word in name.replace(".", " ").split()]
    text = [choose.choice(_COMMON if choose.random() < 0.55 else _WORDS) for _ in range(choose.randint(8, 60))]
    description = " ".join([*own, *text]).capitalize() + "."
    tags = " ".join(choose.sample(_WORDS, 4))
    author = choose.choice(_AUTHORS)
    types = ["DotnetTool"] if choose.random() < 0.03 else []
    for number in range(versions):
        version = f"1.{number}.0-preview.{number}" if number % 5 == 4 else f"1.{number}.0"
        yield package(name, version, tags=tags, types=types, description=description, authors=author)


async def _fill(shelf: Shelf, names: list[str], versions: int) -> float:
    """Every version in the order of its number, as pushed over years; seconds of indexing for each."""
    choose = random.Random(5)
    all_of = [list(_manifests(name, versions, choose)) for name in names]
    batch: list[PackageManifest] = []
    timed = _Timed(shelf.search)
    index, shelf.search = shelf.search, timed  # type: ignore[assignment]  # told of packages only
    for number in range(versions):
        for manifests in all_of:
            batch.append(manifests[number])
            if len(batch) == _AT_ONCE:
                await shelf.stock(batch)
                batch = []
        print(f"  {number + 1} of {versions} versions", file=sys.stderr)
    await shelf.stock(batch)
    shelf.search = index
    account = (await shelf.actor("alice")).account
    assert account is not None
    account_id = account.account_id
    downloads = [(name.lower(), "1.0.0", int(choose.paretovariate(0.6))) for name in names]

    def finish(transaction: Transaction) -> None:
        transaction.change_many(
            "INSERT INTO package_owners VALUES (?, ?, 0)", [(name.lower(), account_id) for name in names[::10]]
        )
        transaction.change_many("INSERT INTO hosted_downloads VALUES (?, ?, ?)", downloads)
        index.downloads_counted(transaction, [lower_id for lower_id, _, _ in downloads])

    await shelf.database.write(finish)
    return statistics.fmean(timed.times)


class _Timed:
    """The index, with timing."""

    def __init__(self, search: HostedSearch) -> None:
        self._search = search
        self.times: list[float] = []

    def index_package(self, transaction: Transaction, found: HostedPackage) -> None:
        began = time.perf_counter()
        self._search.index_package(transaction, found)
        self.times.append(time.perf_counter() - began)


# --- questions --------------------------------------------------------------------------------------------------------


async def _asked(search: HostedSearch, names: list[str], rounds: int) -> list[tuple[str, int, list[float]]]:
    choose = random.Random(6)

    def word() -> str:
        return choose.choice(_WORDS)

    def name() -> str:
        return choose.choice(names)

    texts: dict[str, Callable[[], str]] = {
        "empty: the most downloaded": lambda: "",
        "a word": word,
        "a word in most packages": lambda: choose.choice(_COMMON[:12]),
        "the company": lambda: "contoso",
        "two words": lambda: f"{word()} {word()}",
        "three words": lambda: f"{word()} {word()} {choose.choice(_COMMON)}",
        "two letters": lambda: word()[:2],
        "four letters": lambda: word()[:4],
        "a part of an id": lambda: name().lower()[5:13],
        "an id": name,
        "packageid:": lambda: f"packageid:{name()}",
        "id:": lambda: f"id:{word()}",
        "tags:": lambda: f"tags:{word()}",
        "author:": lambda: f'author:"{choose.choice(_AUTHORS)}"',
        "owner:": lambda: "owner:alice",
        "owner: and a word": lambda: f"owner:alice {word()}",
    }
    rows = []
    for what, text in texts.items():
        rows.append(await _timed(what, rounds, lambda text=text: _search(search, SearchQuery(text()))))  # type: ignore[misc]
    more: dict[str, Callable[[], SearchQuery]] = {
        "a word, page of 100, prereleases too": lambda: SearchQuery(word(), take=100, prerelease=True),
        "a word, third page": lambda: SearchQuery(word(), skip=40),
        "tools": lambda: SearchQuery("", package_type="DotnetTool", semver_level2=True),
    }
    for what, query in more.items():
        rows.append(await _timed(what, rounds, lambda query=query: _search(search, query())))  # type: ignore[misc]
    completions: dict[str, Callable[[], CompletionQuery]] = {
        "completing nothing": lambda: CompletionQuery(""),
        "completing a letter": lambda: CompletionQuery(choose.choice("abcdefghilmnoprstuvw")),
        "completing two letters": lambda: CompletionQuery(word()[:2]),
        "completing an id": lambda: CompletionQuery(name()[: choose.randint(8, 16)]),
        "versions of an id": lambda: CompletionQuery(None, name()),
    }
    for what, asked in completions.items():
        rows.append(await _timed(what, rounds, lambda asked=asked: _complete(search, asked())))  # type: ignore[misc]
    return rows


async def _search(search: HostedSearch, query: SearchQuery) -> int:
    return (await search.search(query)).total


async def _complete(search: HostedSearch, query: CompletionQuery) -> int:
    page = await search.complete(query)
    return len(page.values) if page.total is None else page.total


async def _timed(what: str, rounds: int, ask: Callable[[], Awaitable[int]]) -> tuple[str, int, list[float]]:
    """The median number found, and how long each took."""
    totals, times = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        totals.append(await ask())
        times.append(time.perf_counter() - began)
    return what, int(statistics.median(totals)), times


# --- pushes -----------------------------------------------------------------------------------------------------------


async def _pushed(shelf: Shelf, names: list[str], pushes: int) -> list[tuple[str, list[float]]]:
    actor = await shelf.actor("alice")
    choose = random.Random(7)
    new = [
        await _push(shelf, actor, f"Contoso.New{number}.{choose.choice(_WORDS).capitalize()}", "1.0.0")
        for number in range(pushes)
    ]
    owned = [name for name in names[::10] if name.startswith("Contoso.")]
    next_ones = [await _push(shelf, actor, choose.choice(owned), f"2.{number}.0") for number in range(pushes)]
    giant = "Contoso.Giant"
    await shelf.stock(package(giant, f"0.0.{number}-beta") for number in range(3600))
    return [
        ("push of a new id", new),
        ("push of a next version", next_ones),
        ("unlisting the only stable of 3,600 versions", await _listings(shelf, giant, pushes)),
    ]


async def _push(shelf: Shelf, actor: Any, name: str, version: str) -> float:
    began = time.perf_counter()
    await shelf.push(actor, name, version, payload=bytes(20_000))
    return time.perf_counter() - began


async def _listings(shelf: Shelf, name: str, count: int) -> list[float]:
    """The worst case for the index: it searches all versions for one that is visible to everyone."""
    await shelf.stock([package(name, "0.0.1")])
    times = []
    for number in range(count):
        began = time.perf_counter()
        await shelf.set_listed(f"{name} 0.0.1", listed=bool(number % 2))
        times.append(time.perf_counter() - began)
    return times
